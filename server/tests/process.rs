//! The binary as a user meets it: options from three places, answers to operators, its end, and
//! the commands on what it leaves behind.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "the test looks at files as a user does")]

#[path = "process/faults.rs"]
mod faults;
#[path = "process/migration.rs"]
mod migration;
#[path = "process/tls.rs"]
mod tls;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// The program with a clean environment.
fn kinelog() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kinelog"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KINELOG_") {
            command.env_remove(name);
        }
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    kinelog().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A server on free ports. Killed when dropped.
struct Server {
    process: Child,
    log: BufReader<ChildStderr>,
    /// Lines read so far.
    lines: String,
    service: SocketAddr,
    admin: SocketAddr,
}

impl Server {
    /// Adds free ports and a data directory to `command` and starts it.
    fn start(data: &Path, command: &mut Command) -> Self {
        command.arg("--listen=127.0.0.1:0").arg("--data-dir").arg(data);
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let nowhere = ([127, 0, 0, 1], 0).into();
        let lines = String::new();
        let mut server = Self { process, log, lines, service: nowhere, admin: nowhere };
        server.service = server.wait_for("listening on ").parse().unwrap();
        server.admin = server.wait_for("health and metrics on ").parse().unwrap();
        server
    }

    /// With `--admin-listen` on a free port and these options more.
    fn with(data: &Path, options: &[&str]) -> Self {
        Self::start(data, kinelog().arg("--admin-listen=127.0.0.1:0").args(options))
    }

    /// Reads the log up to a line with `words`; returns what comes after them.
    fn wait_for(&mut self, words: &str) -> String {
        loop {
            let start = self.lines.len();
            assert!(self.log.read_line(&mut self.lines).unwrap() > 0, "{}", self.lines);
            if let Some((_, after)) = self.lines[start..].split_once(words) {
                return after.trim().to_owned();
            }
        }
    }

    fn get(&self, path: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        exchange(self.admin, request.as_bytes())
    }

    /// Asks for an operation; only the shape of the signature counts.
    fn call(&self, operation: &str, body: &str) -> String {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\
             X-Amz-Target: Kinesis_20131202.{operation}\r\nX-Amz-Date: 20251203T184854Z\r\n\
             Authorization: AWS4-HMAC-SHA256 \
             Credential=AKID/20251203/us-east-1/kinesis/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=00\r\n\r\n{body}",
            body.len()
        );
        exchange(self.service, request.as_bytes())
    }

    /// Asks it to end and waits; its exit code and its whole log.
    fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        let id = i32::try_from(self.process.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
        self.log.read_to_string(&mut self.lines).unwrap();
        (self.process.wait().unwrap().code(), std::mem::take(&mut self.lines))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.process.kill().is_ok() {
            self.process.wait().unwrap();
        }
    }
}

fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Dates of the past pass.
const ANY_DATE: &str = "--clock-skew-seconds=9999999999";

/// A directory with a store of one stream `s` of one shard with one record, and its server.
fn with_a_record(data: &Path) -> Server {
    let options = ["--create-stream=s:1", "--transition-ms=1", "--limits=off", ANY_DATE];
    let server = Server::with(data, &options);
    let put = r#"{"StreamName": "s", "PartitionKey": "key", "Data": "aGVsbG8="}"#;
    let answer = server.call("PutRecord", put);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    server
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}

#[test]
fn the_command_line_counts_most_then_the_environment_then_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kinelog.toml");
    std::fs::write(&file, "limits = 6\nregion = 'eu-west-1'").unwrap();
    let limits = |command: &mut Command| {
        let data = directory.path().join("data");
        let server = Server::start(&data, command.arg("--admin-listen=127.0.0.1:0"));
        let health = server.get("/health");
        let (_, limits) = health.split_once(r#""limits":""#).unwrap();
        let limits = limits.split('"').next().unwrap().to_owned();
        assert_eq!(server.end(Signal::TERM).0, Some(0));
        limits
    };
    let by_file = || {
        let mut command = kinelog();
        command.arg("--config").arg(&file);
        command
    };
    assert_eq!(limits(&mut by_file()), "6");
    assert_eq!(limits(kinelog().env("KINELOG_CONFIG", &file)), "6");
    assert_eq!(limits(by_file().env("KINELOG_LIMITS", "5")), "5");
    assert_eq!(limits(by_file().env("KINELOG_LIMITS", "5").arg("--limits=4")), "4");
}

#[test]
fn wrong_options_are_refused_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kinelog.toml");
    std::fs::write(&file, "limit = 6").unwrap();
    let config = format!("--config={}", file.display());
    for (option, words) in [
        (&*config, "has the key limit, which is no option"),
        ("--listen=0.0.0.0:0", "add --allow-remote if that is meant"),
        ("--admin-listen=0.0.0.0:0", "add --allow-remote if that is meant"),
        ("--io=slow", "[possible values: auto, uring, posix]"),
    ] {
        let output = kinelog().current_dir(directory.path()).arg(option).output().unwrap();
        let sentence = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{sentence}");
        assert!(sentence.contains(words) && sentence.lines().count() == 1, "{sentence}");
    }
    assert_eq!(files_below(directory.path()), [file]);
}

#[test]
fn the_start_says_what_was_found() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = with_a_record(directory.path());
    let micros = server.wait_for("a durable write of 4 KiB takes ");
    let micros: u64 = micros.split(' ').next().unwrap().parse().unwrap();
    let health = server.get("/health");
    assert!(health.contains(&format!(r#""flush_micros":{micros},"#)), "{health}");
    server.process.kill().unwrap();
    server.process.wait().unwrap();
    let server = Server::with(directory.path(), &["--io=posix"]);
    let (status, log) = server.end(Signal::INT);
    assert_eq!(status, Some(0));
    for words in [
        "durability=\"fsync\"",
        "io=\"posix\"",
        "limits=aws",
        "streams=1",
        "shards=1",
        "replayed_groups=1",
        "replayed_bytes=",
        "recovery_ms=",
        "listening on 127.0.0.1:",
        "health and metrics on 127.0.0.1:",
        "reason=\"SIGINT\"",
    ] {
        assert!(log.contains(words), "{words} is not in {log}");
    }
}

#[test]
fn log_lines_may_be_json() {
    let directory = tempfile::tempdir().unwrap();
    let command = &mut kinelog();
    command.args(["serve", "--log-format=json", "--admin-listen=off", "--listen=127.0.0.1:0"]);
    command.arg("--data-dir").arg(directory.path()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let mut log = BufReader::new(process.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("listening on ") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0);
        serde_json::from_str::<serde_json::Value>(&line).unwrap();
    }
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn metrics_tell_what_was_done() {
    let directory = tempfile::tempdir().unwrap();
    let server = with_a_record(directory.path());
    let metrics = server.get("/metrics");
    let stream = r#"{account="000000000000",region="us-east-1",StreamName="s"}"#;
    for line in [
        &*format!("aws_kinesis_IncomingRecords{stream} 1"),
        &*format!("aws_kinesis_IncomingBytes{stream} 8"),
        &*format!("aws_kinesis_GetRecords_Records{stream} 0"),
        &*format!("aws_kinesis_WriteProvisionedThroughputExceeded{stream} 0"),
        r#"kinelog_requests_total{operation="PutRecord",status="200"} 1"#,
        r#"kinelog_request_seconds_count{operation="PutRecord"} 1"#,
        r#"kinelog_engine_group_records_bucket{le="1"} 1"#,
        "kinelog_engine_group_bytes_sum 4096",
        "kinelog_engine_log_write_micros_count 1",
        "kinelog_engine_appended_records 1",
        "kinelog_engine_throttled_records 0",
        "kinelog_engine_mapped_segments 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in {metrics}");
    }
    for name in ["kinelog_info{", "kinelog_engine_tail_cache_bytes ", "kinelog_connections "] {
        assert!(metrics.lines().any(|line| line.starts_with(name)), "{name} is not in {metrics}");
    }
}

#[test]
fn an_admin_address_that_is_taken_is_an_error_if_it_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let admin = format!("--admin-listen={}", taken.local_addr().unwrap());
    let mut command = kinelog();
    command.args(["--listen=127.0.0.1:0", &*admin, "--data-dir"]).arg(directory.path());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("choose another --admin-listen"));
}

#[test]
fn two_servers_by_default_both_answer_operators() {
    let directory = tempfile::tempdir().unwrap();
    let servers =
        ["a", "b"].map(|name| Server::start(&directory.path().join(name), &mut kinelog()));
    assert_ne!(servers[0].admin, servers[1].admin);
    for server in &servers {
        assert!(server.get("/health").contains(r#""status":"ok""#));
    }
}

#[test]
fn what_sigterm_leaves_is_sound_and_damage_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let server = with_a_record(&data);
    assert_eq!(server.end(Signal::TERM).0, Some(0));
    let verify = || run(&["verify", "--data-dir", data.to_str().unwrap()]);
    let before = files_below(&data);
    let output = verify();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).contains("; 0 findings\n"), "{output:?}");
    assert_eq!(files_below(&data), before);

    let is_segment = |path: &&PathBuf| path.extension().is_some_and(|e| e == "seg");
    let segment = before.iter().find(is_segment).unwrap();
    let mut bytes = std::fs::read(segment).unwrap();
    let payload = bytes.windows(5).position(|window| window == b"hello").unwrap();
    bytes[payload..payload + 5].copy_from_slice(b"HELLO");
    std::fs::write(segment, bytes).unwrap();
    let output = verify();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let found = format!("damage: {} at byte ", segment.display());
    assert!(text(&output.stdout).contains(&found), "{output:?}");
}

#[test]
fn what_can_be_saved_goes_into_a_new_place() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (data, sound, saved) = (place("data"), place("sound"), place("saved"));
    let server = with_a_record(Path::new(&data));
    assert_eq!(server.end(Signal::TERM).0, Some(0));
    let before = files_below(Path::new(&data));
    let output = run(&["repair", &data, "--into", &sound]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).contains("1 records kept, 0 stretches"), "{output:?}");

    let is_segment = |path: &&PathBuf| path.extension().is_some_and(|e| e == "seg");
    let segment = before.iter().find(is_segment).unwrap();
    let mut bytes = std::fs::read(segment).unwrap();
    let payload = bytes.windows(5).position(|window| window == b"hello").unwrap();
    bytes[payload] = b'j';
    std::fs::write(segment, &bytes).unwrap();
    for log in before.iter().filter(|path| path.extension().is_some_and(|e| e == "log")) {
        std::fs::remove_file(log).unwrap();
    }
    let lost = "lost: record 1 of shard 0 of stream s ";
    let output = run(&["repair", &data, "--dry-run"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(text(&output.stdout).contains(lost), "{output:?}");
    assert!(!Path::new(&saved).exists());
    let output = run(&["repair", &data, "--into", &saved]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(std::fs::read(segment).unwrap(), bytes, "the old store is as it was");
    for new in [&sound, &saved] {
        let output = run(&["verify", "--data-dir", new]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(text(&output.stdout).contains("; 0 findings\n"), "{output:?}");
    }
    let output = run(&["repair", &data, "--into", &sound]);
    assert_eq!(output.status.code(), Some(1), "a place that is taken: {output:?}");
    assert_eq!(run(&["repair", &data]).status.code(), Some(2));
}

#[test]
fn verify_leaves_other_directories_alone() {
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().to_str().unwrap();
    for data in [empty, &*format!("{empty}/missing")] {
        let output = run(&["verify", "--data-dir", data]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains(data), "{output:?}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn files_of_a_running_store_are_inspected() {
    let directory = tempfile::tempdir().unwrap();
    let _server = with_a_record(directory.path());
    // Later files of the log come and go while the server makes ready for them.
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (store, log) = (file("store"), file("log/0/commit-0000000000000001.log"));
    let output = run(&["inspect", &store, &log]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = text(&output.stdout);
    for words in [
        &*store,
        "Store, store ",
        &*log,
        "Log, store ",
        "group 1: position 0",
        "batch: 1 records, ordinals ",
    ] {
        assert!(lines.contains(words), "{words} is not in {lines}");
    }
    let output = run(&["inspect", &file("missing")]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn streams_are_shown_with_the_rates_that_metrics_tell() {
    let directory = tempfile::tempdir().unwrap();
    let server = with_a_record(directory.path());
    let shown = || {
        let endpoint = format!("http://{}", server.service);
        let metrics = format!("http://{}/metrics", server.admin);
        let describe = ["streams", "describe", "s", "--endpoint", &endpoint, "--metrics", &metrics];
        let output = run(&describe);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        text(&output.stdout)
    };
    let stream = shown();
    assert!(stream.contains("\nIn          0 records/s, 0 B/s\nOut "), "{stream}");
    assert!(!stream.contains("IN REC/S"), "{stream}");
    let metrics = r#"{"StreamName":"s","ShardLevelMetrics":["ALL"]}"#;
    let answer = server.call("EnableEnhancedMonitoring", metrics);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    server.call("PutRecord", r#"{"StreamName":"s","PartitionKey":"k","Data":"aGk="}"#);
    let shards = shown();
    assert!(shards.contains("  IN REC/S  IN B/S  OUT REC/S  OUT B/S  STARTING"), "{shards}");
}
