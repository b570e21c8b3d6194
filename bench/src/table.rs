//! The table of README: starts a server, runs every row beside its floors, several rounds
//! interleaved, and prints medians.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::arguments::{Encoding, Http, Load, Table};
use crate::client::Failure;
use crate::floor;
use crate::payload::Payloads;
use crate::report::{Outcome, conditions_text, write_file};
use crate::run;

/// One row before its shard count.
struct Row {
    name: &'static str,
    batch: usize,
    record_bytes: usize,
    connections: usize,
    encoding: Encoding,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Put,
    Get,
}

const ROWS: &[Row] = &[
    Row {
        name: "PutRecords 500 x 1 KiB, JSON",
        batch: 500,
        record_bytes: 1024,
        connections: 16,
        encoding: Encoding::Json,
        kind: Kind::Put,
    },
    Row {
        name: "PutRecords 500 x 1 KiB, CBOR",
        batch: 500,
        record_bytes: 1024,
        connections: 16,
        encoding: Encoding::Cbor,
        kind: Kind::Put,
    },
    Row {
        name: "PutRecord 100 B, JSON",
        batch: 1,
        record_bytes: 100,
        connections: 64,
        encoding: Encoding::Json,
        kind: Kind::Put,
    },
    Row {
        name: "GetRecords 1 KiB, JSON",
        batch: 500,
        record_bytes: 1024,
        connections: 4,
        encoding: Encoding::Json,
        kind: Kind::Get,
    },
    Row {
        name: "GetRecords 1 KiB, CBOR",
        batch: 500,
        record_bytes: 1024,
        connections: 4,
        encoding: Encoding::Cbor,
        kind: Kind::Get,
    },
];

/// Figures of one cell over all rounds.
#[derive(Default)]
struct Cell {
    ours: Vec<f64>,
    calls: Vec<f64>,
    p50: Vec<f64>,
    p99: Vec<f64>,
    http_floor: Vec<f64>,
    device_floor: Vec<f64>,
}

/// `table`.
pub(crate) fn run(table: &Table) -> Result<(), Failure> {
    let mut cells: Vec<Cell> = Vec::new();
    cells.resize_with(ROWS.len() * table.shards.len(), Cell::default);
    for _ in 0..table.rounds.max(1) {
        for (s, &shards) in table.shards.iter().enumerate() {
            for (r, row) in ROWS.iter().enumerate() {
                measure(table, row, shards, &mut cells[r * table.shards.len() + s])?;
            }
        }
    }
    let flush = floor::device(&table.directory, 4096, 1.0)?;
    print(table, &cells, flush.millis(50.0))
}

fn measure(table: &Table, row: &Row, shards: u32, cell: &mut Cell) -> Result<(), Failure> {
    let server = Server::start(table)?;
    let load = Load {
        endpoint: server.endpoint.clone(),
        region: "us-east-1".to_owned(),
        shards,
        record_bytes: row.record_bytes,
        batch: row.batch,
        connections: row.connections,
        rate: None,
        seconds: table.seconds,
        warm_up: 0.5,
        encoding: row.encoding,
        http: Http::One,
        threads: 1,
        fill_mb: 128,
        verify: false,
        floors: false,
        device_dir: table.directory.clone(),
        json: None,
    };
    let (outcome, http_floor) = match row.kind {
        Kind::Put => {
            let outcome = run::put_once(&load)?;
            let payloads = Arc::new(Payloads::new(&load, "bench"));
            (outcome, floor::null_server(&load, &payloads)?)
        }
        Kind::Get => {
            let outcome = run::get_once(&load)?;
            let floor = floor::static_body(&load, outcome.answer_bytes())?;
            (outcome, floor)
        }
    };
    drop(server);
    refuse_failures(row, &outcome)?;
    cell.ours.push(outcome.megabytes_per_second());
    cell.calls.push(outcome.calls_per_second());
    cell.p50.push(outcome.millis(50.0));
    cell.p99.push(outcome.millis(99.0));
    cell.http_floor.push(http_floor.megabytes_per_second());
    if row.kind == Kind::Put {
        cell.device_floor.push(device_floor(table)?);
    }
    Ok(())
}

/// A figure with refused calls in it would be another load's figure.
fn refuse_failures(row: &Row, outcome: &Outcome) -> Result<(), Failure> {
    let failed = outcome.tally.failed_calls + outcome.tally.failed_records;
    if failed > 0 || outcome.tally.calls == 0 {
        return Err(format!("{}: {failed} calls or records failed", row.name).into());
    }
    Ok(())
}

/// The best of the group sizes the log can reach, in MB/s.
fn device_floor(table: &Table) -> Result<f64, Failure> {
    let mut best = 0.0_f64;
    for bytes in [1 << 20, 4 << 20] {
        let outcome = floor::device(&table.directory, bytes, table.seconds / 4.0)?;
        best = best.max(outcome.megabytes_per_second());
    }
    Ok(best)
}

fn print(table: &Table, cells: &[Cell], flush_ms: f64) -> Result<(), Failure> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{}; durability {}; device: 4 KiB durable write p50 {flush_ms:.3} ms; HTTP/1.1; medians of {} rounds of {} s",
        conditions_text(),
        table.durability,
        table.rounds,
        table.seconds
    )?;
    writeln!(
        out,
        "\n| load | shards | calls/s | MB/s | p50 ms | p99 ms | HTTP floor MB/s | device floor MB/s | of the slower floor |"
    )?;
    writeln!(out, "|---|---|---|---|---|---|---|---|---|")?;
    let mut rows = Vec::new();
    for (r, row) in ROWS.iter().enumerate() {
        for (s, shards) in table.shards.iter().enumerate() {
            let cell = &cells[r * table.shards.len() + s];
            let ours = median(&cell.ours);
            let http = median(&cell.http_floor);
            let device = if cell.device_floor.is_empty() {
                f64::INFINITY
            } else {
                median(&cell.device_floor)
            };
            let device_text =
                if device.is_finite() { format!("{device:.0}") } else { "-".to_owned() };
            let share = ours / http.min(device) * 100.0;
            let (calls, p50, p99) = (median(&cell.calls), median(&cell.p50), median(&cell.p99));
            writeln!(
                out,
                "| {} | {shards} | {calls:.0} | {ours:.1} | {p50:.2} | {p99:.2} | {http:.1} | {device_text} | {share:.0} % |",
                row.name
            )?;
            rows.push(json!({
                "load": row.name, "shards": shards, "calls_per_second": calls, "megabytes_per_second": ours,
                "p50_ms": p50, "p99_ms": p99, "http_floor": http,
                "device_floor": device.is_finite().then_some(device), "share_percent": share,
            }));
        }
    }
    if let Some(path) = &table.json {
        let whole =
            json!({"conditions": conditions_text(), "device_4k_p50_ms": flush_ms, "rows": rows});
        write_file(path, whole.to_string().as_bytes())?;
    }
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// A server process on a fresh data directory, both gone when dropped.
struct Server {
    process: Child,
    directory: std::path::PathBuf,
    endpoint: String,
}

impl Server {
    fn start(table: &Table) -> Result<Self, Failure> {
        let directory = table.directory.join(format!("kinelog-bench-{:08x}", fastrand::u32(..)));
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Command::new(&table.server)
            .args(["serve", "--limits", "off", "--transition-ms", "1", "--admin-listen", "off"])
            .args(["--durability", &table.durability])
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .arg("--data-dir")
            .arg(&directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut server = Self { process, directory, endpoint: format!("http://127.0.0.1:{port}") };
        server.wait_until_it_listens(port)?;
        Ok(server)
    }

    fn wait_until_it_listens(&mut self, port: u16) -> Result<(), Failure> {
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("the server ended: {status}").into());
            }
            std::thread::park_timeout(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let ended = self.process.kill().and_then(|()| self.process.wait());
        if let Err(error) = ended.and_then(|_| remove_directory(&self.directory)) {
            eprintln!("kinelog-bench: {}: {error}", self.directory.display());
        }
    }
}

fn remove_directory(path: &Path) -> std::io::Result<()> {
    std::fs::remove_dir_all(path)
}
