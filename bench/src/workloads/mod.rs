//! The loads, one file each.

pub(crate) mod delivery;
pub(crate) mod fan_out;
pub(crate) mod get;
pub(crate) mod idle;
pub(crate) mod mixed;
pub(crate) mod put;
pub(crate) mod rates;
pub(crate) mod replay;
pub(crate) mod scan;
