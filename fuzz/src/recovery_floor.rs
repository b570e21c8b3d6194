//! `recovery::floor`: a scan of any file ends, its groups follow one another, and going on after
//! damage always gets further.

use kinelog_engine::format::{checksum, group};
use kinelog_engine::recovery::floor::{End, Expect, Scan, scan};

use crate::samples::{self, FIRST_GROUP, STORE};
use crate::{Seed, put, u32_at};

const SEQUENCE: u64 = 2;
const FIRST: Expect = Expect { number: 1, position: 0, previous_crc: Some(0) };

/// The target: 8 bytes of the position the next file takes over at (all ones: there is none), then
/// the file after its first page, which a scan does not look at.
pub fn run(data: &[u8]) {
    let Some((taken_over, groups)) = data.split_first_chunk() else { return };
    let taken_over = u64::from_le_bytes(*taken_over);
    let taken_over = (taken_over != u64::MAX).then_some(taken_over);
    let mut file = [&[0; 4096], groups].concat();
    check(&file, taken_over);
    for offset in (4096..file.len()).step_by(4096) {
        let entries = u32_at(&file, offset + 12).and_then(|entries| entries.checked_mul(32));
        let end = entries.map(|bytes| offset + 64 + bytes);
        if let Some(summed) = end.and_then(|end| file.get(offset + 8..end)) {
            let crc = checksum::salted(group::salt(STORE, SEQUENCE, offset as u64), summed);
            put(&mut file, offset + 4, crc);
        }
    }
    check(&file, taken_over);
}

fn check(file: &[u8], taken_over: Option<u64>) {
    let (mut offset, mut expect) = (4096, FIRST);
    for _ in 0..=file.len() / 4096 {
        let found = scan(file, STORE, SEQUENCE, offset, expect, taken_over);
        check_scan(&found, offset, expect);
        let End::Corrupt { resume: Some(resume), .. } = found.end else { return };
        (offset, expect) = (resume, found.next);
    }
    panic!("each scan after damage takes at least one group");
}

fn check_scan(found: &Scan, start: u64, expect: Expect) {
    let mut offset = start;
    let mut number = expect.number;
    for group in &found.groups {
        assert_eq!((group.offset, group.head.header.number), (offset, number));
        offset += u64::from(group.head.header.bytes);
        number += 1;
    }
    match found.end {
        End::Clean { offset: end } | End::Torn { offset: end } => assert_eq!(end, offset),
        End::Corrupt { offset: end, resume } => {
            assert!(end == offset && resume.is_none_or(|resume| resume >= offset));
        }
    }
    if !matches!(found.end, End::Corrupt { resume: Some(_), .. }) {
        assert_eq!(found.next.number, number);
    }
    if let Some(flipped) = found.flipped {
        let last = found.groups.last().expect("a flipped bit lies in a group");
        assert!((last.offset..offset).contains(&(flipped.offset as u64)));
    }
}

/// Log files: whole, torn, damaged in the middle, followed by older groups.
pub fn seeds() -> Vec<Seed> {
    let whole = log(&[&[100], &[10, 4000], &[50, 60]]);
    let mut torn = whole.clone();
    torn.truncate(whole.len() - 4096 + 512);
    torn.resize(whole.len() + 4096, 0);
    let mut damaged = whole.clone();
    damaged[8 + 4096..][..300].fill(0);
    let mut flipped = whole.clone();
    flipped[whole.len() - 3800] ^= 4;
    let mut recycled = whole.clone();
    recycled.extend_from_slice(&samples::group(&FIRST_GROUP, 1, 4096, &[70]).1);
    let mut vouched = whole.clone();
    vouched[..8].copy_from_slice(&(4 * 4096_u64).to_le_bytes());
    vec![
        ("damaged", damaged),
        ("flipped", flipped),
        ("recycled", recycled),
        ("torn", torn),
        ("vouched", vouched),
        ("whole", whole),
        ("zeros", [&[0xff; 8][..], &[0; 4096]].concat()),
    ]
}

/// The input for a log of these groups, each given by the data bytes of its batches.
fn log(groups: &[&[usize]]) -> Vec<u8> {
    let mut input = vec![0xff; 8];
    let mut header = FIRST_GROUP;
    for data_bytes in groups {
        let offset = 4096 + header.position;
        let (sealed, bytes) = samples::group(&header, SEQUENCE, offset, data_bytes);
        input.extend_from_slice(&bytes);
        let position = sealed.position + u64::from(sealed.bytes);
        header = group::Header {
            number: sealed.number + 1,
            position,
            durable_position: position,
            previous_crc: sealed.crc,
            ..FIRST_GROUP
        };
    }
    input
}
