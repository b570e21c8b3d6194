//! Two mirrors of the journal, merged frame by frame: a pure function over their bytes.
//!
//! A frame goes to mirror 0 and is synced there before mirror 1 is touched, and the next frame
//! starts after both are synced, also by a process that has found the last frame there. So a crash
//! leaves at most the last frame unsound, in mirror 0 with mirror 1 ending before it (never
//! acknowledged: cut), or in mirror 1 with mirror 0 sound. Anything else that is sound in neither
//! mirror is damage.
//!
//! A header of zeros is a frame that was taken back: nothing stands there, nor of its rest.
//!
//! Mirrors of different generations come from a crash while a new generation was put in place;
//! no change can have been acknowledged since, so either says all. The higher one is preferred.

use bytes::Bytes;

use crate::error::FormatError;
use crate::format::journal::{self, Frame};
use crate::format::page_header::{self, FileKind};
use crate::limits::PAGE_BYTES;
use crate::types::StoreId;

/// Offset of the first frame.
pub(crate) const FIRST_FRAME: u64 = PAGE_BYTES as u64;

/// Something wrong in one mirror that the other one, or a one-bit repair, made good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// The mirror, 0 or 1.
    pub(crate) mirror: usize,
    /// Offset in it.
    pub(crate) offset: u64,
    /// What is wrong.
    pub(crate) kind: NoteKind,
}

/// What was found and made good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoteKind {
    /// The file is not there.
    Missing,
    /// A copy of the page header, or its padding, is damaged.
    PageHeader,
    /// A flipped bit in a frame.
    Bit,
    /// A frame is damaged or missing here.
    Frame,
    /// A frame that was never acknowledged, or remains of one.
    Torn,
    /// An older generation, or a newer one that is damaged.
    Superseded,
}

impl std::fmt::Display for NoteKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Missing => "the mirror is missing, the other one serves",
            Self::PageHeader => "the page header is damaged, its copy or the other mirror serves",
            Self::Bit => "a flipped bit in a frame is repaired on reading",
            Self::Frame => "a frame is damaged or missing, the other mirror has it",
            Self::Torn => "a change that was never acknowledged ends the journal",
            Self::Superseded => "the mirror is of another generation, the other one serves",
        })
    }
}

/// What the mirrors say together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Merged {
    /// Generation of the frames.
    pub(crate) generation: u64,
    /// Payloads of the frames in order, from frame 0.
    pub(crate) payloads: Vec<Vec<u8>>,
    /// Offset after the last frame.
    pub(crate) end: u64,
    /// What was made good. When empty, both mirrors are the same and end at `end`.
    pub(crate) notes: Vec<Note>,
}

/// Why the mirrors cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Written by a newer program.
    TooNew {
        /// The mirror.
        mirror: usize,
        /// Its version.
        found: u32,
        /// Newest version known.
        newest: u32,
    },
    /// Damage that neither mirror makes good.
    Damaged {
        /// The mirror.
        mirror: usize,
        /// Offset in it.
        offset: u64,
        /// In one clause.
        reason: String,
    },
}

/// Merges the mirrors, `None` for one whose file is missing. `None` when both are missing.
pub(crate) fn merge(
    images: &[Option<Bytes>; 2],
    store: StoreId,
) -> Result<Option<Merged>, Refusal> {
    if images.iter().all(Option::is_none) {
        return Ok(None);
    }
    let heads = [head(images, 0, store)?, head(images, 1, store)?];
    match (&heads[0], &heads[1]) {
        (Head::Sound(a), Head::Sound(b)) if a.generation != b.generation => {
            let newer = usize::from(b.generation > a.generation);
            merge_generations(images, [*a, *b], newer, store).map(Some)
        }
        (Head::Sound(a), _) => walk(images, &heads, a.generation, store).map(Some),
        (_, Head::Sound(b)) => walk(images, &heads, b.generation, store).map(Some),
        _ => {
            let mirror = usize::from(images[0].is_none());
            Err(damaged(mirror, 0, "the page header is damaged, and the other mirror is no help"))
        }
    }
}

#[derive(Clone, Copy)]
struct SoundHead {
    generation: u64,
    repaired: bool,
}

enum Head {
    Missing,
    Bad,
    Sound(SoundHead),
}

fn head(images: &[Option<Bytes>; 2], mirror: usize, store: StoreId) -> Result<Head, Refusal> {
    let Some(image) = &images[mirror] else { return Ok(Head::Missing) };
    match page_header::decode(&image[..image.len().min(PAGE_BYTES)], FileKind::Journal) {
        Ok((header, _)) if header.store != store => {
            Err(damaged(mirror, 0, "the file belongs to another store"))
        }
        Ok((header, repaired)) => {
            Ok(Head::Sound(SoundHead { generation: header.fields[0], repaired }))
        }
        Err(FormatError::Version { found, newest, .. }) => {
            Err(Refusal::TooNew { mirror, found, newest })
        }
        Err(_) => Ok(Head::Bad),
    }
}

fn merge_generations(
    images: &[Option<Bytes>; 2],
    heads: [SoundHead; 2],
    newer: usize,
    store: StoreId,
) -> Result<Merged, Refusal> {
    let alone = |mirror: usize| {
        let mut images = images.clone();
        images[1 - mirror] = None;
        let mut kept = [Head::Missing, Head::Missing];
        kept[mirror] = Head::Sound(heads[mirror]);
        let mut merged = walk(&images, &kept, heads[mirror].generation, store)?;
        merged.notes.retain(|note| note.mirror == mirror);
        merged.notes.push(Note { mirror: 1 - mirror, offset: 0, kind: NoteKind::Superseded });
        Ok(merged)
    };
    alone(newer).or_else(|refusal| alone(1 - newer).map_err(|_: Refusal| refusal))
}

/// What one mirror holds at an offset.
enum At {
    /// The file ends here, or the frame was taken back.
    Nothing,
    Bad,
    Sound(Frame),
}

struct Walk<'a> {
    images: &'a [Option<Bytes>; 2],
    store: StoreId,
    generation: u64,
    number: u64,
    offset: u64,
    /// Mirrors that lack the last frame found: they tell nothing of the next one.
    behind: [bool; 2],
    merged: Merged,
}

fn walk(
    images: &[Option<Bytes>; 2],
    heads: &[Head; 2],
    generation: u64,
    store: StoreId,
) -> Result<Merged, Refusal> {
    let mut walk = Walk {
        images,
        store,
        generation,
        number: 0,
        offset: FIRST_FRAME,
        behind: [false; 2],
        merged: Merged { generation, ..Merged::default() },
    };
    for (mirror, head) in heads.iter().enumerate() {
        match head {
            Head::Missing => walk.note(mirror, 0, NoteKind::Missing),
            Head::Bad | Head::Sound(SoundHead { repaired: true, .. }) => {
                walk.note(mirror, 0, NoteKind::PageHeader);
            }
            Head::Sound(_) => {}
        }
        walk.behind[mirror] = matches!(head, Head::Missing);
    }
    while let Some(frame) = walk.next()? {
        walk.offset += frame.bytes;
        walk.number += 1;
        walk.merged.payloads.push(frame.payload);
    }
    walk.end()?;
    walk.merged.end = walk.offset;
    Ok(walk.merged)
}

impl Walk<'_> {
    fn note(&mut self, mirror: usize, offset: u64, kind: NoteKind) {
        self.merged.notes.push(Note { mirror, offset, kind });
    }

    fn rest(&self, mirror: usize, offset: u64) -> &[u8] {
        let bytes = self.images[mirror].as_deref().unwrap_or_default();
        usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default()
    }

    fn at(&self, mirror: usize) -> At {
        let rest = self.rest(mirror, self.offset);
        let header = &rest[..rest.len().min(journal::HEADER_BYTES)];
        if header.iter().all(|&byte| byte == 0) {
            return At::Nothing;
        }
        match journal::decode(rest, self.store, self.generation, self.offset) {
            Ok(frame) if frame.number == self.number => At::Sound(frame),
            _ => At::Bad,
        }
    }

    /// The frame expected here, from whichever mirror has it.
    fn next(&mut self) -> Result<Option<Frame>, Refusal> {
        let frame = match (self.at(0), self.at(1)) {
            (At::Sound(a), At::Sound(b)) => {
                if a.payload != b.payload {
                    return Err(self.damage(1, "the mirrors hold different frames"));
                }
                self.note_repair(0, &a);
                self.note_repair(1, &b);
                self.behind = [false; 2];
                a
            }
            (At::Sound(frame), other) => self.served_by(0, frame, &other),
            (other, At::Sound(frame)) => self.served_by(1, frame, &other),
            _ => return Ok(None),
        };
        Ok(Some(frame))
    }

    fn note_repair(&mut self, mirror: usize, frame: &Frame) {
        if frame.repaired {
            self.note(mirror, self.offset, NoteKind::Bit);
        }
    }

    fn served_by(&mut self, mirror: usize, frame: Frame, other: &At) -> Frame {
        self.note_repair(mirror, &frame);
        // A file that reaches just as far had the frame, and lost it later.
        let end = self.offset + frame.bytes;
        let had_it = self.rest(1 - mirror, end - 1).len() == 1;
        self.behind[mirror] = false;
        self.behind[1 - mirror] = matches!(other, At::Nothing) && !had_it;
        if self.images[1 - mirror].is_some() {
            self.note(1 - mirror, self.offset, NoteKind::Frame);
        }
        frame
    }

    /// No frame is sound here: tells the end of the journal from damage.
    fn end(&mut self) -> Result<(), Refusal> {
        for mirror in 0..2 {
            if self.has_later_frame(mirror) {
                return Err(
                    self.damage(mirror, "a frame before a later one is unsound in both mirrors")
                );
            }
        }
        if self.number == 0 {
            return Err(self.damage(usize::from(self.images[0].is_none()), "no frame is sound"));
        }
        if matches!(self.at(1), At::Bad) {
            return Err(self.damage(1, "the last frame is unsound in both mirrors"));
        }
        if matches!(self.at(0), At::Bad) && self.behind[1] {
            return Err(self.damage(0, "the last frame is unsound and the other mirror lacks it"));
        }
        for mirror in 0..2 {
            if !self.rest(mirror, self.offset).is_empty() {
                self.note(mirror, self.offset, NoteKind::Torn);
            }
        }
        Ok(())
    }

    /// True when a sound frame with a higher number stands anywhere after the offset.
    fn has_later_frame(&self, mirror: usize) -> bool {
        let mut offset = self.offset;
        loop {
            let rest = self.rest(mirror, offset);
            if rest.len() < journal::HEADER_BYTES {
                return false;
            }
            let found = journal::decode(rest, self.store, self.generation, offset);
            if found.is_ok_and(|frame| frame.number > self.number) {
                return true;
            }
            offset += 8;
        }
    }

    fn damage(&self, mirror: usize, reason: &str) -> Refusal {
        let reason = format!("frame {} at offset {}: {reason}", self.number, self.offset);
        damaged(mirror, self.offset, &reason)
    }
}

fn damaged(mirror: usize, offset: u64, reason: &str) -> Refusal {
    Refusal::Damaged { mirror, offset, reason: reason.to_owned() }
}
