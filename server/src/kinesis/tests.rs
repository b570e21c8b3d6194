//! Operations against a small engine in this process.
