//! Certificates and keys in PEM files.

use std::path::Path;

use bytes::Bytes;
use kinelog_engine::device::Files;
use kinelog_engine::error::DeviceError;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{Identity, TlsError, provider};
use crate::limits;

/// Reads the chain in the file `certificate` (leaf first) and the first key in the file `key`.
///
/// # Errors
///
/// A file cannot be read, or what they hold cannot be used.
pub async fn read(files: &dyn Files, certificate: &Path, key: &Path) -> Result<Identity, TlsError> {
    let unreadable = |error| TlsError::Unreadable { error };
    let chain = content(files, certificate).await.map_err(unreadable)?;
    let secret = content(files, key).await.map_err(unreadable)?;
    let without = |path: &Path, expected| TlsError::Without { path: path.into(), expected };
    let chain = certificates(&chain).ok_or_else(|| without(certificate, "certificate"))?;
    let secret = PrivateKeyDer::from_pem_slice(&secret)
        .map_err(|_| without(key, "private key without a passphrase"))?;
    identity(chain, secret).map_err(|reason| TlsError::Unusable {
        certificate: certificate.into(),
        key: key.into(),
        reason,
    })
}

/// The certificates of a PEM file; `None` when there is none, or one that is broken.
pub(super) fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    all.ok().filter(|all| !all.is_empty())
}

/// Puts a chain and its key together.
pub(super) fn identity(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Identity, rustls::Error> {
    Ok(Identity(CertifiedKey::from_der(chain, key, &provider())?.into()))
}

/// What a file holds, up to the longest that could be meant.
pub(super) async fn content(files: &dyn Files, path: &Path) -> Result<Bytes, DeviceError> {
    files.open_read(path).await?.read(0, limits::TLS_FILE_BYTES_MAX).await
}
