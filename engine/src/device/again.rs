//! What takes more than one call to be sure of: a file in place of one that an earlier attempt
//! has left, and bytes that are read to be stored again.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::{File, Files};
use crate::error::DeviceError;

/// How often bytes are read until two reads after one another agree.
const READS_MAX: usize = 8;

/// Creates a new file at `path`. What an attempt that failed has left there goes first: on the full
/// disk that it failed for, it may not have been possible to remove it.
///
/// # Errors
///
/// When the device fails.
pub(crate) async fn create_anew(
    files: &dyn Files,
    path: &Path,
) -> Result<Arc<dyn File>, DeviceError> {
    match files.create(path).await {
        Err(error) if error.kind == io::ErrorKind::AlreadyExists => {
            files.remove(path).await?;
            files.create(path).await
        }
        created => created,
    }
}

/// Reads until two reads after one another agree: a bit that flips on its way from the device would
/// stay for good where the bytes are written to.
///
/// # Errors
///
/// When the device fails, or never tells the same twice.
pub(crate) async fn read_alike(
    file: &dyn File,
    offset: u64,
    len: usize,
) -> Result<Bytes, DeviceError> {
    let mut last = file.read(offset, len).await?;
    for _ in 1..READS_MAX {
        let next = file.read(offset, len).await?;
        if next == last {
            return Ok(next);
        }
        last = next;
    }
    let error = io::Error::other("each read returns other bytes");
    Err(DeviceError::new("read", file.path(), &error).at(offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::clock::ManualClock;
    use crate::device::simulated::{Fault, Operation, SimulatedDisk};
    use crate::types::Timestamp;

    /// A disk with one file of 100 bytes, and its files.
    async fn disk() -> (SimulatedDisk, Arc<dyn Files>) {
        let disk = SimulatedDisk::new(1);
        let files = disk.device(Arc::new(ManualClock::new(Timestamp(0)))).files;
        let file = files.create(Path::new("/f")).await.unwrap();
        file.write(0, vec![vec![7; 100].into()]).await.unwrap();
        (disk, files)
    }

    #[tokio::test]
    async fn a_new_file_takes_the_place_of_one_that_was_left() {
        let (_, files) = disk().await;
        let file = create_anew(&*files, Path::new("/f")).await.unwrap();
        assert_eq!(file.bytes().await.unwrap(), 0);
    }

    #[tokio::test]
    async fn bits_that_flip_in_several_reads_are_not_in_what_two_reads_agree_on() {
        let (disk, files) = disk().await;
        for nth in [1, 2, 4] {
            disk.fail_nth(Operation::Read, nth, Fault::FlippedRead);
        }
        let file = files.open_read(Path::new("/f")).await.unwrap();
        assert_eq!(read_alike(&*file, 10, 90).await.unwrap(), vec![7; 90]);
    }

    #[tokio::test]
    async fn a_device_that_never_tells_the_same_twice_is_not_believed() {
        let (disk, files) = disk().await;
        disk.set_fault_rates(vec![(Operation::Read, Fault::FlippedRead, 10_000)]);
        let file = files.open_read(Path::new("/f")).await.unwrap();
        assert!(read_alike(&*file, 0, 100).await.is_err());
    }
}
