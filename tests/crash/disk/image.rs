//! The bytes of a disk, most of which are zero; copies share what they have in common.

use std::collections::HashMap;
use std::sync::Arc;

const PAGE_BYTES: usize = 4096;

type Page = [u8; PAGE_BYTES];

/// Bytes by place. What was never written is zero.
#[derive(Clone, Debug, Default)]
pub(crate) struct Image {
    pages: HashMap<u64, Arc<Page>>,
}

/// The pieces of `len` bytes at `offset` by page: its number, the place within it, the length.
fn pieces(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let page_bytes = PAGE_BYTES as u64;
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let inside = usize::try_from(at % page_bytes).unwrap_or_default();
        let piece = (len - done).min(PAGE_BYTES - inside);
        done += piece;
        (piece > 0).then_some((at / page_bytes, inside, piece))
    })
}

impl Image {
    pub(crate) fn write(&mut self, offset: u64, mut bytes: &[u8]) {
        for (number, inside, len) in pieces(offset, bytes.len()) {
            let (piece, rest) = bytes.split_at(len);
            bytes = rest;
            if len == PAGE_BYTES && piece.iter().all(|byte| *byte == 0) {
                self.pages.remove(&number);
                continue;
            }
            let page = self.pages.entry(number).or_insert_with(|| Arc::new([0; PAGE_BYTES]));
            Arc::make_mut(page)[inside..inside + len].copy_from_slice(piece);
        }
    }

    pub(crate) fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len);
        for (number, inside, len) in pieces(offset, len) {
            match self.pages.get(&number) {
                Some(page) => bytes.extend_from_slice(&page[inside..inside + len]),
                None => bytes.resize(bytes.len() + len, 0),
            }
        }
        bytes
    }

    /// Places of the pages with these bytes.
    pub(crate) fn find(&self, page: &[u8]) -> Vec<u64> {
        let is_it = |(_, bytes): &(&u64, &Arc<Page>)| bytes[..] == *page;
        let found = self.pages.iter().filter(is_it);
        found.map(|(number, _)| number * PAGE_BYTES as u64).collect()
    }
}
