//! The log device on a ring.
