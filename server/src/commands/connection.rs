//! Options of every command that calls an endpoint, and the client they make.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::Sentence;
use crate::client::Client;
use crate::client::endpoint::EndpointName;
use crate::client::identity::{self, Wishes};
use crate::client::tls::Trust;
use crate::limits;

/// Where to call, and as whom.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Endpoint and caller")]
pub(crate) struct Connection {
    /// Endpoint to call: a URL, or `aws` for AWS itself; without this option what the variable
    /// `AWS_ENDPOINT_URL_KINESIS` or `AWS_ENDPOINT_URL` says, else `http://127.0.0.1:4567`
    #[arg(long, value_name = "URL|aws")]
    endpoint: Option<EndpointName>,
    /// Region of the stream; without this option that of `AWS_REGION`, `AWS_DEFAULT_REGION`, the
    /// profile or the endpoint's name, else us-east-1
    #[arg(long)]
    region: Option<String>,
    /// Profile of ~/.aws/credentials and ~/.aws/config to use
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// Key id; without this option that of `AWS_ACCESS_KEY_ID` or the profile, else, for endpoints
    /// other than AWS, one that is made up
    #[arg(long, value_name = "ID", conflicts_with = "profile")]
    access_key: Option<String>,
    /// Key that belongs to --access-key; others can see it in the list of processes
    #[arg(long, value_name = "KEY", requires = "access_key")]
    secret_key: Option<String>,
    /// PEM file of the authorities to trust for https, instead of the system's
    #[arg(long, value_name = "FILE", env = "AWS_CA_BUNDLE", hide_env_values = true)]
    ca_cert: Option<PathBuf>,
    /// Trusts any certificate: whoever is in between can read and alter everything
    #[arg(long)]
    insecure: bool,
    /// Seconds for which what fails is tried again before giving up
    #[arg(long, value_name = "SECONDS", default_value_t = limits::CLIENT_PATIENCE_SECONDS)]
    patience: u32,
}

impl Connection {
    /// The client.
    pub(super) fn client(&self) -> Result<Client, Sentence> {
        let wishes = Wishes {
            endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            profile: self.profile.clone(),
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
        };
        let trust = match &self.ca_cert {
            _ if self.insecure => Trust::Everybody,
            Some(file) => Trust::File(file.clone()),
            None => Trust::System,
        };
        let identity = identity::find(&wishes, &identity::System)?;
        Client::new(identity, &trust, Duration::from_secs(self.patience.into()))
    }
}
