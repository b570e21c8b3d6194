//! Reading what is in no cache: a store is filled, closed and opened again, and the page cache is
//! told to forget its files. Beside it the device's own sequential read of the same files.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::put;
use crate::arguments::Load;
use crate::client::Failure;
use crate::drive::{Work, drive};
use crate::floors::device;
use crate::outcome::Outcome;
use crate::payload::Payloads;
use crate::server::Server;
use crate::setup::Session;

/// A store that was filled, and how to read it.
pub(crate) struct Filled {
    load: Load,
    payloads: Arc<Payloads>,
    session: Session,
    records: u64,
}

impl Filled {
    /// Fills a stream of the server's.
    pub(crate) fn new(load: &Load) -> Result<Self, Failure> {
        let session = Session::open(load)?;
        let payloads = Arc::new(Payloads::new(load, session.streams()));
        let records = put::fill(load, &payloads)?.all_records;
        Ok(Self { load: load.clone(), payloads, session, records })
    }

    /// Reads everything from the device twice: raw, and through a server that starts with empty
    /// caches. The server is another one afterwards.
    pub(crate) fn replay(self, server: &mut Server) -> Result<(Outcome, Outcome), Failure> {
        server.stop()?;
        let segments = files_below(&server.data_dir().join("segments"))?;
        forget(&segments)?;
        let raw = device::read(&segments)?;
        forget(&files_below(server.data_dir())?)?;
        server.start_again()?;
        let load = server.load(&self.load);
        let iterators = Arc::new(self.session.again(&load)?.iterators()?);
        let read = drive(&load, &Work::Replay(iterators, self.payloads))?;
        if read.all_records != self.records {
            let (written, read) = (self.records, read.all_records);
            return Err(format!("{written} records were written, {read} were read back").into());
        }
        Ok((read, raw))
    }
}

/// Writes dirty pages and drops all pages of these files from the page cache.
#[expect(clippy::disallowed_methods, reason = "the generator stands outside the engine's seam")]
fn forget(files: &[PathBuf]) -> Result<(), Failure> {
    for path in files {
        let file = std::fs::File::open(path)?;
        file.sync_all()?;
        rustix::fs::fadvise(file.as_fd(), 0, None, rustix::fs::Advice::DontNeed)?;
    }
    Ok(())
}

fn files_below(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(files_below(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
