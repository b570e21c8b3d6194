//! What takes more than one call to be sure of: a file in place of one that an earlier attempt
//! has left.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{File, Files};
use crate::error::DeviceError;

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::clock::ManualClock;
    use crate::device::simulated::SimulatedDisk;
    use crate::types::Timestamp;

    /// Files of a disk with one of 100 bytes.
    async fn files() -> Arc<dyn Files> {
        let disk = SimulatedDisk::new(1);
        let files = disk.device(Arc::new(ManualClock::new(Timestamp(0)))).files;
        let file = files.create(Path::new("/f")).await.unwrap();
        file.write(0, vec![vec![7; 100].into()]).await.unwrap();
        files
    }

    #[tokio::test]
    async fn a_new_file_takes_the_place_of_one_that_was_left() {
        let files = files().await;
        let file = create_anew(&*files, Path::new("/f")).await.unwrap();
        assert_eq!(file.bytes().await.unwrap(), 0);
    }
}
