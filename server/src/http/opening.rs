//! How a connection opens: in clear text or by TLS, told by its first byte. What comes next, HTTP/1.1
//! or HTTP/2, is told by the bytes inside either, so a client that does not negotiate a protocol in
//! its handshake may use both.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::api::Api;
use super::connection::{self, Protocols, Requests};
use super::pipeline::Front;
use crate::metrics::Metrics;
use crate::tls::Tls;

/// First byte of every TLS connection, and of no HTTP request: the content type `handshake`.
const TLS_OPENING: u8 = 0x16;

/// Serves `stream` as it opens, until either side ends it or `stop` turns true.
pub(super) async fn serve<A: Api>(
    stream: TcpStream,
    front: Rc<Front<A>>,
    protocols: &Protocols,
    mut stop: watch::Receiver<bool>,
) {
    let Some(tls) = &front.tls else {
        return connection::serve(stream, Requests::Served, front, protocols, stop).await;
    };
    // Boxed, so that connections keep no room for a handshake that is over, or never comes.
    let opened = tokio::select! {
        opened = Box::pin(open(stream, tls, &front)) => opened,
        _ = stop.wait_for(|stop| *stop) => return,
    };
    match opened {
        Some(Opened::Tls(stream)) => {
            connection::serve(stream, Requests::Served, front, protocols, stop).await;
        }
        Some(Opened::Clear(stream)) => {
            let requests = if tls.plaintext() { Requests::Served } else { Requests::SentToTls };
            connection::serve(stream, requests, front, protocols, stop).await;
        }
        None => {}
    }
}

/// A connection whose opening is over.
enum Opened {
    Clear(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// Waits for the first byte, and for the handshake if it is one; `None` when nothing comes of it.
async fn open<A: Api>(stream: TcpStream, tls: &Tls, front: &Front<A>) -> Option<Opened> {
    let _counted = Handshake::count(front)?;
    let opening = async {
        let mut first = [0];
        if stream.peek(&mut first).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if first != [TLS_OPENING] {
            return Ok(Opened::Clear(stream));
        }
        let acceptor = TlsAcceptor::from(Arc::clone(tls.config()));
        Ok(Opened::Tls(Box::new(acceptor.accept(stream).await?)))
    };
    let failure: io::Error =
        match tokio::time::timeout(front.bounds.handshake_time_max, opening).await {
            Ok(Ok(opened)) => return Some(opened),
            Ok(Err(failure)) => failure,
            Err(elapsed) => elapsed.into(),
        };
    front.metrics.failed_handshakes.inc();
    tracing::debug!(error = %failure, "no TLS connection");
    None
}

/// One handshake in the count of all.
struct Handshake(Arc<Metrics>);

impl Handshake {
    /// Counts a handshake in, unless there are too many.
    fn count<A: Api>(front: &Front<A>) -> Option<Self> {
        let metrics = &front.metrics;
        let handshake = Self(Arc::clone(metrics));
        metrics.handshakes.inc();
        let max = i64::try_from(front.bounds.handshakes_max).unwrap_or(i64::MAX);
        if metrics.handshakes.get() > max {
            metrics.refused_connections.inc();
            return None;
        }
        Some(handshake)
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.0.handshakes.dec();
    }
}
