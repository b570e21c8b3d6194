//! The certificate of a server that speaks TLS: found or made at the start, told to the user, and
//! read again on SIGHUP where it comes from files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use kinelog_engine::device::{Device, Files};
use tokio::signal::unix::{SignalKind, signal};

use super::Sentence;
use crate::tls::{Tls, files, self_signed};

/// TLS as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsChoice {
    /// The certificate to show.
    pub(crate) certificate: Certificate,
    /// True when clear text is served on the same port.
    pub(crate) plaintext: bool,
}

/// Where the certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Certificate {
    /// Files of the user's.
    Files { chain: PathBuf, key: PathBuf },
    /// Made by the server, also for these names.
    SelfSigned { names: Vec<String> },
}

/// Makes TLS ready. `data` is the data directory, and open.
pub(super) async fn prepare(
    choice: TlsChoice,
    device: &Device,
    data: &Path,
) -> Result<Tls, Sentence> {
    let TlsChoice { certificate, plaintext } = choice;
    let prepared = match &certificate {
        Certificate::Files { chain, key } => {
            let identity = files::read(&*device.files, chain, key).await;
            identity.and_then(|identity| Tls::new(identity, "files", plaintext))
        }
        Certificate::SelfSigned { names } => {
            let made = self_signed::load(device, data, names).await;
            made.and_then(|made| {
                tell(&made.authority, made.is_new);
                Tls::new(made.identity, "self-signed", plaintext)
            })
        }
    };
    let tls = prepared.map_err(|error| error.to_string())?;
    if let Certificate::Files { chain, key } = certificate {
        reread_on_hangup(tls.clone(), Arc::clone(&device.files), chain, key)?;
    }
    Ok(tls)
}

/// Says how clients come to trust the server's own certificate.
fn tell(authority: &Path, is_new: bool) {
    let absolute = std::path::absolute(authority).unwrap_or_else(|_| authority.into());
    let file = absolute.display();
    let found = if is_new { "made just now" } else { "kept from before" };
    tracing::info!("TLS with a certificate of its own, {found}; clients trust it by {file}:");
    tracing::info!("  AWS CLI, boto3  export AWS_CA_BUNDLE={file}");
    tracing::info!("  JavaScript      export NODE_EXTRA_CA_CERTS={file}");
    tracing::info!("  Go, OpenSSL     export SSL_CERT_FILE={file}");
    tracing::info!("  curl            --cacert {file}");
    tracing::info!(
        "  Java            keytool -importcert -noprompt -alias kinelog -file {file} \
         -keystore kinelog.p12 -storepass changeit, then \
         -Djavax.net.ssl.trustStore=kinelog.p12 -Djavax.net.ssl.trustStorePassword=changeit"
    );
    tracing::info!("  KPL             caCertFile={file}, or verifyCertificate=false");
}

/// Reads the files again whenever SIGHUP comes. What cannot be used changes nothing.
fn reread_on_hangup(
    tls: Tls,
    device: Arc<dyn Files>,
    chain: PathBuf,
    key: PathBuf,
) -> Result<(), Sentence> {
    let mut hangup = signal(SignalKind::hangup())
        .map_err(|error| format!("signals cannot be caught: {error}; start again"))?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            match files::read(&*device, &chain, &key).await {
                Ok(identity) => {
                    tls.replace(identity);
                    tracing::info!("the certificate was read again");
                }
                Err(error) => tracing::error!("{error}; the certificate stays as it was"),
            }
        }
    });
    Ok(())
}
