//! Programs of the system that are run and must succeed.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

/// Why a run cannot go on, or what it has found.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A promise was broken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Broken(pub(crate) String);

/// Runs a program to its end; its output.
pub(crate) fn run<'a>(
    program: &str,
    arguments: impl IntoIterator<Item = &'a OsStr>,
) -> Result<String, Failure> {
    run_with(program, arguments, Stdio::null())
}

/// The same with something to read.
pub(crate) fn run_with<'a>(
    program: &str,
    arguments: impl IntoIterator<Item = &'a OsStr>,
    input: Stdio,
) -> Result<String, Failure> {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let output = Command::new(program).args(&arguments).stdin(input).output();
    let output = output.map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(format!("{program} {arguments:?}: {}: {words}", output.status).into())
}

/// Whether a program can be found.
pub(crate) fn has(program: &str) -> bool {
    run("sh", ["-c".as_ref(), format!("command -v {program}").as_ref()]).is_ok()
}
