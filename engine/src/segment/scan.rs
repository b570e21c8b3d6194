//! Walking the batch headers of a segment file.
