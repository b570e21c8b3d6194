//! A small client of the Kinesis API, for any endpoint: signed JSON over HTTP/1.1, in clear text or
//! over TLS, with retries. What it knows of the operations is in `operations` and `answers`.

pub mod answers;
pub mod endpoint;
pub mod failure;
pub mod identity;
mod operations;
mod profile;
pub mod retries;
pub mod subscription;
pub mod tls;

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kinelog_engine::device::clock::{Clock, SystemClock};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::operations::{Entry, Position, StreamRef};
use crate::aws::sigv4::signing::{self, Signer};
use crate::limits;
use endpoint::Endpoint;
use failure::{Failure, Refusal};
use identity::Identity;
use retries::Retries;
use tls::Trust;

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
const TARGET_PREFIX: &str = "Kinesis_20131202.";
const SERVICE: &str = "kinesis";

/// Calls one endpoint as one caller. Connections are kept and shared by all calls.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    signer: Signer,
    http: legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    patience: Duration,
    /// Whether anything ever answered.
    was_reached: AtomicBool,
}

impl Client {
    /// Connects nowhere yet. Calls that fail are repeated until none has succeeded for `patience`.
    ///
    /// # Errors
    ///
    /// One sentence that says what to do.
    pub fn new(identity: Identity, trust: &Trust, patience: Duration) -> Result<Self, String> {
        let Identity { endpoint, region, credentials } = identity;
        // The certificates of the system may be missing where none are needed.
        let tls = tls::config(if endpoint.is_encrypted() { trust } else { &Trust::Nobody })?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(limits::CLIENT_CONNECT_TIME_MAX));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits::CLIENT_IDLE_TIME_MAX)
            .build(connector);
        let signer = Signer { credentials, region, service: SERVICE };
        Ok(Self { endpoint, signer, http, patience, was_reached: AtomicBool::new(false) })
    }

    /// Where calls go.
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Where signatures hold.
    pub fn region(&self) -> &str {
        &self.signer.region
    }

    /// A count of failures with the patience of this client.
    pub const fn retries(&self) -> Retries {
        Retries::new(self.patience)
    }

    /// Pause after which what failed may be tried again; nothing where that is in vain, such as for
    /// an endpoint that never answered.
    pub fn pause_after(&self, failure: &Failure, retries: &mut Retries) -> Option<Duration> {
        let never_there = matches!(failure, Failure::Unreachable { .. })
            && !self.was_reached.load(Ordering::Relaxed);
        if never_there || !failure.is_passing() { None } else { retries.pause() }
    }

    /// Calls an operation, again and again as long as that may help.
    ///
    /// # Errors
    ///
    /// The last failure.
    pub async fn call<A: DeserializeOwned>(
        &self,
        operation: &str,
        input: &Value,
    ) -> Result<A, Failure> {
        let mut retries = self.retries();
        loop {
            match self.call_once(operation, input).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => match self.pause_after(&failure, &mut retries) {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(failure),
                },
            }
        }
    }

    /// Calls an operation once.
    ///
    /// # Errors
    ///
    /// `Failure`.
    pub async fn call_once<A: DeserializeOwned>(
        &self,
        operation: &str,
        input: &Value,
    ) -> Result<A, Failure> {
        let whole = async {
            let answer = self.send(operation, input).await?;
            self.read(operation, answer.into_body()).await
        };
        let body = match tokio::time::timeout(limits::CLIENT_ANSWER_TIME_MAX, whole).await {
            Ok(body) => body?,
            Err(elapsed) => return Err(self.lost(operation, &elapsed)),
        };
        // What answers nothing answers with an empty body.
        let body = if body.is_empty() { b"{}" } else { &body[..] };
        serde_json::from_slice(body).map_err(|error| self.strange(operation, error.to_string()))
    }

    /// Sends a call; the answer is a success whose body is still to be read.
    async fn send(&self, operation: &str, input: &Value) -> Result<Response<Incoming>, Failure> {
        let request = self.request(operation, input)?;
        let answer = match self.http.request(request).await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => {
                let endpoint = self.endpoint.to_string();
                let reason = reasons(error.source().unwrap_or(&error));
                return Err(Failure::Unreachable { endpoint, reason });
            }
            Err(error) => return Err(self.lost(operation, &error)),
        };
        self.was_reached.store(true, Ordering::Relaxed);
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (head, body) = answer.into_parts();
        let body = self.read(operation, body).await?;
        Err(Failure::Refused(Refusal::of(head.status, &head.headers, &body)))
    }

    fn request(&self, operation: &str, input: &Value) -> Result<Request<Full<Bytes>>, Failure> {
        let body = Bytes::from(input.to_string());
        let unsendable = |reason: String| self.strange(operation, reason);
        let request = Request::post(self.endpoint.uri().clone())
            .header("host", self.endpoint.host_header())
            .header("content-type", CONTENT_TYPE)
            .header("x-amz-target", format!("{TARGET_PREFIX}{operation}"))
            .body(())
            .map_err(|error| unsendable(error.to_string()))?;
        let mut head = request.into_parts().0;
        let now_seconds = SystemClock.now().seconds();
        let signed = self.signer.sign(&mut head, &signing::hash(&body), now_seconds);
        signed.map_err(|error| unsendable(format!("the key cannot be sent: {error}")))?;
        Ok(Request::from_parts(head, Full::new(body)))
    }

    async fn read(&self, operation: &str, body: Incoming) -> Result<Bytes, Failure> {
        let body = Limited::new(body, limits::CLIENT_ANSWER_BYTES_MAX).collect().await;
        Ok(body.map_err(|error| self.lost(operation, &*error))?.to_bytes())
    }

    fn lost(&self, operation: &str, error: &dyn Error) -> Failure {
        let (endpoint, operation) = (self.endpoint.to_string(), operation.to_owned());
        Failure::Lost { endpoint, operation, reason: reasons(error) }
    }

    fn strange(&self, operation: &str, reason: String) -> Failure {
        let (endpoint, operation) = (self.endpoint.to_string(), operation.to_owned());
        Failure::Strange { endpoint, operation, reason }
    }
}

/// An error and what caused it, without what each repeats of the next.
fn reasons(error: &dyn Error) -> String {
    let mut chain = Vec::<String>::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let words = error.to_string();
        chain.retain(|before| !before.contains(&words));
        chain.push(words);
        next = error.source();
    }
    chain.join(": ")
}

#[cfg(test)]
mod tests;
