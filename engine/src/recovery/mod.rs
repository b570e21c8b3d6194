//! Coming back after a stop of any kind: what is torn, what is damaged, what must be replayed.

pub mod floor;
pub mod inspect;
pub mod log_scan;
pub mod verify;
