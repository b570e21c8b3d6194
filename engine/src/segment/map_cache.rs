//! Maps of sealed segments, at most so many at once, least recently used first out.
