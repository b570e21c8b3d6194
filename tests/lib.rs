//! What the whole-system tests share: a server as a real process, the official SDK pointed at it,
//! and the checker of histories.

pub mod history;
pub mod process;
pub mod raw;
pub mod sim;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use aws_sdk_kinesis::config::retry::RetryConfig;
use aws_sdk_kinesis::config::timeout::TimeoutConfig;
use aws_sdk_kinesis::config::{Credentials, Region, SharedHttpClient};
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};

/// A server process on one data directory. Killed when dropped.
pub struct Server {
    /// The program and its first arguments.
    command: Vec<String>,
    directory: PathBuf,
    flags: Vec<String>,
    process: Child,
    port: u16,
}

impl Server {
    /// Starts `binary` on `directory` with further flags, on a port of the system's choice.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn start(binary: &str, directory: &Path, flags: &[&str]) -> Self {
        Self::start_command(vec![binary.to_owned()], directory, flags)
    }

    /// Starts it with the limits that a shell sets before it becomes the server, such as
    /// `ulimit -n 256`.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn start_within(limits: &str, binary: &str, directory: &Path, flags: &[&str]) -> Self {
        let script = format!("{limits}; exec \"$0\" \"$@\"");
        let command = ["sh", "-c", &script, binary].map(str::to_owned);
        Self::start_command(command.into(), directory, flags)
    }

    fn start_command(command: Vec<String>, directory: &Path, flags: &[&str]) -> Self {
        let flags: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let (process, port) = spawn(&command, directory, 0, &flags);
        Self { command, directory: directory.to_path_buf(), flags, process, port }
    }

    /// Ends it as a power button would.
    ///
    /// # Panics
    ///
    /// When the system refuses.
    pub fn kill(&mut self) {
        self.process.kill().expect("our own child may be killed");
        self.process.wait().expect("our own child may be waited for");
    }

    /// Ends it in order, by SIGTERM.
    ///
    /// # Panics
    ///
    /// When it does not end with success.
    pub fn terminate(&mut self) {
        let id = i32::try_from(self.process.id()).ok().and_then(rustix::process::Pid::from_raw);
        let id = id.expect("a child has an id");
        rustix::process::kill_process(id, rustix::process::Signal::TERM)
            .expect("our own child may be told");
        let end = self.process.wait().expect("our own child may be waited for");
        assert!(end.success(), "a server that is told to stop ends with success: {end}");
    }

    /// Starts it again on the same directory and port.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub fn start_again(&mut self) {
        (self.process, _) = spawn(&self.command, &self.directory, self.port, &self.flags);
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Address to connect to.
    pub fn address(&self) -> std::net::SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// The official SDK, with at most `attempts` tries for each call.
    pub fn client(&self, attempts: u32) -> aws_sdk_kinesis::Client {
        let http = aws_smithy_http_client::Builder::new().build_http();
        self.client_by(http, "http", attempts)
    }

    /// The same over TLS, for a server with a certificate of its own, which is all it trusts.
    ///
    /// # Panics
    ///
    /// When the server keeps no certificate.
    #[expect(clippy::disallowed_methods, reason = "the file is read as a user does")]
    pub fn tls_client(&self, attempts: u32) -> aws_sdk_kinesis::Client {
        let authority = std::fs::read(self.directory.join("tls/ca.pem"));
        let authority = authority.expect("a server with TLS has said whom to trust");
        let trusted = TrustStore::empty().with_pem_certificate(authority);
        let context = TlsContext::builder().with_trust_store(trusted).build();
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(context.expect("the certificate is one"))
            .build_https();
        self.client_by(http, "https", attempts)
    }

    fn client_by(
        &self,
        http: SharedHttpClient,
        scheme: &str,
        attempts: u32,
    ) -> aws_sdk_kinesis::Client {
        let config = aws_sdk_kinesis::Config::builder()
            .behavior_version_latest()
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
            .endpoint_url(format!("{scheme}://{}", self.address()))
            .http_client(http)
            .retry_config(RetryConfig::standard().with_max_attempts(attempts))
            .timeout_config(TimeoutConfig::disabled())
            .build();
        aws_sdk_kinesis::Client::from_conf(config)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.kill().is_ok() && self.process.wait().is_err() {
            // Nothing to do: the process is gone either way.
        }
    }
}

/// Starts the process and reads its log until it names the address it listens on.
fn spawn(command: &[String], directory: &Path, port: u16, flags: &[String]) -> (Child, u16) {
    let mut process = Command::new(&command[0])
        .args(&command[1..])
        .arg("serve")
        .args(["--listen", &format!("127.0.0.1:{port}"), "--admin-listen", "off"])
        .arg("--data-dir")
        .arg(directory)
        .args(flags)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built for this test");
    let log = process.stderr.take().expect("the log is piped");
    let (found, address) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = Vec::new();
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if let Some(port) = listening_port(&line)
                && found.send(port).is_err()
            {
                return;
            }
            lines.push(line);
        }
        drop(found);
        eprintln!("server log:\n{}", lines.join("\n"));
    });
    let port = address.recv().expect("the server says where it listens before it ends");
    (process, port)
}

/// The port of a log line such as `... listening ... 127.0.0.1:4567 ...`.
fn listening_port(line: &str) -> Option<u16> {
    if !line.contains("listening") {
        return None;
    }
    let (_, rest) = line.split_once("127.0.0.1:")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
