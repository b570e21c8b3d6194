//! The server as a process that is started, killed and started again on one directory and port.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::system::{Broken, Failure};

/// Lines of the log that are kept for a failure.
const LINES_KEPT: usize = 60;

/// How to start the server.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) binary: PathBuf,
    pub(crate) options: Vec<String>,
}

type Log = Arc<Mutex<VecDeque<String>>>;

/// A running server. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: Log,
    port: mpsc::Receiver<u16>,
    begin: Instant,
}

impl Process {
    /// Starts it; port 0 is one of the system's choice. It may not listen yet.
    pub(crate) fn spawn(program: &Program, data: &Path, port: u16) -> Result<Self, Failure> {
        let mut command = Command::new(&program.binary);
        command
            .arg("serve")
            .args(["--listen", &format!("127.0.0.1:{port}"), "--admin-listen", "off"])
            .arg("--data-dir")
            .arg(data)
            .args(&program.options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let begin = Instant::now();
        let mut child = command.spawn()?;
        let lines = child.stderr.take().ok_or("the log is piped")?;
        let log = Log::default();
        let (found, port) = mpsc::channel();
        let keep = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                if let Some(port) = listening_port(&line)
                    && found.send(port).is_err()
                {
                    // Nobody waits for it any more; the log is still read to its end.
                }
                let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_back(line);
                if kept.len() > LINES_KEPT {
                    kept.pop_front();
                }
            }
        });
        Ok(Self { child, log, port, begin })
    }

    /// Waits until it listens; the port, and how long the start took.
    pub(crate) fn listening(&mut self) -> Result<(u16, Duration), Failure> {
        let begin = self.begin;
        if let Ok(port) = self.port.recv() {
            return Ok((port, begin.elapsed()));
        }
        let status = self.child.wait()?;
        let words = format!("the server ended with {status} before it listened:\n{}", self.log());
        Err(Broken(words).into())
    }

    /// Ends it between two instructions.
    pub(crate) fn kill(&mut self) -> Result<ExitStatus, Failure> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Failure> {
        let id = i32::try_from(self.child.id())?;
        Ok(kill_process(Pid::from_raw(id).ok_or("a process has an id")?, signal)?)
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus, Failure> {
        Ok(self.child.wait()?)
    }

    /// Its end, if it has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, Failure> {
        Ok(self.child.try_wait()?)
    }

    /// The last lines of its log.
    pub(crate) fn log(&self) -> String {
        let lines = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(failure) = self.kill() {
            eprintln!("{failure}");
        }
    }
}

/// The port of a line such as `... listening on 127.0.0.1:4567`.
fn listening_port(line: &str) -> Option<u16> {
    let (_, address) = line.split_once("listening on 127.0.0.1:")?;
    address.trim().parse().ok()
}
