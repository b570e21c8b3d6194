//! Reads of files. Those as long as a reader's pieces go into buffers that are used again: the system
//! clears the pages of a new one, which costs more than the copy from its cache.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::limits::{READ_BUFFERS_MAX, READ_PIECE_BYTES_MAX};

/// The shortest read that gets a kept buffer: no read holds more than twice its bytes.
const LEAST_BYTES: usize = READ_PIECE_BYTES_MAX / 2;
/// Most bytes read at once of a file that tells no length. Reason: the kernel gives most of its files
/// in less.
const UNTOLD_BYTES_MAX: u64 = 64 << 10;

/// The kept buffers; the newest is given out first.
#[derive(Clone, Debug, Default)]
pub(super) struct ReadBuffers(Arc<Mutex<Vec<Box<[u8]>>>>);

/// A buffer that goes back where it came from.
struct Lent {
    bytes: Box<[u8]>,
    home: ReadBuffers,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let excess = self.home.with(|kept| {
            let bytes = std::mem::take(&mut self.bytes);
            if kept.len() < READ_BUFFERS_MAX {
                kept.push(bytes);
                return None;
            }
            Some(bytes)
        });
        drop(excess); // Outside the lock.
    }
}

impl ReadBuffers {
    /// Up to `len` bytes from `offset` on, fewer only where the file ends.
    ///
    /// # Errors
    /// What the system refused.
    pub(super) fn read(&self, file: &fs::File, offset: u64, len: usize) -> io::Result<Bytes> {
        // The length asked for may come from damaged bytes: allocate no more than there is to read.
        // Files of the kernel tell no length.
        let available = match file.metadata()?.len() {
            0 => UNTOLD_BYTES_MAX,
            bytes => bytes.saturating_sub(offset),
        };
        let len = usize::try_from(available).map_or(len, |available| len.min(available));
        if !(LEAST_BYTES..=READ_PIECE_BYTES_MAX).contains(&len) {
            let mut bytes = vec![0; len];
            let filled = read_into(&mut bytes, file, offset)?;
            bytes.truncate(filled);
            return Ok(bytes.into());
        }
        let mut lent = self.lend();
        let filled = read_into(&mut lent.bytes[..len], file, offset)?;
        Ok(Bytes::from_owner(lent).slice(..filled))
    }

    fn lend(&self) -> Lent {
        let kept = self.with(Vec::pop);
        let bytes = kept.unwrap_or_else(|| vec![0; READ_PIECE_BYTES_MAX].into_boxed_slice());
        Lent { bytes, home: self.clone() }
    }

    fn with<T>(&self, action: impl FnOnce(&mut Vec<Box<[u8]>>) -> T) -> T {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Fills `bytes` as far as the file goes; how far that is.
fn read_into(bytes: &mut [u8], file: &fs::File, offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file and what it holds, which is nowhere the same as some pieces further on.
    fn file(bytes: usize) -> (fs::File, Vec<u8>) {
        let content: Vec<_> = (0..=250).flat_map(|byte| [byte; 7]).cycle().take(bytes).collect();
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&content, 0).unwrap();
        (file, content)
    }

    #[test]
    fn reads_of_all_lengths_give_what_the_file_holds() {
        let (file, content) = file(3 * READ_PIECE_BYTES_MAX);
        let buffers = ReadBuffers::default();
        let ends = content.len();
        let lengths = [
            0,
            1,
            LEAST_BYTES - 1,
            LEAST_BYTES,
            READ_PIECE_BYTES_MAX,
            READ_PIECE_BYTES_MAX + 1,
            2 * ends,
        ];
        for offset in [0, 1, ends - LEAST_BYTES, ends - LEAST_BYTES - 5, ends - 1, ends] {
            for len in lengths {
                let read = buffers.read(&file, offset as u64, len).unwrap();
                let end = (offset + len).min(ends);
                assert!(read == content[offset..end], "{len} bytes from {offset} on");
            }
        }
        assert!(buffers.read(&file, u64::MAX, READ_PIECE_BYTES_MAX).unwrap().is_empty());
    }

    #[test]
    fn files_of_the_kernel_are_read_though_they_tell_no_length() {
        let file = fs::File::open("/proc/self/status").unwrap();
        let read = ReadBuffers::default().read(&file, 0, 16 << 10).unwrap();
        assert!(read.starts_with(b"Name:"));
        let empty = tempfile::tempfile().unwrap();
        assert!(ReadBuffers::default().read(&empty, 0, 16 << 10).unwrap().is_empty());
    }

    #[test]
    fn a_buffer_serves_again_once_the_last_slice_of_it_is_dropped() {
        let (file, content) = file(2 * READ_PIECE_BYTES_MAX);
        let buffers = ReadBuffers::default();
        let kept = || buffers.with(|kept| kept.len());
        let first = buffers.read(&file, 0, READ_PIECE_BYTES_MAX).unwrap();
        let slice = first.slice(5..10);
        drop(first);
        let second =
            buffers.read(&file, READ_PIECE_BYTES_MAX as u64, READ_PIECE_BYTES_MAX).unwrap();
        assert_eq!(slice, content[5..10], "it is not written over while it is read");
        assert_eq!(kept(), 0);
        drop((slice, second));
        assert_eq!(kept(), 2);
        drop(buffers.read(&file, 0, READ_PIECE_BYTES_MAX).unwrap());
        assert_eq!(kept(), 2);
        drop(buffers.read(&file, 0, READ_PIECE_BYTES_MAX + 1).unwrap());
        assert_eq!(kept(), 2, "others are not kept");
    }

    #[test]
    fn so_many_buffers_are_kept() {
        let (file, _) = file(READ_PIECE_BYTES_MAX);
        let buffers = ReadBuffers::default();
        let read = || buffers.read(&file, 0, READ_PIECE_BYTES_MAX).unwrap();
        let all: Vec<_> = (0..=READ_BUFFERS_MAX).map(|_| read()).collect();
        drop(all);
        assert_eq!(buffers.with(|kept| kept.len()), READ_BUFFERS_MAX);
    }
}
