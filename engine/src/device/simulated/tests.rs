//! What a power cut and faults leave, call by call.
