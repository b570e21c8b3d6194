//! TLS as its users meet it: certificates from files and of the server's own.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::*;

/// A connection over TLS that goes on after an answer.
struct Secured(StreamOwned<ClientConnection, TcpStream>);

impl Secured {
    /// Connects as `name`, trusting the first certificate of this PEM text.
    fn connect(address: SocketAddr, trusted: &str, name: &'static str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name).unwrap();
        let connection = ClientConnection::new(Arc::new(config), name).unwrap();
        Self(StreamOwned::new(connection, TcpStream::connect(address).unwrap()))
    }

    /// Status line of the answer to a request, or why there is none.
    fn ask(&mut self) -> std::io::Result<String> {
        self.0.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = text(&head);
        let (_, length) = head.split_once("content-length: ").unwrap();
        let length = length.split("\r\n").next().unwrap().parse().unwrap();
        self.0.read_exact(&mut vec![0; length])?;
        Ok(head.lines().next().unwrap().to_owned())
    }
}

/// What the service says to a request without an operation.
const FORBIDDEN: &str = "HTTP/1.1 403 Forbidden";

/// A certificate for localhost and its key, as texts.
fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn hang_up(server: &Server) {
    let id = i32::try_from(server.process.id()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::HUP).unwrap();
}

#[test]
fn the_own_certificate_is_kept_and_told() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let options = ["--tls=self-signed", "--tls-name=kinelog.test"];
    let server = Server::with(&data, &options);
    let (authority, kept) = (data.join("tls/ca.pem"), data.join("tls/server.pem"));
    assert!(server.lines.contains("made just now"), "{}", server.lines);
    let told = format!("AWS_CA_BUNDLE={}", authority.display());
    assert!(server.lines.contains(&told), "{}", server.lines);
    assert!(server.get("/health").contains(r#""tls":"self-signed""#));
    assert!(server.get("/metrics").contains(r#"tls="self-signed""#));
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    let trusted = std::fs::read_to_string(&authority).unwrap();
    assert_eq!(server.end(Signal::TERM).0, Some(0));

    let server = Server::with(&data, &options);
    assert!(server.lines.contains("kept from before"), "{}", server.lines);
    for name in ["localhost", "127.0.0.1", "::1", "kinelog.test"] {
        let mut client = Secured::connect(server.service, &trusted, name);
        assert_eq!(client.ask().unwrap(), FORBIDDEN);
    }
    let refused = Secured::connect(server.service, &trusted, "other.test").ask().unwrap_err();
    assert!(refused.to_string().contains("certificate not valid for name"), "{refused}");
    let clear = server.call("ListStreams", "{}");
    assert!(clear.contains("this port takes TLS only"), "{clear}");
    assert_eq!(server.end(Signal::TERM).0, Some(0));
    let output = run(&["verify", "--data-dir", data.to_str().unwrap()]);
    assert!(text(&output.stdout).contains("; 0 findings\n"), "{output:?}");
}

#[test]
fn sighup_reads_the_certificate_again_and_closes_no_connection() {
    let directory = tempfile::tempdir().unwrap();
    let (chain, key) = (directory.path().join("c.pem"), directory.path().join("k.pem"));
    let write = |pair: &(String, String)| {
        std::fs::write(&chain, &pair.0).unwrap();
        std::fs::write(&key, &pair.1).unwrap();
    };
    let (first, second) = (pair(), pair());
    write(&first);
    let options = [
        &*format!("--tls-cert={}", chain.display()),
        &*format!("--tls-key={}", key.display()),
        "--plaintext",
        ANY_DATE,
    ];
    let mut server = Server::with(&directory.path().join("data"), &options);
    let mut client = Secured::connect(server.service, &first.0, "localhost");
    assert_eq!(client.ask().unwrap(), FORBIDDEN);

    write(&(first.0.clone(), second.1.clone()));
    hang_up(&server);
    server.wait_for("the certificate stays as it was");
    assert_eq!(Secured::connect(server.service, &first.0, "localhost").ask().unwrap(), FORBIDDEN);

    write(&second);
    hang_up(&server);
    server.wait_for("the certificate was read again");
    assert_eq!(client.ask().unwrap(), FORBIDDEN);
    assert_eq!(Secured::connect(server.service, &second.0, "localhost").ask().unwrap(), FORBIDDEN);
    Secured::connect(server.service, &first.0, "localhost").ask().unwrap_err();
    assert!(server.call("ListStreams", "{}").starts_with("HTTP/1.1 200 "));
}

#[test]
fn wrong_tls_options_are_refused_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let (chain, key) = pair();
    std::fs::write(directory.path().join("c.pem"), &chain).unwrap();
    std::fs::write(directory.path().join("k.pem"), &key).unwrap();
    std::fs::write(directory.path().join("other.pem"), pair().1).unwrap();
    for (options, code, words) in [
        (&["--tls-cert=c.pem"][..], 2, "--tls-key <FILE>"),
        (&["--tls-key=k.pem"], 2, "--tls-cert <FILE>"),
        (&["--tls=self-signed", "--tls-cert=c.pem", "--tls-key=k.pem"], 2, "cannot be used with"),
        (&["--tls=files"], 2, "[possible values: self-signed]"),
        (&["--tls=self-signed", "--tls-name=*.test"], 2, "a host name without wildcards"),
        (&["--tls-cert=missing.pem", "--tls-key=k.pem"], 1, "missing.pem"),
        (&["--tls-cert=k.pem", "--tls-key=k.pem"], 1, "k.pem holds no certificate in PEM form"),
        (&["--tls-cert=c.pem", "--tls-key=c.pem"], 1, "c.pem holds no private key"),
        (&["--tls-cert=c.pem", "--tls-key=other.pem"], 1, "other.pem"),
    ] {
        let mut command = kinelog();
        let fixed = ["--listen=127.0.0.1:0", "--admin-listen=off", "--data-dir=data"];
        let output = command.current_dir(directory.path()).args(fixed).args(options).output();
        let output = output.unwrap();
        let log = text(&output.stderr);
        let sentence = log.lines().last().unwrap();
        assert_eq!(output.status.code(), Some(code), "{log}");
        assert!(sentence.starts_with("kinelog: ") && sentence.contains(words), "{log}");
    }
}
