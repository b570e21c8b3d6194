//! Coming back after a stop of any kind: what is torn, what is damaged, what must be replayed; and
//! what can be saved from a store that is damaged.

pub mod floor;
pub mod inspect;
pub mod log_scan;
pub(crate) mod losses;
pub mod repair;
pub mod verify;
