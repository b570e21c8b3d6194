//! Every stored byte: pure functions from values to bytes and back.
//!
//! All numbers are little-endian. All checksums are CRC-32/ISO-HDLC. Nothing here reads a file,
//! a clock or a random number. `docs/format.md` draws what these modules define.

pub mod batch;
mod block;
pub mod checksum;
#[cfg(test)]
mod field_tests;
mod fields;
pub mod footer;
pub mod group;
pub mod journal;
pub mod manifest;
pub mod page_header;
pub mod record;
#[cfg(test)]
mod tests;
