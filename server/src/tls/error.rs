//! Why there is no TLS, as one sentence that says what to do.

use std::path::PathBuf;

use kinelog_engine::error::DeviceError;

/// Why the server cannot show a certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of the user's cannot be read.
    #[error("{error}; check --tls-cert and --tls-key")]
    Unreadable {
        /// What the system says, with the path.
        error: DeviceError,
    },
    /// A file is not what it was given as.
    #[error("{} holds no {expected} in PEM form; check --tls-cert and --tls-key", path.display())]
    Without {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
    },
    /// Certificate and key cannot be used, or do not belong together.
    #[error(
        "the certificate {} cannot be used with the key {} ({reason}); \
         give a key in PKCS#8, PKCS#1 or SEC1 form with the certificate made for it",
        certificate.display(), key.display()
    )]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What the library says.
        reason: rustls::Error,
    },
    /// The server's own certificate cannot be kept.
    #[error("the certificate cannot be kept: {0}; check the data directory and its permissions")]
    Kept(#[from] DeviceError),
    /// The server's own certificate cannot be made.
    #[error("no certificate can be made for these names ({0}); check --tls-name")]
    Made(#[from] rcgen::Error),
    /// The library refuses to work.
    #[error("TLS cannot be set up ({0}); serve without it, or check the system's randomness")]
    Setup(rustls::Error),
}
