//! Read-only memory maps of files that no longer change.

/// A mapped file; see the helper's implementation.
#[derive(Debug)]
pub struct Mapping {}
