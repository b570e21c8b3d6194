//! The service's quotas and the front end's own bounds; each with its unit and its source.
