//! Options of TLS.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, ValueEnum};

use crate::commands::{Certificate, TlsChoice};
use crate::tls::self_signed;

/// How the port speaks TLS.
#[derive(Args, Debug)]
pub(super) struct TlsOptions {
    /// TLS on the port, with a certificate that is made once, kept in the data directory, and that
    /// clients are told to trust; the log says how
    #[arg(
        long,
        value_name = "self-signed",
        env = "KINELOG_TLS",
        value_enum,
        conflicts_with = "tls_cert"
    )]
    tls: Option<Made>,
    /// Name or address that the certificate of `--tls self-signed` is good for, beside `localhost`,
    /// `127.0.0.1` and `::1`; may be given more than once
    #[arg(long, value_name = "NAME", env = "KINELOG_TLS_NAME", value_delimiter = ',', value_parser = self_signed::check_name)]
    tls_name: Vec<String>,
    /// TLS on the port, with the certificate chain in this PEM file; SIGHUP reads it again
    #[arg(long, value_name = "FILE", env = "KINELOG_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM file with the private key of `--tls-cert`
    #[arg(long, value_name = "FILE", env = "KINELOG_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Serves clear text too on a port with TLS; without TLS there is nothing else
    #[arg(long, env = "KINELOG_PLAINTEXT", value_parser = FalseyValueParser::new())]
    plaintext: bool,
}

/// Certificates the server makes.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Made {
    SelfSigned,
}

impl TlsOptions {
    /// What was asked for, if there is to be TLS.
    pub(super) fn choice(&self) -> Option<TlsChoice> {
        let certificate = match (self.tls, &self.tls_cert, &self.tls_key) {
            (_, Some(chain), Some(key)) => {
                Certificate::Files { chain: chain.clone(), key: key.clone() }
            }
            (Some(Made::SelfSigned), ..) => {
                Certificate::SelfSigned { names: self.tls_name.clone() }
            }
            (None, ..) => return None,
        };
        Some(TlsChoice { certificate, plaintext: self.plaintext })
    }
}
