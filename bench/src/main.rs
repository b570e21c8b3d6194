//! `kinelog-bench`: loads any Kinesis endpoint and measures, in the same run, the floors it stands
//! on. It speaks the API only and depends on no crate of ours.

mod arguments;
mod client;
mod floor;
mod latency;
mod payload;
mod read;
mod report;
mod run;
mod setup;
mod signer;
mod table;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        Command::Put(load) => run::put(load),
        Command::Get(load) => run::get(load),
        Command::Mixed(load) => run::mixed(load),
        Command::Floor(load) => floor::all(load),
        Command::Table(table) => table::run(table),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kinelog-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
