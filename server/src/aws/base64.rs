//! Base64 of request blobs, with the service's words for what is wrong.
