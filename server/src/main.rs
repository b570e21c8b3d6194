//! The binary.

fn main() -> std::process::ExitCode {
    kinelog::arguments::main()
}
