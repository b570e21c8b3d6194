//! Counters of the server under the service's metric names, and their export.
