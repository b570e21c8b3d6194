//! The authentication front: what AWS checks of a Signature Version 4 request before it looks at
//! the key. Comparing the signature itself comes with access control and has its place here.

use super::exception::Exception;

/// Who a request says it is; made by `authenticate` only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    access_key: String,
    region: String,
}

impl Principal {
    /// Access key id of the credential.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    /// Region of the credential scope.
    pub fn region(&self) -> &str {
        &self.region
    }
}

/// Checks the authentication of a request head at `now_seconds` (seconds since the epoch);
/// `skew_seconds` is how far its date may be off either way.
///
/// # Errors
///
/// The exceptions and texts of the service, in its order.
pub fn authenticate(
    head: &hyper::http::request::Parts,
    now_seconds: u64,
    skew_seconds: u64,
) -> Result<Principal, Exception> {
    let _ = (head, now_seconds, skew_seconds);
    todo!()
}
