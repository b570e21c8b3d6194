//! The floors a load stands on: the same requests against a hyper server that only reads bodies
//! and answers, a hyper server that only sends one static body, and raw durable device writes
//! through `io_uring`. All run in this process, on the same cores, in the same run.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::task::LocalSet;
use tokio_uring::buf::BoundedBuf;

use crate::arguments::{Encoding, Load};
use crate::client::Failure;
use crate::latency::Tally;
use crate::payload::Payloads;
use crate::report::{Outcome, Report};
use crate::run::{self, Work};

/// Group sizes of the raw device writes, in bytes.
const GROUP_BYTES: &[usize] = &[4 << 10, 64 << 10, 1 << 20, 4 << 20];
/// Length of the file written round and round, in bytes.
const FILE_BYTES: usize = 64 << 20;

/// `floor`: all floors of one load.
pub(crate) fn all(load: &Load) -> Result<(), Failure> {
    let mut report = Report::new("floor", load);
    let payloads = Arc::new(Payloads::new(load, "bench"));
    beside(load, &payloads, &mut report)?;
    report.finish(load.json.as_deref())
}

/// Floors of a put load, added to its report.
pub(crate) fn beside(
    load: &Load,
    payloads: &Arc<Payloads>,
    report: &mut Report,
) -> Result<(), Failure> {
    report.add("floor: null server", &null_server(load, payloads)?);
    for &bytes in GROUP_BYTES {
        let outcome = device(&load.device_dir, bytes, load.seconds)?;
        report.add(&format!("floor: device, {} KiB", bytes >> 10), &outcome);
    }
    Ok(())
}

/// The load's own requests against a server that reads them and answers a constant.
pub(crate) fn null_server(load: &Load, payloads: &Arc<Payloads>) -> Result<Outcome, Failure> {
    let answer = put_answer(load);
    let server = Server::start(&answer, load.encoding)?;
    let load = Load { endpoint: server.endpoint(), ..load.clone() };
    run::drive(&load, &Work::Put(Arc::clone(payloads)))
}

/// As many GetRecords-sized answers as a server can send that has nothing else to do.
pub(crate) fn static_body(load: &Load, bytes: usize) -> Result<Outcome, Failure> {
    let records = (bytes / load.record_bytes.max(1)).max(1);
    let body = get_answer(load, records);
    let server = Server::start(&body, load.encoding)?;
    let load = Load { endpoint: server.endpoint(), ..load.clone() };
    let payloads = Arc::new(Payloads::new(&Load { batch: 1, ..load.clone() }, "bench"));
    run::drive(&load, &Work::Get(Arc::new(vec!["AAAA".to_owned()]), payloads))
}

fn put_answer(load: &Load) -> Bytes {
    const SHARD: &str = "shardId-000000000000";
    const SEQUENCE: &str = "49669554613075263284170738169223374761157254194237800450";
    if load.batch == 1 {
        return match load.encoding {
            Encoding::Json => {
                format!(r#"{{"ShardId":"{SHARD}","SequenceNumber":"{SEQUENCE}"}}"#).into()
            }
            Encoding::Cbor => cbor(|out| {
                out.map(2)?.str("ShardId")?.str(SHARD)?.str("SequenceNumber")?.str(SEQUENCE)?;
                Ok(())
            }),
        };
    }
    match load.encoding {
        Encoding::Json => {
            let entry = format!(r#"{{"SequenceNumber":"{SEQUENCE}","ShardId":"{SHARD}"}}"#);
            let entries = vec![entry; load.batch].join(",");
            format!(r#"{{"FailedRecordCount":0,"Records":[{entries}]}}"#).into()
        }
        Encoding::Cbor => cbor(|out| {
            out.map(2)?.str("FailedRecordCount")?.u8(0)?.str("Records")?;
            out.array(load.batch as u64)?;
            for _ in 0..load.batch {
                out.map(2)?.str("SequenceNumber")?.str(SEQUENCE)?.str("ShardId")?.str(SHARD)?;
            }
            Ok(())
        }),
    }
}

fn get_answer(load: &Load, records: usize) -> Bytes {
    let data = vec![0x5a; load.record_bytes];
    match load.encoding {
        Encoding::Json => {
            let data = base64_simd::STANDARD.encode_to_string(&data);
            let record = format!(
                r#"{{"SequenceNumber":"49669554613075263284170738169223374761157254194237800450","ApproximateArrivalTimestamp":1733245678.123,"Data":"{data}","PartitionKey":"key-0123456789abcdef"}}"#
            );
            let records = vec![record; records].join(",");
            format!(
                r#"{{"Records":[{records}],"NextShardIterator":"AAAA","MillisBehindLatest":0}}"#
            )
            .into()
        }
        Encoding::Cbor => cbor(|out| {
            out.map(2)?.str("Records")?.array(records as u64)?;
            for _ in 0..records {
                out.map(3)?.str("SequenceNumber")?.str("0123456789")?;
                out.str("Data")?.bytes(&data)?.str("PartitionKey")?.str("key-0123456789abcdef")?;
            }
            out.str("NextShardIterator")?.str("AAAA")?;
            Ok(())
        }),
    }
}

type CborResult = Result<(), minicbor::encode::Error<Infallible>>;

fn cbor(write: impl FnOnce(&mut minicbor::Encoder<Vec<u8>>) -> CborResult) -> Bytes {
    let mut out = minicbor::Encoder::new(Vec::new());
    write(&mut out).expect("writing to memory does not fail");
    out.into_writer().into()
}

/// A hyper server with one thread for each core, as the measured one has.
struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

impl Server {
    fn start(answer: &Bytes, encoding: Encoding) -> Result<Self, Failure> {
        let first = listener("127.0.0.1:0".parse()?)?;
        let address = first.local_addr()?;
        let cores = std::thread::available_parallelism()?.get();
        let mut listeners = vec![first];
        for _ in 1..cores {
            listeners.push(listener(address)?);
        }
        let stop = Arc::new(AtomicBool::new(false));
        let threads = listeners
            .into_iter()
            .map(|listener| {
                let (answer, stop) = (answer.clone(), Arc::clone(&stop));
                std::thread::spawn(move || serve(listener, &answer, encoding, &stop))
            })
            .collect();
        Ok(Self { address, stop, threads })
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                eprintln!("kinelog-bench: a thread of the null server panicked");
            }
        }
    }
}

fn listener(address: SocketAddr) -> Result<std::net::TcpListener, Failure> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.set_reuse_port(true)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    Ok(socket.into())
}

fn serve(listener: std::net::TcpListener, answer: &Bytes, encoding: Encoding, stop: &AtomicBool) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a thread that just started can make a runtime");
    LocalSet::new().block_on(&runtime, async {
        let listener = tokio::net::TcpListener::from_std(listener);
        let listener = listener.expect("the listener is non-blocking and the runtime has I/O");
        let mut tick = tokio::time::interval(Duration::from_millis(50));
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        tokio::task::spawn_local(connection(stream, answer.clone(), encoding));
                    }
                }
                _ = tick.tick() => if stop.load(Ordering::Relaxed) { return },
            }
        }
    });
}

async fn connection(stream: tokio::net::TcpStream, answer: Bytes, encoding: Encoding) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer.clone();
        async move {
            let mut body = request.into_body();
            while let Some(Ok(_)) = body.frame().await {}
            let response = Response::builder()
                .header("content-type", encoding.content_type())
                .header("x-amzn-requestid", "00000000-0000-0000-0000-000000000000");
            Ok::<_, Infallible>(
                response.body(Full::new(answer)).expect("constant headers are sound"),
            )
        }
    });
    let made = stream.set_nodelay(true);
    let server = hyper_util::server::conn::auto::Builder::new(LocalExecutor);
    // The client ends the connection when its run is over; that is no error of the floor.
    if made.is_ok() && server.serve_connection(TokioIo::new(stream), service).await.is_err() {}
}

#[derive(Clone, Copy)]
struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}

/// Durable writes of `bytes` each, one after the other, into a file written before.
pub(crate) fn device(directory: &Path, bytes: usize, seconds: f64) -> Result<Outcome, Failure> {
    let path = directory.join(format!("kinelog-bench-{:08x}.raw", fastrand::u32(..)));
    let outcome = tokio_uring::start(write_round_and_round(path.clone(), bytes, seconds));
    tokio_uring::start(async { tokio_uring::fs::remove_file(&path).await })?;
    outcome
}

const ALIGNMENT: usize = 4096;
const O_DIRECT: i32 = rustix::fs::OFlags::DIRECT.bits().cast_signed();
const O_DSYNC: i32 = rustix::fs::OFlags::DSYNC.bits().cast_signed();

#[expect(clippy::disallowed_methods, reason = "the floor stands outside the engine's seam")]
fn open_direct(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).custom_flags(O_DIRECT | O_DSYNC).open(path)
}

async fn write_round_and_round(
    path: PathBuf,
    bytes: usize,
    seconds: f64,
) -> Result<Outcome, Failure> {
    prepare(&path).await?;
    let file = tokio_uring::fs::File::from_std(open_direct(&path)?);
    let mut tally = Tally::new();
    let mut buffer = vec![0xa5_u8; bytes + ALIGNMENT];
    let address = buffer.as_ptr().addr();
    let start = address.next_multiple_of(ALIGNMENT) - address;
    let (started, mut offset) = (Instant::now(), 0);
    while started.elapsed().as_secs_f64() < seconds {
        let before = Instant::now();
        let slice = buffer.slice(start..start + bytes);
        let (written, slice) = file.write_at(slice, offset as u64).submit().await;
        buffer = slice.into_inner();
        if written? != bytes {
            return Err("the device took less than a whole group".into());
        }
        tally.time(u64::try_from(before.elapsed().as_micros()).unwrap_or(u64::MAX));
        tally.calls += 1;
        tally.bytes += bytes as u64;
        offset = if offset + 2 * bytes <= FILE_BYTES { offset + bytes } else { 0 };
    }
    let mut outcome = Outcome::new();
    outcome.seconds = started.elapsed().as_secs_f64();
    outcome.tally = tally;
    file.close().await?;
    Ok(outcome)
}

/// A file whose blocks were all written once, as the log's are.
async fn prepare(path: &Path) -> Result<(), Failure> {
    const PIECE: usize = 1 << 20;
    let file = tokio_uring::fs::File::create(path).await?;
    let mut piece = vec![0_u8; PIECE];
    for offset in (0..FILE_BYTES).step_by(PIECE) {
        let (written, returned) = file.write_all_at(piece, offset as u64).await;
        written?;
        piece = returned;
    }
    file.sync_all().await?;
    file.close().await?;
    Ok(())
}
