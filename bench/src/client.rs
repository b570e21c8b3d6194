//! One connection to the endpoint, one call at a time on it, made anew when the other side has
//! closed it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::header::HeaderMap;
use hyper::{Request, Response, StatusCode, Uri, body::Incoming};
use hyper_util::rt::TokioIo;
use kinelog::aws::sigv4::signing::{self, BodyHash};
use kinelog::client::tls::{self, Trust};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::arguments::{Encoding, Http, Load};
use crate::signer::{Head, Signer};

/// Whatever ends a run.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

enum Sender {
    One(http1::SendRequest<Full<Bytes>>),
    Two(http2::SendRequest<Full<Bytes>>),
}

/// A connection.
pub(crate) struct Client {
    sender: Sender,
    place: Rc<Place>,
    encoding: Encoding,
    signer: Rc<RefCell<Signer>>,
}

/// Where to connect, and how.
struct Place {
    host: String,
    http: Http,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    uri: Uri,
}

/// An answer in one piece.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

/// Runs what hyper leaves to others on the thread it is on.
#[derive(Clone, Copy)]
pub(crate) struct LocalExecutor;

impl<F: Future + 'static> hyper::rt::Executor<F> for LocalExecutor {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(async move {
            future.await;
        });
    }
}

/// Host and port of an endpoint, with the port of its scheme if it names none.
pub(crate) fn host_of(endpoint: &str) -> Result<String, Failure> {
    const PORTS: [(&str, u16); 4] =
        [("http://", 80), ("https://", 443), ("redis://", 6379), ("nats://", 4222)];
    let known =
        PORTS.iter().find_map(|(scheme, port)| Some((endpoint.strip_prefix(scheme)?, port)));
    let (rest, port) =
        known.ok_or("an endpoint begins with http://, https://, redis:// or nats://")?;
    let host = rest.split('/').next().unwrap_or(rest);
    Ok(if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") })
}

impl Place {
    fn of(load: &Load) -> Result<Self, Failure> {
        let host = host_of(&load.endpoint)?;
        let is_encrypted = load.endpoint.starts_with("https://");
        let tls = if is_encrypted { Some(connector(load, &host)?) } else { None };
        let uri = match load.http {
            Http::One => Uri::from_static("/"),
            Http::Two if is_encrypted => format!("https://{host}/").parse()?,
            Http::Two => format!("http://{host}/").parse()?,
        };
        Ok(Self { host, http: load.http, tls, uri })
    }

    async fn connect(&self) -> Result<Sender, Failure> {
        let stream = TcpStream::connect(&self.host).await?;
        stream.set_nodelay(true)?;
        match &self.tls {
            Some((connector, name)) => {
                let stream = connector.connect(name.clone(), stream).await?;
                self.shake_hands(TokioIo::new(stream)).await
            }
            None => self.shake_hands(TokioIo::new(stream)).await,
        }
    }

    async fn shake_hands<T>(&self, io: T) -> Result<Sender, Failure>
    where
        T: hyper::rt::Read + hyper::rt::Write + Unpin + 'static,
    {
        match self.http {
            Http::One => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::task::spawn_local(connection);
                Ok(Sender::One(sender))
            }
            Http::Two => {
                let (sender, connection) = http2::Builder::new(LocalExecutor)
                    .initial_stream_window_size(16 << 20)
                    .initial_connection_window_size(64 << 20)
                    .handshake(io)
                    .await?;
                tokio::task::spawn_local(connection);
                Ok(Sender::Two(sender))
            }
        }
    }
}

fn connector(load: &Load, host: &str) -> Result<(TlsConnector, ServerName<'static>), Failure> {
    let trust = if load.insecure { Trust::Everybody } else { Trust::System };
    let mut config: ClientConfig = tls::config(&trust)?;
    let protocol: &[u8] = match load.http {
        Http::One => b"http/1.1",
        Http::Two => b"h2",
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).to_owned();
    Ok((TlsConnector::from(Arc::new(config)), ServerName::try_from(name)?))
}

impl Client {
    /// Connects; must run inside a `LocalSet`.
    pub(crate) async fn connect(
        load: &Load,
        signer: &Rc<RefCell<Signer>>,
    ) -> Result<Self, Failure> {
        let place = Rc::new(Place::of(load)?);
        let sender = place.connect().await?;
        Ok(Self { sender, place, encoding: load.encoding, signer: Rc::clone(signer) })
    }

    /// Another client; in HTTP/2 it shares the connection.
    pub(crate) async fn another(&self) -> Result<Self, Failure> {
        let sender = match &self.sender {
            Sender::One(_) => self.place.connect().await?,
            Sender::Two(sender) => Sender::Two(sender.clone()),
        };
        let (place, signer) = (Rc::clone(&self.place), Rc::clone(&self.signer));
        Ok(Self { sender, place, encoding: self.encoding, signer })
    }

    /// Sends a body that is sent often.
    pub(crate) async fn send_again(
        &mut self,
        target: &str,
        body: Bytes,
        hash: BodyHash,
    ) -> Result<Answer, Failure> {
        let headers = self.signer.borrow_mut().kept_headers(self.head(target), hash)?;
        whole(self.send(headers, body).await?).await
    }

    /// Sends any body.
    pub(crate) async fn call(&mut self, target: &str, body: Bytes) -> Result<Answer, Failure> {
        whole(self.open(target, body).await?).await
    }

    /// Sends any body; the answer is still to be read.
    pub(crate) async fn open(
        &mut self,
        target: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        let headers = self.signer.borrow().headers(self.head(target), signing::hash(&body))?;
        self.send(headers, body).await
    }

    fn head<'h>(&'h self, target: &'h str) -> Head<'h> {
        Head { host: &self.place.host, target, content_type: self.encoding.content_type() }
    }

    async fn send(
        &mut self,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Incoming>, Failure> {
        match self.try_to_send(headers.clone(), body.clone()).await {
            // Some servers close a connection after some or every answer.
            Err(error)
                if error.is_canceled() || error.is_closed() || error.is_incomplete_message() =>
            {
                self.sender = self.place.connect().await?;
                Ok(self.try_to_send(headers, body).await?)
            }
            sent => Ok(sent?),
        }
    }

    async fn try_to_send(
        &mut self,
        headers: HeaderMap,
        body: Bytes,
    ) -> hyper::Result<Response<Incoming>> {
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = hyper::Method::POST;
        *request.uri_mut() = self.place.uri.clone();
        *request.headers_mut() = headers;
        match &mut self.sender {
            Sender::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Sender::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }
}

async fn whole(response: Response<Incoming>) -> Result<Answer, Failure> {
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    Ok(Answer { status, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_without_a_port_has_that_of_its_scheme() {
        assert_eq!(host_of("https://a.example/").unwrap(), "a.example:443");
        assert_eq!(host_of("redis://127.0.0.1:7000").unwrap(), "127.0.0.1:7000");
        assert!(host_of("ftp://a").is_err());
    }
}
