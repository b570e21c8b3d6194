//! Long answers, written sheet by sheet: buffers of one length, which serve the next answers once the
//! system has taken what is on them. New memory for each answer would cost more than writing it.

use std::sync::Arc;

use bytes::Bytes;

use super::Encoding;
use super::rope::Rope;
use super::writer::Writer;
use crate::spare::Spare;

/// Length of a sheet. Reason: small enough for the processor's cache of one core, large enough for a
/// write to the system.
pub const SHEET_BYTES: usize = 256 << 10;

/// An answer on sheets; a short one is on a buffer of its own length.
pub struct Sheets {
    writer: Writer,
    full: Rope,
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
        Self { writer, full: Rope::default(), spare: Arc::clone(spare) }
    }

    /// Encoding it is written in.
    pub const fn encoding(&self) -> Encoding {
        self.writer.encoding()
    }

    /// What writes it, after there is room for `bytes`.
    pub fn writer(&mut self, bytes: usize) -> &mut Writer {
        if self.writer.room() < bytes {
            let full = self.writer.continue_in(buffer(bytes.max(SHEET_BYTES), &self.spare));
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
        self.full.push(if bytes.capacity() == SHEET_BYTES {
            Bytes::from_owner(Sheet { bytes, spare: Arc::clone(&self.spare) })
        } else {
            bytes.into()
        });
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
    use bytes::Buf;

    use super::*;

    const SPARE_BYTES_MAX: usize = 4 * SHEET_BYTES;

    fn write(count: usize, length: usize, spare: &Arc<Spare>) -> Rope {
        let mut sheets = Sheets::new(Encoding::Cbor, count * (length + 8), spare);
        for number in 0..count {
            let byte = u8::try_from(number % 251).unwrap();
            sheets.writer(length + 8).blob(&vec![byte; length]);
        }
        sheets.finish()
    }

    fn joined(count: usize, length: usize) -> Bytes {
        let mut writer = Writer::new(Encoding::Cbor, 0);
        for number in 0..count {
            writer.blob(&vec![u8::try_from(number % 251).unwrap(); length]);
        }
        writer.finish()
    }

    #[test]
    fn an_answer_on_sheets_has_the_bytes_of_one_in_a_row() {
        let spare = Arc::new(Spare::new(SPARE_BYTES_MAX));
        for (count, length) in
            [(0, 0), (1, 10), (3, SHEET_BYTES / 2), (300, 3000), (2, 3 * SHEET_BYTES), (9, 131_072)]
        {
            // Twice: on new sheets and on used ones.
            for _ in 0..2 {
                let mut rope = write(count, length, &spare);
                let bytes = rope.copy_to_bytes(rope.remaining());
                assert_eq!(bytes, joined(count, length), "{count} of {length}");
            }
        }
    }

    #[test]
    fn sheets_come_back_once_they_are_written_or_given_up() {
        let spare = Arc::new(Spare::new(SPARE_BYTES_MAX));
        let mut rope = write(300, 3000, &spare);
        assert!(spare.take(SHEET_BYTES).is_none());
        rope.advance(SHEET_BYTES);
        let first = spare.take(SHEET_BYTES).expect("the first one is written");
        assert!(first.is_empty() && spare.take(SHEET_BYTES).is_none());
        drop(rope);
        assert!(spare.take(SHEET_BYTES).is_some());
    }

    #[test]
    fn short_answers_and_long_pieces_take_no_sheet() {
        let spare = Arc::new(Spare::new(SPARE_BYTES_MAX));
        drop(write(1, 1000, &spare));
        drop(write(1, 1000 + SHEET_BYTES, &spare));
        // The sheet that was begun for the long one, and nothing else.
        assert!(spare.take(SHEET_BYTES).is_some() && spare.take(SHEET_BYTES).is_none());
    }
}
