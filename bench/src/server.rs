//! The measured server: started on a fresh data directory, stopped, killed and started again; gone
//! with its directory when dropped.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use kinelog::aws::sigv4::signing;
use rustix::process::{Pid, Signal, kill_process};

use crate::arguments::{Load, ServerChoice};
use crate::client::Failure;
use crate::process::Usage;
use crate::signer::{Head, Signer};

/// Time between two tries to reach a server that starts.
const PAUSE: Duration = Duration::from_micros(200);

/// A server process.
pub(crate) struct Server {
    binary: PathBuf,
    durability: String,
    options: Vec<String>,
    directory: PathBuf,
    address: SocketAddr,
    admin: SocketAddr,
    process: Child,
    encrypted: bool,
    start_time: RefCell<Duration>,
}

/// The binary that was chosen, or the one beside this program, built if it is missing.
pub(crate) fn binary(choice: &ServerChoice) -> Result<PathBuf, Failure> {
    if let Some(path) = &choice.server {
        return Ok(path.clone());
    }
    let beside = std::env::current_exe()?.with_file_name("kinelog");
    if !beside.exists() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo).args(["build", "--release", "-p", "kinelog"]).status()?;
        if !built.success() || !beside.exists() {
            return Err("no server: build it, or name its binary with --server".into());
        }
    }
    Ok(beside)
}

impl Server {
    /// Starts with further options and waits for its first answer.
    pub(crate) fn start(
        binary: &Path,
        choice: &ServerChoice,
        options: &[&str],
    ) -> Result<Self, Failure> {
        let name = format!("kinelog-bench-{:08x}", fastrand::u32(..));
        let directory = choice.directory.join(name);
        let (address, admin) = (free_address()?, free_address()?);
        let options: Vec<_> = options.iter().map(|&option| option.to_owned()).collect();
        let started = Instant::now();
        let process = spawn(binary, &directory, &choice.durability, address, admin, &options)?;
        let mut server = Self {
            binary: binary.to_owned(),
            durability: choice.durability.clone(),
            encrypted: options.iter().any(|option| option == "--tls"),
            options,
            directory,
            address,
            admin,
            process,
            start_time: RefCell::default(),
        };
        server.wait_for_an_answer(started)?;
        Ok(server)
    }

    /// The load, against this server.
    pub(crate) fn load(&self, load: &Load) -> Load {
        let scheme = if self.encrypted { "https" } else { "http" };
        let host =
            if self.encrypted { "localhost".to_owned() } else { self.address.ip().to_string() };
        Load {
            endpoint: format!("{scheme}://{host}:{}", self.address.port()),
            insecure: self.encrypted,
            pid: Some(self.process.id()),
            ..load.clone()
        }
    }

    pub(crate) fn usage(&self) -> Result<Usage, Failure> {
        Usage::of(self.process.id())
    }

    /// What it uses once it has come to rest: memory that is about to be given back is not counted,
    /// bytes that are still to be written are.
    pub(crate) fn settled_usage(&self) -> Result<Usage, Failure> {
        let mut last = self.usage()?;
        loop {
            std::thread::park_timeout(Duration::from_millis(300));
            let now = self.usage()?;
            if now.device_bytes == last.device_bytes && now.resident_bytes == last.resident_bytes {
                return Ok(now);
            }
            last = now;
        }
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.directory
    }

    /// From the start of the process to its first answer.
    pub(crate) fn start_time(&self) -> Duration {
        *self.start_time.borrow()
    }

    /// Mean size of a durable write so far, in bytes.
    pub(crate) fn group_bytes(&self) -> Result<usize, Failure> {
        let mut stream = TcpStream::connect(self.admin)?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        mean(&text, "kinelog_engine_group_bytes").ok_or_else(|| "no metric of groups".into())
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) -> Result<(), Failure> {
        self.end(Signal::TERM)
    }

    /// Kills it as a crash does.
    pub(crate) fn kill(&mut self) -> Result<(), Failure> {
        self.end(Signal::KILL)
    }

    fn end(&mut self, signal: Signal) -> Result<(), Failure> {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.ok_or("the server has no process")?, signal)?;
        self.process.wait()?;
        Ok(())
    }

    /// Starts it on the same directory and waits for its first answer.
    pub(crate) fn start_again(&mut self) -> Result<(), Failure> {
        let (address, admin, started) = (self.address, self.admin, Instant::now());
        self.process =
            spawn(&self.binary, &self.directory, &self.durability, address, admin, &self.options)?;
        self.wait_for_an_answer(started)
    }

    fn wait_for_an_answer(&mut self, started: Instant) -> Result<(), Failure> {
        loop {
            match if self.encrypted { self.connect() } else { self.ask() } {
                Ok(()) => break,
                Err(error) => {
                    if let Some(status) = self.process.try_wait()? {
                        return Err(format!("the server ended: {status}, {error}").into());
                    }
                }
            }
            std::thread::park_timeout(PAUSE);
        }
        *self.start_time.borrow_mut() = started.elapsed();
        Ok(())
    }

    fn connect(&self) -> Result<(), Failure> {
        TcpStream::connect(self.address)?;
        Ok(())
    }

    /// One call of the API over a connection of its own.
    fn ask(&self) -> Result<(), Failure> {
        let mut stream = TcpStream::connect(self.address)?;
        let host = self.address.to_string();
        let target = "Kinesis_20131202.ListStreams";
        let head = Head { host: &host, target, content_type: "application/x-amz-json-1.1" };
        let headers = Signer::new("us-east-1").headers(head, signing::hash(b"{}"))?;
        let mut request = b"POST / HTTP/1.1\r\n".to_vec();
        for (name, value) in &headers {
            request.extend_from_slice(name.as_str().as_bytes());
            request.extend_from_slice(b": ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"content-length: 2\r\n\r\n{}");
        stream.write_all(&request)?;
        let mut status = [0; 12];
        stream.read_exact(&mut status)?;
        if status.ends_with(b" 200") {
            Ok(())
        } else {
            Err("the first answer was a refusal".into())
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.process.kill().and_then(|()| self.process.wait());
        if let Err(error) = ended.and_then(|_| std::fs::remove_dir_all(&self.directory)) {
            eprintln!("kinelog-bench: {}: {error}", self.directory.display());
        }
    }
}

fn spawn(
    binary: &Path,
    directory: &Path,
    durability: &str,
    address: SocketAddr,
    admin: SocketAddr,
    options: &[String],
) -> Result<Child, Failure> {
    let child = Command::new(binary)
        .args(["serve", "--limits", "off", "--transition-ms", "1"])
        .args(["--durability", durability, "--reserve-bytes", "1000000"])
        .args(["--listen", &address.to_string(), "--admin-listen", &admin.to_string()])
        .arg("--data-dir")
        .arg(directory)
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    child.map_err(|error| format!("{}: {error}", binary.display()).into())
}

fn free_address() -> std::io::Result<SocketAddr> {
    std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()
}

/// Sum by count of a histogram.
fn mean(metrics: &str, name: &str) -> Option<usize> {
    let value = |suffix: &str| {
        let prefix = format!("{name}_{suffix} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&prefix))?;
        line.trim().parse::<f64>().ok()
    };
    let (sum, count) = (value("sum")?, value("count")?);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a mean of sizes of writes that fit into memory"
    )]
    let mean = (count > 0.0).then(|| (sum / count) as usize);
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_a_histogram_is_its_sum_by_its_count() {
        let text = "# HELP x\nx_bucket{le=\"1\"} 3\nx_sum 900\nx_count 3\n";
        assert_eq!(mean(text, "x"), Some(300));
        assert_eq!(mean("x_sum 0\nx_count 0\n", "x"), None);
        assert_eq!(mean("", "x"), None);
    }
}
