//! A hyper server with one thread for each core, as the measured one has, that reads requests and
//! always answers the same. It runs as a process of its own, so that its share of the processor is
//! told apart from the generator's.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::task::LocalSet;

use crate::arguments::{Constant, Encoding, Load};
use crate::client::{Failure, LocalExecutor};

/// The process, which ends when this is dropped.
pub(crate) struct ConstantServer {
    process: Child,
    endpoint: String,
}

impl ConstantServer {
    pub(crate) fn start(answer: &[u8], encoding: Encoding) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["constant-server", "--content-type", encoding.content_type()])
            .args(["--answer-bytes", &answer.len().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take();
        let mut server = Self { process, endpoint: String::new() };
        let input = server.process.stdin.as_mut().ok_or("the null server has no input")?;
        input.write_all(answer)?;
        let mut line = String::new();
        BufReader::new(output.ok_or("the null server has no output")?).read_line(&mut line)?;
        server.endpoint = format!("http://{}", line.trim());
        Ok(server)
    }

    /// The load, against this server.
    pub(crate) fn load(&self, load: &Load) -> Load {
        Load { endpoint: self.endpoint.clone(), pid: Some(self.process.id()), ..load.clone() }
    }
}

impl Drop for ConstantServer {
    fn drop(&mut self) {
        let ended = self.process.kill().and_then(|()| self.process.wait());
        if let Err(error) = ended {
            eprintln!("kinelog-bench: the null server did not end: {error}");
        }
    }
}

/// The process: serves until its input ends, which it does with the process that started it.
pub(crate) fn serve(constant: &Constant) -> Result<(), Failure> {
    let mut answer = vec![0; constant.answer_bytes];
    std::io::stdin().read_exact(&mut answer)?;
    let answer = Answer { body: answer.into(), content_type: constant.content_type.clone().into() };
    let first = listener("127.0.0.1:0".parse()?)?;
    let address = first.local_addr()?;
    let cores = std::thread::available_parallelism()?.get();
    let mut listeners = vec![first];
    for _ in 1..cores {
        listeners.push(listener(address)?);
    }
    writeln!(std::io::stdout(), "{address}")?;
    for listener in listeners {
        let answer = answer.clone();
        std::thread::spawn(move || accept(listener, &answer));
    }
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

#[derive(Clone)]
struct Answer {
    body: Bytes,
    content_type: std::sync::Arc<str>,
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

fn accept(listener: std::net::TcpListener, answer: &Answer) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::task::spawn_local(connection(stream, answer.clone()));
        }
    })
}

async fn connection(stream: tokio::net::TcpStream, answer: Answer) {
    let service = service_fn(|request: Request<Incoming>| {
        let answer = answer.clone();
        async move {
            let mut body = request.into_body();
            while let Some(Ok(_)) = body.frame().await {}
            let response = Response::builder()
                .header("content-type", &*answer.content_type)
                .header("x-amzn-requestid", "00000000-0000-0000-0000-000000000000");
            Ok::<_, Infallible>(
                response.body(Full::new(answer.body)).expect("constant headers are sound"),
            )
        }
    });
    let made = stream.set_nodelay(true);
    let server = hyper_util::server::conn::auto::Builder::new(LocalExecutor);
    // The client ends the connection when its run is over; that is no error of the floor.
    if made.is_ok() && server.serve_connection(TokioIo::new(stream), service).await.is_err() {}
}
