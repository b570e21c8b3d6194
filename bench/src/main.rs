//! `kinelog-bench`: loads any Kinesis endpoint and measures, in the same run, the floors it stands
//! on and the endpoints it is compared with. It speaks the API only; of the server it shares the
//! signing of requests and the settings of TLS.

mod arguments;
mod client;
mod conditions;
mod drive;
mod floors;
mod latency;
mod markdown;
mod outcome;
mod payload;
mod peers;
mod process;
mod report;
mod results;
mod runs;
mod server;
mod setup;
mod signer;
mod timer;
mod workloads;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use clap::Parser;
use runs::Workload;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.command {
        Command::Put(run) => runs::run(Workload::Put, run),
        Command::Get(run) => runs::run(Workload::Get, run),
        Command::Mixed(run) => runs::run(Workload::Mixed, run),
        Command::FanOut(run) => runs::run(Workload::FanOut, run),
        Command::Delivery(run) => runs::run(Workload::Delivery, run),
        Command::Idle(run) => runs::run(Workload::Idle, run),
        Command::Rates(run) => runs::run(Workload::Rates, run),
        Command::Floor(run) => runs::run(Workload::Floor, run),
        Command::Replay(own) => runs::replay(own),
        Command::Report(report) => report::run(report),
        Command::Peers(peers) => peers::run(peers),
        Command::ConstantServer(constant) => floors::constant_server::serve(constant),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kinelog-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
