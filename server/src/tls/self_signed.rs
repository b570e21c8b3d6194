//! A certificate the server makes for itself, once, and keeps in its data directory:
//!
//! ```text
//! tls/server.pem   private key, certificate, and the authority that signed it; for the server only
//! tls/ca.pem       the authority alone: what clients are told to trust
//! ```
//!
//! The authority's own key is thrown away as soon as it has signed, so trusting it means trusting
//! this one server and nothing that could be signed later. What is kept is used for as long as a
//! client that trusts `ca.pem` would accept it under every name asked for; else it is made anew.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kinelog_engine::device::{Device, Files};
use kinelog_engine::error::DeviceError;
use kinelog_engine::types::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

use super::files::{certificates, content, identity};
use super::{Identity, TlsError, provider};
use crate::limits;

/// Names every certificate is good for.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate of the server's own.
#[derive(Debug)]
pub struct SelfSigned {
    /// What the server shows.
    pub identity: Identity,
    /// The file clients are to trust.
    pub authority: PathBuf,
    /// True when it was made just now, and clients cannot know it yet.
    pub is_new: bool,
}

/// Takes a name that a certificate can be made for.
///
/// # Errors
///
/// What a name is.
pub fn check_name(name: &str) -> Result<String, &'static str> {
    let known = ServerName::try_from(name);
    known.map(|_| name.to_owned()).map_err(|_| "a host name without wildcards, or an IP address")
}

/// The certificate kept below the data directory `data`, made anew unless it is good for
/// `localhost`, its addresses and all `names`.
///
/// # Errors
///
/// A name is none a certificate can carry, or the device fails.
pub async fn load(device: &Device, data: &Path, names: &[String]) -> Result<SelfSigned, TlsError> {
    let all: Vec<_> = OWN_NAMES.iter().copied().map(str::to_owned).chain(names.to_vec()).collect();
    let directory = data.join("tls");
    let (kept, authority) = (directory.join("server.pem"), directory.join("ca.pem"));
    let files = &*device.files;
    files.create_dir_all(&directory).await?;
    files.sync_dir(data).await?;
    let now = device.clock.now();
    let known = existing(files, &kept).await?.and_then(|pem| parse(&pem, &all, now));
    let is_new = known.is_none();
    let pair = if let Some(pair) = known {
        pair
    } else {
        let pem = make(all.clone(), now)?;
        let pair = parse(pem.as_bytes(), &all, now)
            .ok_or(TlsError::Made(rcgen::Error::CouldNotParseCertificate))?;
        store(files, &kept, &pem, Readers::ServerOnly).await?;
        pair
    };
    if existing(files, &authority).await?.as_deref() != Some(pair.authority.as_bytes()) {
        store(files, &authority, &pair.authority, Readers::Clients).await?;
    }
    Ok(SelfSigned { identity: pair.identity, authority, is_new })
}

/// What a file of ours holds, if it is there.
async fn existing(files: &dyn Files, path: &Path) -> Result<Option<Bytes>, DeviceError> {
    match content(files, path).await {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Who may read a file.
#[derive(Clone, Copy, Debug)]
enum Readers {
    ServerOnly,
    Clients,
}

/// Replaces a file in one step, durably.
async fn store(
    files: &dyn Files,
    path: &Path,
    text: &str,
    readers: Readers,
) -> Result<(), DeviceError> {
    let unfinished = path.with_extension("tmp");
    match files.remove(&unfinished).await {
        Err(error) if error.kind != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let file = match readers {
        Readers::ServerOnly => files.create_private(&unfinished).await?,
        Readers::Clients => files.create(&unfinished).await?,
    };
    file.write(0, vec![Bytes::copy_from_slice(text.as_bytes())]).await?;
    file.sync_data().await?;
    files.rename(&unfinished, path).await?;
    files.sync_dir(path.parent().unwrap_or(path)).await
}

/// What `server.pem` holds.
struct Pair {
    identity: Identity,
    /// The authority's certificate in PEM.
    authority: String,
}

/// Takes `server.pem` apart; `None` when it is not good, now and for a while, for all `names`.
fn parse(pem: &[u8], names: &[String], now: Timestamp) -> Option<Pair> {
    let chain = certificates(pem)?;
    let key = PrivateKeyDer::from_pem_slice(pem).ok()?;
    let [leaf, authority] = chain.as_slice() else { return None };
    let later = Duration::from_millis(now.0) + limits::TLS_RENEW_BEFORE;
    is_good(leaf, authority, names, UnixTime::since_unix_epoch(later)).then_some(())?;
    let text = std::str::from_utf8(pem).ok()?;
    let begin = text.rfind("-----BEGIN CERTIFICATE-----")?;
    let authority = text[begin..].to_owned();
    Some(Pair { identity: identity(chain, key).ok()?, authority })
}

/// True when a client that trusts `authority` accepts `leaf` under every one of `names`.
fn is_good(
    leaf: &CertificateDer<'_>,
    authority: &CertificateDer<'static>,
    names: &[String],
    at: UnixTime,
) -> bool {
    let mut roots = RootCertStore::empty();
    let is_authority = roots.add(authority.clone()).is_ok();
    let client = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
    let Some(client) = client.ok().filter(|_| is_authority) else { return false };
    names.iter().all(|name| {
        let name = ServerName::try_from(name.as_str());
        name.is_ok_and(|name| client.verify_server_cert(leaf, &[], &name, &[], at).is_ok())
    })
}

/// The text of a new `server.pem`.
fn make(names: Vec<String>, now: Timestamp) -> Result<String, rcgen::Error> {
    let authority_key = KeyPair::generate()?;
    let mut authority = params(Vec::new(), now)?;
    authority.distinguished_name.push(DnType::CommonName, "Kinelog self-signed authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_pem = authority.self_signed(&authority_key)?.pem();

    let key = KeyPair::generate()?;
    let mut leaf = params(names, now)?;
    leaf.distinguished_name.push(DnType::CommonName, "Kinelog");
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let leaf = leaf.signed_by(&key, &Issuer::new(authority, authority_key))?;
    Ok(key.serialize_pem() + &leaf.pem() + &authority_pem)
}

fn params(names: Vec<String>, now: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    let now = rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(now.seconds().min(LATEST));
    params.not_before = now - limits::TLS_VALID_BEFORE;
    params.not_after = now + limits::TLS_VALID;
    Ok(params)
}

/// Second of the last time that certificates are made for, in the year 8307: the form of their
/// dates ends with the year 9999.
const LATEST: u64 = 200_000_000_000;
