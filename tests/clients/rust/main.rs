//! The steps of `scenario.md` through the AWS SDK for Rust: JSON over HTTP/1.1, HTTP/2 over TLS.
#![expect(clippy::unwrap_used, reason = "the scenario ends at the first surprise")]
#![expect(clippy::print_stdout, reason = "it tells its steps")]

mod around;
mod calls;
mod errors;
mod fan_out;
mod life_cycle;
mod limits;
mod reading;
mod records;
mod resharding;
mod settings;
mod writing;

use std::sync::Mutex;

use calls::Clients;

/// The step under way.
static CURRENT: Mutex<(usize, &str)> = Mutex::new((0, ""));

/// Ends the step before and begins the next.
fn step(number: usize, name: &'static str) {
    let mut current = CURRENT.lock().unwrap();
    if current.0 > 0 {
        println!("ok {} {}", current.0, current.1);
    }
    assert_eq!(number, current.0 + 1, "{name}");
    *current = (number, name);
}

/// A difference ends the program with what was under way.
fn tell_differences() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |difference| {
        told(difference);
        let (number, name) = CURRENT.lock().map(|it| *it).unwrap_or_default();
        println!("FAILED {number} {name}\n{} passed, 1 failed", number.saturating_sub(1));
        std::process::exit(1);
    }));
}

#[tokio::main]
async fn main() {
    tell_differences();
    let clients = Clients::from_environment();
    life_cycle::run(&clients).await;
    let written = writing::run(&clients).await;
    reading::run(&clients, &written).await;
    resharding::run(&clients).await;
    let late = fan_out::run(&clients).await;
    limits::run(&clients).await;
    settings::run(&clients, &late).await;
    errors::run(&clients).await;
    around::run(&clients, &late).await;
    let (last, name) = *CURRENT.lock().unwrap();
    println!("ok {last} {name}\n{last} passed, 0 failed");
}
