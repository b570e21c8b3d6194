//! The server's binary, built for the whole-system tests.

fn main() -> std::process::ExitCode {
    kinelog::arguments::main()
}
