//! One connection to the endpoint, one call at a time on it.

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::rt::TokioIo;
use kinelog::aws::sigv4::signing;
use tokio::net::TcpStream;

use crate::arguments::{Encoding, Http, Load};
use crate::signer::Signer;

/// Whatever ends a run.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// A connection.
pub(crate) struct Client {
    sender: Sender,
    host: String,
    encoding: Encoding,
    signer: Rc<RefCell<Signer>>,
}

/// An answer in one piece.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
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

/// Host and port of an `http://` endpoint.
pub(crate) fn host_of(endpoint: &str) -> Result<String, Failure> {
    let rest = endpoint.strip_prefix("http://").ok_or("the endpoint must start with http://")?;
    let host = rest.split('/').next().unwrap_or(rest);
    Ok(if host.contains(':') { host.to_owned() } else { format!("{host}:80") })
}

impl Client {
    /// Connects; must run inside a `LocalSet`.
    pub(crate) async fn connect(
        load: &Load,
        signer: &Rc<RefCell<Signer>>,
    ) -> Result<Self, Failure> {
        let host = host_of(&load.endpoint)?;
        let stream = TcpStream::connect(&host).await?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        let sender = match load.http {
            Http::One => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::task::spawn_local(connection);
                Sender::One(sender)
            }
            Http::Two => {
                let (sender, connection) = http2::Builder::new(LocalExecutor)
                    .initial_stream_window_size(16 << 20)
                    .initial_connection_window_size(64 << 20)
                    .handshake(io)
                    .await?;
                tokio::task::spawn_local(connection);
                Sender::Two(sender)
            }
        };
        Ok(Self { sender, host, encoding: load.encoding, signer: Rc::clone(signer) })
    }

    /// Sends a body whose hash is known.
    pub(crate) async fn send(
        &mut self,
        target: &'static str,
        body: Bytes,
        hash: [u8; 32],
    ) -> Result<Answer, Failure> {
        let content_type = self.encoding.content_type();
        let headers = self.signer.borrow_mut().headers(&self.host, target, content_type, hash)?;
        let uri = match self.sender {
            Sender::One(_) => "/".to_owned(),
            Sender::Two(_) => format!("http://{}/", self.host),
        };
        let mut request = Request::post(uri).body(Full::new(body))?;
        *request.headers_mut() = headers;
        let response: Response<Incoming> = match &mut self.sender {
            Sender::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
            Sender::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await?
            }
        };
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Answer { status, body })
    }

    /// Sends any body.
    pub(crate) async fn call(
        &mut self,
        target: &'static str,
        body: Vec<u8>,
    ) -> Result<Answer, Failure> {
        let hash = signing::hash(&body);
        self.send(target, body.into(), hash).await
    }
}
