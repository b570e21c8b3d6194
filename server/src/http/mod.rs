//! The HTTP front end: hyper without a framework.
