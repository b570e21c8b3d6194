//! Signed heads of requests whose body hash is known before: one signature a second and body, so that
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
    made: HashMap<(BodyHash, &'static str), HeaderMap>,
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

    /// All headers of a POST to `/` on `host`.
    pub(crate) fn headers(
        &mut self,
        host: &str,
        target: &'static str,
        content_type: &str,
        body_hash: BodyHash,
    ) -> Result<HeaderMap, Failure> {
        let now = unix_seconds();
        if now != self.second {
            self.second = now;
            self.made.clear();
        }
        if let Some(made) = self.made.get(&(body_hash, target)) {
            return Ok(made.clone());
        }
        let request = Request::post("/")
            .header("host", host)
            .header("content-type", content_type)
            .header("x-amz-target", target)
            .body(())?;
        let mut head = request.into_parts().0;
        self.by.sign(&mut head, &body_hash, now)?;
        self.made.insert((body_hash, target), head.headers.clone());
        Ok(head.headers)
    }
}

#[expect(clippy::disallowed_methods, reason = "the generator stands outside the engine's seam")]
fn unix_seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| d.as_secs())
}
