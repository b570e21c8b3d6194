//! Sealing and opening iterators.
