//! Seals on the tokens the server hands out and takes back: shard iterators and page tokens.
//!
//! A seal is HMAC-SHA-256, cut to 16 bytes, under a key derived from the identity of the data
//! directory, so tokens survive a restart and mean nothing to another store. It covers what the
//! token is for and whose it is, so neither can be exchanged.

use hmac::{Hmac, KeyInit, Mac};
use kinelog_engine::types::StoreId;
use sha2::Sha256;

/// Length of a seal.
pub const SEAL_BYTES: usize = 16;

/// The key of one store's tokens.
#[derive(Clone)]
pub struct SealKey(Hmac<Sha256>);

impl SealKey {
    /// The key of this store.
    pub fn new(store: StoreId) -> Self {
        Self(keyed(
            &keyed(&store.0.to_be_bytes()).chain_update(b"kinelog tokens").finalize().into_bytes(),
        ))
    }

    /// Seal of `content` as a token for `purpose` that belongs to `owner`.
    pub fn seal(&self, purpose: &str, owner: &str, content: &[u8]) -> [u8; SEAL_BYTES] {
        let full = self.mac(purpose, owner, content).finalize().into_bytes();
        std::array::from_fn(|byte| full[byte])
    }

    /// True when `seal` is the seal of the rest; takes the same time wherever they differ.
    pub fn verify(&self, purpose: &str, owner: &str, content: &[u8], seal: &[u8]) -> bool {
        seal.len() == SEAL_BYTES
            && self.mac(purpose, owner, content).verify_truncated_left(seal).is_ok()
    }

    fn mac(&self, purpose: &str, owner: &str, content: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in [purpose, owner] {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac.chain_update(content)
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}
