//! Read-only memory maps of files that no longer change.
//!
//! A page fault on a map stalls the thread that meets it. Hence [`Mapping::prefault`]: call it for a
//! range, on a helper thread, before the first touch; a file that is too short is an error there.
//! Where a file is cut behind our back later, or a page cannot be brought in again, zeros stand in
//! place of its bytes and the [`Mark`] is set, which readers look at after the last use (`fault`).
#![expect(unsafe_code, reason = "a memory map is unsafe by nature; this file is its only place")]

mod fault;

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use memmap2::{Advice, Mmap, MmapOptions};

use crate::types::Mark;
use fault::Registered;

/// Bytes one fallback read of `prefault` takes at a time.
const TOUCH_BYTES: usize = 64 << 10;

/// A file's bytes as they were when it was mapped. Clones and slices share the map; it is undone
/// when the last of them is dropped.
#[derive(Clone)]
pub struct Mapping {
    bytes: Bytes,
    /// `None` where the bytes are plain memory.
    map: Option<Arc<SharedMap>>,
}

struct SharedMap {
    /// Leaves the table of maps before the map is undone: fields are dropped in order.
    registered: Registered,
    map: Mmap,
    /// Kept only where the kernel cannot prefault a map and the file must be read instead.
    file: Option<File>,
}

/// Keeps the map alive for as long as a slice of it is.
struct Owner(Arc<SharedMap>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0.map
    }
}

impl Mapping {
    /// Maps all of `file`, which must be complete: nobody writes to it or cuts it any more.
    ///
    /// # Errors
    /// What mmap says, for example that there are too many maps.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        let can_prefault = kernel_can_prefault();
        Self::with_fallback(file, !can_prefault)
    }

    fn with_fallback(file: &File, read_instead: bool) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            return Ok(Self::from(Bytes::new()));
        }
        // SAFETY: The bytes must not change while they are borrowed. Only sealed files are mapped:
        // this program never writes to them again, never cuts them and never stores through a map;
        // the lock on the data directory keeps a second instance away. Another program that writes
        // there all the same changes values only, and those are checked by checksum before use; one that
        // cuts the file meets `fault`.
        let map = unsafe { MmapOptions::new().map(file) }?;
        let file = if read_instead { Some(file.try_clone()?) } else { None };
        let start = map.as_ptr().addr();
        let registered = Registered::new(start..start + map.len())?;
        let map = Arc::new(SharedMap { registered, map, file });
        Ok(Self { bytes: Bytes::from_owner(Owner(Arc::clone(&map))), map: Some(map) })
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// True for an empty file.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// All bytes. Touching a page that is not in memory blocks: see `prefault`.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Set for ever once bytes of the map are not those of the file; none for plain memory.
    pub fn mark(&self) -> Option<Mark> {
        self.map.as_ref().map(|shared| shared.registered.mark())
    }

    /// The bytes of `range`, shared; `None` when it reaches past the end.
    pub fn slice(&self, range: Range<usize>) -> Option<Bytes> {
        self.contains(&range).then(|| self.bytes.slice(range))
    }

    /// Brings `range` into memory; blocks, so call it on a helper thread.
    ///
    /// # Errors
    /// `UnexpectedEof` when the range reaches past the end of the map; otherwise the kernel's
    /// error for a page it cannot bring in, also where the file has become shorter than the map.
    pub fn prefault(&self, range: Range<usize>) -> io::Result<()> {
        if !self.contains(&range) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let Some(shared) = self.map.as_ref().filter(|_| !range.is_empty()) else {
            return Ok(());
        };
        match &shared.file {
            Some(file) => touch_by_reading(file, range),
            None => shared.map.advise_range(Advice::PopulateRead, range.start, range.len()),
        }
    }

    fn contains(&self, range: &Range<usize>) -> bool {
        range.start <= range.end && range.end <= self.len()
    }
}

/// Plain memory in place of a map.
impl From<Bytes> for Mapping {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, map: None }
    }
}

impl fmt::Debug for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapping").field("bytes", &self.len()).finish_non_exhaustive()
    }
}

/// Whether this kernel knows `MADV_POPULATE_READ` (Linux 5.14; some sandboxes never).
fn kernel_can_prefault() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        let probe = MmapOptions::new().len(1).map_anon();
        probe.is_ok_and(|map| map.advise(Advice::PopulateRead).is_ok())
    })
}

/// Brings the pages of `range` into the page cache, from where a touch of the map takes them.
fn touch_by_reading(file: &File, range: Range<usize>) -> io::Result<()> {
    let mut scratch = vec![0; range.len().min(TOUCH_BYTES)];
    let mut at = range.start;
    while at < range.end {
        let piece = (range.end - at).min(TOUCH_BYTES);
        file.read_exact_at(&mut scratch[..piece], at as u64)?;
        at += piece;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file_of(bytes: usize) -> File {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..=250).cycle().take(bytes).collect();
        file.write_all(&content).unwrap();
        file
    }

    #[test]
    fn slices_outlive_the_mapping_and_the_file() {
        let file = file_of(10_000);
        let mapping = Mapping::of(&file).unwrap();
        let slice = mapping.slice(5000..5010).unwrap();
        drop((mapping, file));
        assert_eq!(slice[0], (5000 % 251) as u8);
    }

    #[test]
    fn a_range_past_the_end_is_refused() {
        for mapping in [Mapping::of(&file_of(10)).unwrap(), Mapping::from(Bytes::from(vec![0; 10]))]
        {
            assert!(mapping.slice(5..11).is_none());
            assert_eq!(mapping.prefault(5..11).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
            mapping.prefault(5..10).unwrap();
            mapping.prefault(10..10).unwrap();
        }
    }

    #[test]
    fn an_empty_file_maps_to_no_bytes() {
        let mapping = Mapping::of(&file_of(0)).unwrap();
        assert!(mapping.is_empty());
        mapping.prefault(0..0).unwrap();
    }

    #[test]
    fn what_a_cut_file_has_lost_reads_as_zeros_and_is_marked() {
        let (cut, whole) = (file_of(64 << 10), file_of(64 << 10));
        let (mapping, other) = (Mapping::of(&cut).unwrap(), Mapping::of(&whole).unwrap());
        let (kept, lost) = (mapping.slice(0..8).unwrap(), mapping.slice(20_000..20_008).unwrap());
        assert_eq!(lost[0], (20_000 % 251) as u8);
        let mark = mapping.mark().unwrap();
        assert!(!mark.is_set());
        cut.set_len(8192).unwrap();
        assert!(!mark.is_set(), "nothing was read yet");
        assert_eq!(&lost[..], [0; 8]);
        assert!(mark.is_set());
        // What is still there goes on to be, and other maps are not touched by this.
        assert_eq!(&kept[..3], [0, 1, 2]);
        assert_eq!(other.bytes()[20_000], (20_000 % 251) as u8);
        assert!(!other.mark().unwrap().is_set());
        drop((mapping, kept, lost));
        // A later map does not inherit the mark.
        let again = Mapping::of(&whole).unwrap();
        assert!(!again.mark().unwrap().is_set());
    }

    #[test]
    fn maps_are_cut_by_the_hundred_and_in_all_threads() {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        let file = file_of(12_000);
                        let mapping = Mapping::of(&file).unwrap();
                        file.set_len(0).unwrap();
                        assert!(mapping.bytes().iter().all(|byte| *byte == 0));
                        assert!(mapping.mark().unwrap().is_set());
                    }
                });
            }
        });
    }

    #[test]
    fn prefault_of_a_file_cut_short_is_an_error_and_no_signal() {
        for read_instead in [false, true] {
            let file = file_of(64 << 10);
            let mapping = Mapping::with_fallback(&file, read_instead).unwrap();
            mapping.prefault(0..64 << 10).unwrap();
            file.set_len(8192).unwrap();
            mapping.prefault(0..8192).unwrap();
            assert!(mapping.prefault(5..20_000).is_err(), "read_instead: {read_instead}");
        }
    }
}
