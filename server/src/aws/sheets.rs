//! Long answers, written sheet by sheet: buffers of one length, which serve the next answers once the
//! system has taken what is on them. New memory for each answer would cost more than writing it.

use std::sync::Arc;

use bytes::{Buf, Bytes};

use super::Encoding;
use super::rope::Rope;
use super::writer::Writer;
use crate::spare::Spare;

/// Length of a sheet. Reason: small enough for the processor's cache of one core, large enough for a
/// write to the system.
pub const SHEET_BYTES: usize = 256 << 10;

/// Least length of a buffer that an answer goes on in. Reason: one that gets longer than expected is not
/// to fall into many pieces, nor to hold much more memory than it needs.
const LEAST_BYTES: usize = 16 << 10;

/// An answer on sheets; a short one, and the end of a long one, is on a buffer of its own length.
pub struct Sheets {
    writer: Writer,
    full: Rope,
    /// How long the answer is expected to get.
    bytes: usize,
    spare: Arc<Spare>,
}

/// A sheet that goes back where it came from.
struct Sheet {
    bytes: Vec<u8>,
    spare: Arc<Spare>,
}

impl AsRef<[u8]> for Sheet {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Sheet {
    fn drop(&mut self) {
        self.spare.put(std::mem::take(&mut self.bytes));
    }
}

impl Sheets {
    /// An empty answer of about `bytes`, on sheets from `spare`.
    pub fn new(encoding: Encoding, bytes: usize, spare: &Arc<Spare>) -> Self {
        let mut writer = Writer::new(encoding, 0);
        drop(writer.continue_in(buffer(bytes.min(SHEET_BYTES), spare)));
        Self { writer, full: Rope::default(), bytes, spare: Arc::clone(spare) }
    }

    /// Encoding it is written in.
    pub const fn encoding(&self) -> Encoding {
        self.writer.encoding()
    }

    /// What writes it, after there is room for about `bytes`.
    pub fn writer(&mut self, bytes: usize) -> &mut Writer {
        if self.writer.room() < bytes {
            let written = self.full.remaining() + self.writer.len();
            let left = self.bytes.saturating_sub(written).clamp(LEAST_BYTES, SHEET_BYTES);
            let full = self.writer.continue_in(buffer(left.max(bytes), &self.spare));
            self.put_away(full);
        }
        &mut self.writer
    }

    /// The finished body.
    pub fn finish(mut self) -> Rope {
        let last = self.writer.continue_in(Vec::new());
        self.put_away(last);
        self.full
    }

    fn put_away(&mut self, bytes: Vec<u8>) {
        let memory = bytes.capacity();
        let piece = if memory == SHEET_BYTES {
            Bytes::from_owner(Sheet { bytes, spare: Arc::clone(&self.spare) })
        } else {
            bytes.into()
        };
        self.full.push_in(piece, memory);
    }
}

/// A sheet, unless what is to be written is much shorter or longer.
fn buffer(bytes: usize, spare: &Spare) -> Vec<u8> {
    if (SHEET_BYTES / 2..=SHEET_BYTES).contains(&bytes) {
        spare.take(SHEET_BYTES).unwrap_or_else(|| Vec::with_capacity(SHEET_BYTES))
    } else {
        Vec::with_capacity(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPARE_BYTES_MAX: usize = 4 * SHEET_BYTES;
    const ENCODINGS: [Encoding; 2] = [Encoding::Json, Encoding::Cbor];

    fn item(number: usize, length: usize) -> Vec<u8> {
        vec![u8::try_from(number % 251).unwrap(); length]
    }

    /// A list of so many items of this length, each told to take `told` bytes.
    fn write(
        encoding: Encoding,
        (count, length, told): (usize, usize, usize),
        spare: &Arc<Spare>,
    ) -> Rope {
        let mut sheets = Sheets::new(encoding, count * told, spare);
        sheets.writer(1).begin_list();
        for number in 0..count {
            sheets.writer(told).blob(&item(number, length));
        }
        sheets.writer(1).end_list();
        sheets.finish()
    }

    fn in_a_row(encoding: Encoding, count: usize, length: usize) -> Bytes {
        let mut writer = Writer::new(encoding, 0);
        writer.begin_list();
        for number in 0..count {
            writer.blob(&item(number, length));
        }
        writer.end_list();
        writer.finish()
    }

    fn spare() -> Arc<Spare> {
        Arc::new(Spare::new(SPARE_BYTES_MAX))
    }

    #[test]
    fn an_answer_on_sheets_has_the_bytes_of_one_in_a_row() {
        let spare = spare();
        for (count, length) in
            [(0, 0), (1, 10), (3, SHEET_BYTES / 2), (300, 3000), (2, 3 * SHEET_BYTES), (9, 131_072)]
        {
            // Told too little, about right, and too much; on new sheets and on used ones.
            let lengths = [0, length / 2, length * 4 / 3 + 16, length * 2 + 100];
            for (told, encoding) in lengths.into_iter().flat_map(|it| ENCODINGS.map(|en| (it, en)))
            {
                let mut rope = write(encoding, (count, length, told), &spare);
                let bytes = rope.copy_to_bytes(rope.remaining());
                assert_eq!(bytes, in_a_row(encoding, count, length), "{count} of {length}, {told}");
            }
        }
    }

    #[test]
    fn sheets_come_back_once_they_are_written_or_given_up() {
        let spare = spare();
        let mut rope = write(Encoding::Cbor, (300, 3000, 3008), &spare);
        assert!(spare.take(SHEET_BYTES).is_none());
        rope.advance(SHEET_BYTES);
        let first = spare.take(SHEET_BYTES).expect("the first one is written");
        assert!(first.is_empty() && spare.take(SHEET_BYTES).is_none());
        drop(rope);
        assert!(spare.take(SHEET_BYTES).is_some());
    }

    #[test]
    fn short_answers_take_no_sheet_even_where_they_are_longer_than_told() {
        let spare = spare();
        for case in [(1, 1000, 1008), (20, 3000, 10), (1, SHEET_BYTES / 4, 0)] {
            drop(write(Encoding::Cbor, case, &spare));
            assert!(spare.take(SHEET_BYTES).is_none(), "{case:?}");
        }
    }

    #[test]
    fn the_memory_of_an_answer_is_that_of_its_buffers() {
        let spare = spare();
        for (count, length) in [(1, 100), (100, 100), (30, 100_000), (4, SHEET_BYTES), (300, 3000)]
        {
            let rope = write(Encoding::Cbor, (count, length, length + 8), &spare);
            let (memory, bytes) = (rope.memory(), rope.remaining());
            assert!((bytes..=2 * bytes + LEAST_BYTES).contains(&memory), "{memory} for {bytes}");
        }
        let held = write(Encoding::Cbor, (3, SHEET_BYTES - 100, SHEET_BYTES - 90), &spare);
        assert_eq!(held.memory(), 3 * SHEET_BYTES);
    }
}
