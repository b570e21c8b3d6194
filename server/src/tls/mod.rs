//! TLS 1.2 and 1.3: the certificate the server shows, and the settings of its handshakes.
//!
//! The certificate comes from files of the user's ([`files`]) or is made by the server itself
//! ([`self_signed`]). It can be replaced while the server runs: handshakes that begin later show
//! the new one, connections that are open stay. Keys and nonces are drawn by the cryptography
//! library from the system, not through the device.

mod error;
pub mod files;
pub mod self_signed;
#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

pub use error::TlsError;

/// Protocols named to clients that ask, the preferred one first. A client that does not ask is
/// told by its first bytes, as on a port without TLS.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// A certificate chain, leaf first, with the key of its leaf.
#[derive(Clone, Debug)]
pub struct Identity(Arc<CertifiedKey>);

/// TLS as a port of the server speaks it. Cheap to clone; clones show the same certificate.
#[derive(Clone, Debug)]
pub struct Tls {
    config: Arc<ServerConfig>,
    shown: Arc<Shown>,
    source: &'static str,
    plaintext: bool,
}

impl Tls {
    /// Shows `identity`, which comes from `source` (one word, for health and metrics). Clear text
    /// on the same port is served too if `plaintext` is true, else told to use TLS.
    ///
    /// # Errors
    ///
    /// The cryptography library refuses, for want of randomness.
    pub fn new(
        identity: Identity,
        source: &'static str,
        plaintext: bool,
    ) -> Result<Self, TlsError> {
        let shown = Arc::new(Shown(RwLock::new(identity)));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Shown>::clone(&shown));
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        // Some clients open a connection for each request; tickets make the later ones cheap.
        config.ticketer = ring::Ticketer::new().map_err(TlsError::Setup)?;
        Ok(Self { config: Arc::new(config), shown, source, plaintext })
    }

    /// Shows `identity` from the next handshake on.
    pub fn replace(&self, identity: Identity) {
        *self.shown.0.write().unwrap_or_else(PoisonError::into_inner) = identity;
    }

    /// Where the certificate comes from, in one word.
    pub const fn source(&self) -> &'static str {
        self.source
    }

    /// True when clear text is served on the same port.
    pub const fn plaintext(&self) -> bool {
        self.plaintext
    }

    /// The settings of a handshake.
    pub(crate) const fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }
}

/// The certificate shown now.
#[derive(Debug)]
struct Shown(RwLock<Identity>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).0))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
