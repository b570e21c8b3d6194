//! Signature Version 4 for requests whose body hash is known before: one signature a second and
//! body, so that signing does not show in the generator's share of the processor.
//!
//! Source: AWS General Reference, Signature Version 4 signing process.

use std::collections::HashMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Headers that carry the signature.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    pub(crate) date: String,
    pub(crate) authorization: String,
}

/// Signs requests of one credential.
pub(crate) struct Signer {
    access_key: String,
    secret: String,
    region: String,
    second: u64,
    made: HashMap<([u8; 32], &'static str), Signed>,
}

impl Signer {
    /// With the credential of the environment, or a dummy that local endpoints accept.
    pub(crate) fn new(region: &str) -> Self {
        let variable = |name: &str, or: &str| std::env::var(name).unwrap_or_else(|_| or.to_owned());
        Self {
            access_key: variable("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            secret: variable("AWS_SECRET_ACCESS_KEY", "secret"),
            region: region.to_owned(),
            second: 0,
            made: HashMap::new(),
        }
    }

    /// Headers for a POST to `/` on `host`.
    pub(crate) fn sign(
        &mut self,
        host: &str,
        target: &'static str,
        content_type: &str,
        body_hash: [u8; 32],
    ) -> Signed {
        let now = unix_seconds();
        if now != self.second {
            self.second = now;
            self.made.clear();
        }
        if let Some(signed) = self.made.get(&(body_hash, target)) {
            return signed.clone();
        }
        let signed = self.compute(host, target, content_type, body_hash, now);
        self.made.insert((body_hash, target), signed.clone());
        signed
    }

    fn compute(
        &self,
        host: &str,
        target: &str,
        content_type: &str,
        body_hash: [u8; 32],
        now: u64,
    ) -> Signed {
        let date = basic_date(now);
        let day = &date[..8];
        let names = "content-type;host;x-amz-date;x-amz-target";
        let canonical = format!(
            "POST\n/\n\ncontent-type:{content_type}\nhost:{host}\nx-amz-date:{date}\n\
             x-amz-target:{target}\n\n{names}\n{}",
            hex(&body_hash)
        );
        let scope = format!("{day}/{}/kinesis/aws4_request", self.region);
        let to_sign =
            format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(&canonical)));
        let mut key = hmac(format!("AWS4{}", self.secret).as_bytes(), day.as_bytes());
        for part in [self.region.as_str(), "kinesis", "aws4_request"] {
            key = hmac(&key, part.as_bytes());
        }
        let signature = hex(&hmac(&key, to_sign.as_bytes()));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.access_key
        );
        Signed { date, authorization }
    }
}

/// Hash of a body, as the signer wants it.
pub(crate) fn hash(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String does not fail");
        text
    })
}

#[expect(clippy::disallowed_methods, reason = "the generator stands outside the engine's seam")]
fn unix_seconds() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| d.as_secs())
}

/// `YYYYMMDDTHHMMSSZ` of seconds since the epoch (proleptic Gregorian calendar).
fn basic_date(seconds: u64) -> String {
    let (mut days, rest) = (seconds / 86_400, seconds % 86_400);
    let mut year = 1970;
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}{:02}{:02}T{hour:02}{minute:02}{second:02}Z", month + 1, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(basic_date(0), "19700101T000000Z");
        assert_eq!(basic_date(951_827_696), "20000229T123456Z");
        assert_eq!(basic_date(1_700_000_000), "20231114T221320Z");
    }
}
