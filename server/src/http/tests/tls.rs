//! The four openings of the port, and bounds on handshakes.

use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::{Request, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kinelog_engine::device::clock::SystemClock;
use kinelog_engine::device::simulated::SimulatedDisk;
use rustls::pki_types::ServerName;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::tls::{Identity, self_signed};

const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// A certificate, and what trusts it.
async fn certificate(seed: u64) -> (Identity, RootCertStore) {
    let disk = SimulatedDisk::new(seed);
    let device = disk.device(Arc::new(SystemClock));
    let made = self_signed::load(&device, "/data".as_ref(), &[]).await.unwrap();
    let mut roots = RootCertStore::empty();
    let pem = &disk.snapshot()[&made.authority];
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
    (made.identity, roots)
}

/// A server with TLS, and what its clients trust.
async fn start_with(bounds: Bounds, plaintext: bool) -> (Server, Tls, RootCertStore) {
    let (identity, roots) = certificate(1).await;
    let tls = Tls::new(identity, "files", plaintext).unwrap();
    (Server::with(bounds, Duration::from_millis(10), Some(tls.clone())), tls, roots)
}

async fn start_tls() -> (Server, RootCertStore) {
    let (server, _, roots) = start_with(Bounds::default(), false).await;
    (server, roots)
}

type Stream = TlsStream<tokio::net::TcpStream>;

/// Connects with these protocols on offer; none sends no ALPN extension at all.
async fn connect(
    server: &Server,
    roots: &RootCertStore,
    versions: &[&'static SupportedProtocolVersion],
    protocols: &[&[u8]],
) -> std::io::Result<Stream> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

fn echo() -> Request<Full<Bytes>> {
    let mut request = Request::post("http://localhost/")
        .header("host", "localhost")
        .header("content-type", JSON)
        .header("x-amz-target", "Fake.Echo");
    for (name, value) in SIGNED.lines().filter_map(|line| line.split_once(": ")) {
        request = request.header(name, value);
    }
    request.body(Full::new("{}".into())).unwrap()
}

trait Bytestream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Bytestream for T {}

/// What came back: the version it came in, its status, its body.
type Answer = (Version, StatusCode, Bytes);

async fn take(response: hyper::Response<hyper::body::Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    (head.version, head.status, body.collect().await.unwrap().to_bytes())
}

async fn by_http1(stream: impl Bytestream) -> Answer {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    take(sender.send_request(echo()).await.unwrap()).await
}

async fn by_http2(stream: impl Bytestream) -> Answer {
    let io = TokioIo::new(stream);
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    take(sender.send_request(echo()).await.unwrap()).await
}

fn echoed(version: Version) -> Answer {
    (version, StatusCode::OK, "{}".into())
}

#[tokio::test]
async fn negotiated_protocols_are_served_in_both_versions_of_tls() {
    let (server, roots) = start_tls().await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let stream = connect(&server, &roots, &[version], &[H2, HTTP1]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(H2));
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        assert_eq!(by_http2(stream).await, echoed(Version::HTTP_2));
        let stream = connect(&server, &roots, &[version], &[HTTP1]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(HTTP1));
        assert_eq!(by_http1(stream).await, echoed(Version::HTTP_11));
    }
}

#[tokio::test]
async fn without_negotiation_the_first_bytes_inside_tell_the_protocol() {
    let (server, roots) = start_tls().await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let stream = connect(&server, &roots, &[version], &[]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), None);
        assert_eq!(by_http2(stream).await, echoed(Version::HTTP_2));
        let stream = connect(&server, &roots, &[version], &[]).await.unwrap();
        assert_eq!(by_http1(stream).await, echoed(Version::HTTP_11));
    }
}

#[tokio::test]
async fn a_client_of_other_protocols_only_is_refused() {
    let (server, roots) = start_tls().await;
    let refused = connect(&server, &roots, rustls::DEFAULT_VERSIONS, &[b"spdy/3"]).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("NoApplicationProtocol"), "{refused}");
}

#[tokio::test]
async fn clear_text_is_served_beside_tls_where_that_is_wanted() {
    let (server, _, roots) = start_with(Bounds::default(), true).await;
    let clear = async || tokio::net::TcpStream::connect(server.address()).await.unwrap();
    assert_eq!(by_http1(clear().await).await, echoed(Version::HTTP_11));
    assert_eq!(by_http2(clear().await).await, echoed(Version::HTTP_2));
    let stream = connect(&server, &roots, rustls::DEFAULT_VERSIONS, &[H2]).await.unwrap();
    assert_eq!(by_http2(stream).await, echoed(Version::HTTP_2));
}

#[tokio::test]
async fn clear_text_is_sent_to_tls_where_it_is_not() {
    let (server, _) = start_tls().await;
    let clear = async || tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let told = |version| {
        let text = "this port takes TLS only: use https://\n";
        (version, StatusCode::BAD_REQUEST, Bytes::from(text))
    };
    assert_eq!(by_http1(clear().await).await, told(Version::HTTP_11));
    assert_eq!(by_http2(clear().await).await, told(Version::HTTP_2));
}

#[tokio::test]
async fn a_large_answer_passes_whole() {
    let (server, roots) = start_tls().await;
    let stream = connect(&server, &roots, rustls::DEFAULT_VERSIONS, &[HTTP1]).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut request = echo();
    request.headers_mut().insert("x-amz-target", "Fake.Large".parse().unwrap());
    let (_, status, body) = take(sender.send_request(request).await.unwrap()).await;
    assert_eq!((status, body.len()), (StatusCode::OK, 64 << 20));
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_closes_none() {
    let (server, tls, roots) = start_with(Bounds::default(), false).await;
    let all = rustls::DEFAULT_VERSIONS;
    let stream = connect(&server, &roots, all, &[HTTP1]).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let (identity, new_roots) = certificate(2).await;
    tls.replace(identity);
    assert_eq!(take(sender.send_request(echo()).await.unwrap()).await, echoed(Version::HTTP_11));
    let stream = connect(&server, &new_roots, all, &[]).await.unwrap();
    assert_eq!(stream.get_ref().1.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let refused = connect(&server, &roots, all, &[]).await.unwrap_err().to_string();
    assert!(refused.contains("invalid peer certificate"), "{refused}");
}

#[tokio::test]
async fn a_handshake_that_takes_too_long_ends_the_connection() {
    let bounds = Bounds { handshake_time_max: Duration::from_millis(30), ..Bounds::default() };
    let (server, ..) = start_with(bounds, false).await;
    for opening in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01"] {
        let mut client = server.connect();
        client.write(opening);
        assert!(client.is_closed(), "{opening:?}");
    }
    while server.metrics.handshakes.get() > 0 {
        tokio::task::yield_now().await; // Counted a little later than seen.
    }
    assert_eq!(server.metrics.failed_handshakes.get(), 3);
}

#[tokio::test]
async fn bytes_that_are_no_handshake_end_the_connection() {
    let (server, _) = start_tls().await;
    let mut client = server.connect();
    client.write(b"\x16\x03\x01\x00\x05hello");
    while client.byte().is_some() {} // An alert, then the end.
    while server.metrics.failed_handshakes.get() < 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn no_more_handshakes_than_allowed_are_under_way_at_once() {
    let bounds = Bounds {
        handshake_time_max: Duration::from_hours(1),
        handshakes_max: 1,
        ..Bounds::default()
    };
    let (server, _, roots) = start_with(bounds, false).await;
    let silent = server.connect();
    while server.metrics.handshakes.get() < 1 {
        tokio::task::yield_now().await;
    }
    assert!(server.connect().is_closed());
    assert_eq!(server.metrics.refused_connections.get(), 1);
    drop(silent);
    while server.metrics.handshakes.get() > 0 {
        tokio::task::yield_now().await;
    }
    let stream = connect(&server, &roots, rustls::DEFAULT_VERSIONS, &[]).await.unwrap();
    assert_eq!(by_http1(stream).await, echoed(Version::HTTP_11));
}

#[tokio::test]
async fn stopping_does_not_wait_for_handshakes() {
    let bounds = Bounds { handshake_time_max: Duration::from_hours(1), ..Bounds::default() };
    let (identity, _) = certificate(1).await;
    let tls = Tls::new(identity, "files", false).unwrap();
    let server = Server::with(bounds, Duration::from_hours(1), Some(tls));
    let _silent = server.connect();
    while server.metrics.handshakes.get() < 1 {
        tokio::task::yield_now().await;
    }
    let metrics = Arc::clone(&server.metrics);
    server.running.stop();
    assert_eq!(metrics.connections.get(), 0);
}
