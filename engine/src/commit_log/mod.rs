//! The commit log: one sequence of groups in preallocated, recycled files
//! (`log/0/commit-<sequence, 16 hex digits>.log`), each group one durable write.
