//! Signed heads of requests. A body that is sent again and again is signed once a second, so that
//! signing does not show in the generator's share of the processor.

use std::collections::HashMap;

use hyper::Request;
use hyper::header::HeaderMap;
use kinelog::aws::sigv4::signing::{self, BodyHash, Credentials};

use crate::client::Failure;

/// Signs requests of one credential.
pub(crate) struct Signer {
    by: signing::Signer,
    second: u64,
    made: HashMap<BodyHash, HeaderMap>,
}

/// What is signed besides the body.
#[derive(Clone, Copy)]
pub(crate) struct Head<'h> {
    pub(crate) host: &'h str,
    /// `x-amz-target`.
    pub(crate) target: &'h str,
    pub(crate) content_type: &'h str,
}

impl Signer {
    /// With the credential of the environment, or a dummy that local endpoints accept.
    pub(crate) fn new(region: &str) -> Self {
        let variable = |name: &str| std::env::var(name).ok();
        let credentials = Credentials {
            access_key: variable("AWS_ACCESS_KEY_ID").unwrap_or_else(|| "AKIDEXAMPLE".to_owned()),
            secret_key: variable("AWS_SECRET_ACCESS_KEY").unwrap_or_else(|| "secret".to_owned()),
            session_token: variable("AWS_SESSION_TOKEN"),
        };
        let signer = signing::Signer { credentials, region: region.to_owned(), service: "kinesis" };
        Self { by: signer, second: 0, made: HashMap::new() }
    }

    /// All headers of a POST to `/`.
    pub(crate) fn headers(&self, head: Head<'_>, body: BodyHash) -> Result<HeaderMap, Failure> {
        self.sign(head, body, unix_seconds())
    }

    /// The same for a body that is sent often, and always with the same head.
    pub(crate) fn kept_headers(
        &mut self,
        head: Head<'_>,
        body: BodyHash,
    ) -> Result<HeaderMap, Failure> {
        let now = unix_seconds();
        if now != self.second {
            self.second = now;
            self.made.clear();
        }
        if let Some(made) = self.made.get(&body) {
            return Ok(made.clone());
        }
        let headers = self.sign(head, body, now)?;
        self.made.insert(body, headers.clone());
        Ok(headers)
    }

    fn sign(&self, head: Head<'_>, body: BodyHash, now: u64) -> Result<HeaderMap, Failure> {
        let request = Request::post("/")
            .header("host", head.host)
            .header("content-type", head.content_type)
            .header("x-amz-target", head.target)
            .body(())?;
        let mut head = request.into_parts().0;
        self.by.sign(&mut head, &body, now)?;
        Ok(head.headers)
    }
}

#[expect(clippy::disallowed_methods, reason = "the generator stands outside the engine's seam")]
fn unix_seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| d.as_secs())
}
