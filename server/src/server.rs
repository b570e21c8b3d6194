//! Assembly: one call starts a server on given listeners, engine and settings.
