//! Reading the commit-log directory: which files there are, in which order, what each holds.
