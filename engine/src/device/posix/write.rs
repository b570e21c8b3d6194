//! Writing all of it: continuing short writes, repeating interrupted ones.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use bytes::Bytes;
use rustix::fs::OFlags;

use crate::limits::PAGE_BYTES;

/// Most pieces the kernel takes in one call (`IOV_MAX`).
const PIECES_MAX: usize = 1024;

/// Writes all pieces one after the other from `offset`. `write` is one system call: it gets the
/// slices left and their offset and says how many bytes it wrote.
pub(super) fn write_pieces(
    pieces: &[Bytes],
    mut offset: u64,
    mut write: impl FnMut(&[IoSlice<'_>], u64) -> io::Result<usize>,
) -> io::Result<()> {
    for pieces in pieces.chunks(PIECES_MAX) {
        let mut slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
        let mut rest = slices.as_mut_slice();
        // Drops empty slices in front, so that a write of nothing is not taken for a full device.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let written = retried(|| write(rest, offset))?;
            IoSlice::advance_slices(&mut rest, written);
            offset = advanced(offset, written)?;
        }
    }
    Ok(())
}

/// The same for one piece.
pub(in crate::device) fn write_fully(
    mut bytes: &[u8],
    mut offset: u64,
    mut write: impl FnMut(&[u8], u64) -> io::Result<usize>,
) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = retried(|| write(bytes, offset))?;
        bytes = &bytes[written..];
        offset = advanced(offset, written)?;
    }
    Ok(())
}

fn retried(mut write: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match write() {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

fn advanced(offset: u64, written: usize) -> io::Result<u64> {
    offset.checked_add(written as u64).ok_or_else(|| io::ErrorKind::FileTooLarge.into())
}

/// Opens an existing file for reading and writing past the page cache, or through it where the
/// file system refuses that.
#[expect(clippy::disallowed_methods, reason = "this is the seam all others go through")]
pub(in crate::device) fn open_direct(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    let mut direct = options.clone();
    direct.custom_flags(OFlags::DIRECT.bits().cast_signed());
    match direct.open(path) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => options.open(path),
        opened => opened,
    }
}

/// Direct writes take whole pages only; refused here alike for every device.
pub(in crate::device) fn check_alignment(offset: u64, bytes: &[u8]) -> io::Result<()> {
    let aligned = offset.is_multiple_of(PAGE_BYTES as u64)
        && bytes.len().is_multiple_of(PAGE_BYTES)
        && bytes.as_ptr().addr().is_multiple_of(PAGE_BYTES);
    if aligned {
        return Ok(());
    }
    let reason = "start, length and offset of a log write must be multiples of 4096";
    Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_interrupted_writes_are_continued_to_the_last_byte() {
        let pieces: Vec<Bytes> = (0..=250)
            .cycle()
            .take(3000)
            .map(|tag| Bytes::from(vec![tag; usize::from(tag) % 4]))
            .collect();
        let expected: Vec<u8> = pieces.iter().flatten().copied().collect();
        let mut written = Vec::new();
        let mut calls = 0;
        write_pieces(&pieces, 100, |slices, at| {
            calls += 1;
            assert_eq!(at, 100 + written.len() as u64);
            assert!(slices.len() <= PIECES_MAX);
            if calls % 3 == 0 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            let short = all.len().min(calls % 7 + 1);
            written.extend_from_slice(&all[..short]);
            Ok(short)
        })
        .unwrap();
        assert_eq!(written, expected);
    }

    #[test]
    fn a_write_of_nothing_is_an_error_and_not_a_loop() {
        let failed = write_fully(&[1, 2], 0, |_, _| Ok(0));
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::WriteZero);
        write_pieces(&[Bytes::new(), Bytes::new()], 0, |_, _| Ok(0)).unwrap();
    }

    #[test]
    fn anything_but_whole_pages_is_refused() {
        let page = crate::device::aligned::GroupBuffer::zeroed(2 * PAGE_BYTES);
        check_alignment(4096, page.as_slice()).unwrap();
        for (offset, bytes) in
            [(512, page.as_slice()), (0, &page.as_slice()[..512]), (0, &page.as_slice()[512..4608])]
        {
            let refused = check_alignment(offset, bytes).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        }
    }
}
