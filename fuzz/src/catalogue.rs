//! The catalogue and the manifests with any content under right sums: `catalogue` and `snapshot`.

use std::path::Path;

use kinelog_engine::catalog::Catalog;
use kinelog_engine::format::journal;
use kinelog_engine::format::manifest::{self, ActiveFloor, Manifest, ShardFloor};
use kinelog_engine::format::page_header::{self, FileKind, PageHeader};
use kinelog_engine::types::{
    Epoch, NewShard, NewStream, Ordinal, SegmentId, ShardUid, StreamKey, StreamStatus, Timestamp,
    uniform_ranges,
};

use crate::choices::Choices;
use crate::store::{self, DIRECTORY, Files, Sample};
use crate::{Seed, block_on};

const MIRRORS: [&str; 2] = ["/data/catalog.0", "/data/catalog.1"];
const FRAMES_MAX: usize = 64;

/// The target of the catalogue: how many frames each mirror lacks, then frames, one a line.
pub fn run_catalogue(data: &[u8]) {
    let sample = store::small();
    let mut choices = Choices::new(data);
    let lacks = [choices.byte(), choices.byte()];
    let lines: Vec<_> = choices.rest().split(|byte| *byte == b'\n').take(FRAMES_MAX).collect();
    let mut files = sample.files.clone();
    for (mirror, lacks) in MIRRORS.into_iter().zip(lacks) {
        if lacks == u8::MAX {
            files.remove(Path::new(mirror));
            continue;
        }
        let kept = lines.len().saturating_sub(usize::from(lacks % 4));
        files.insert(mirror.into(), mirror_of(sample, &lines[..kept]));
    }
    drop(sample.survives(files.clone()));
    block_on(check(sample, files));
}

fn mirror_of(sample: &Sample, lines: &[&[u8]]) -> Vec<u8> {
    let generation = 1;
    let fields = [generation, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let page = PageHeader { kind: FileKind::Journal, store: sample.store, fields };
    let mut bytes = page_header::encode(&page).to_vec();
    for (number, line) in (0..).zip(lines) {
        let offset = bytes.len() as u64;
        bytes.extend(journal::encode(sample.store, generation, offset, number, line));
    }
    bytes
}

/// What opens opens again to the same streams, and can be changed.
async fn check(sample: &Sample, files: Files) {
    let (device, directory) = (store::device(files), Path::new(DIRECTORY));
    let open = async || Catalog::open(&device, directory, sample.store, false).await;
    let Ok((catalogue, _)) = open().await else { return };
    let before = catalogue.all();
    drop(catalogue);
    let (catalogue, report) = open().await.expect("what has been opened is sound");
    assert_eq!(catalogue.all(), before);
    assert_eq!((report.healed_frames, report.repaired_bits), (0, 0), "it was healed before");
    let key = StreamKey { namespace: "new".to_owned(), name: "made by the target".to_owned() };
    let new = |range| NewShard { range, created_seconds: 1, parents: Vec::new() };
    let made = catalogue
        .create(NewStream {
            key: key.clone(),
            status: StreamStatus::Active,
            shards: uniform_ranges(2).into_iter().map(new).collect(),
            retention_hours: 24,
            attributes: serde_json::Value::Null,
        })
        .await;
    let Ok(made) = made else { return };
    for stream in &before {
        assert_ne!(stream.id, made.id, "ids are given out once");
        let others = stream.shards.iter().map(|shard| shard.uid);
        let is_new = |uid| made.shards.iter().all(|shard| shard.uid != uid);
        assert!(others.into_iter().all(is_new), "uids are given out once");
    }
    drop(catalogue);
    let (catalogue, _) = open().await.expect("a change leaves it sound");
    assert_eq!(catalogue.stream(&key), Some(made));
    assert_eq!(catalogue.all().len(), before.len() + 1);
}

/// The target of manifests: one for each of the two files, from numbers.
pub fn run_snapshot(data: &[u8]) {
    let sample = store::small();
    let mut choices = Choices::new(data);
    let mut files = sample.files.clone();
    let slots: Vec<_> = files.keys().filter(|path| is_manifest(path)).cloned().collect();
    assert_eq!(slots.len(), 2, "a store has two manifests");
    for path in slots {
        let found = manifest::decode(&files[&path], sample.store).expect("the sample is sound");
        let changed = change(found, &mut choices);
        files.insert(path, manifest::encode(&changed, sample.store));
    }
    drop(sample.survives(files));
}

fn is_manifest(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("manifest"))
}

/// Changes some of its numbers.
fn change(mut manifest: Manifest, choices: &mut Choices<'_>) -> Manifest {
    for _ in 0..choices.below(8) {
        let what = choices.below(14);
        let number = choices.number() >> (choices.byte() & 63);
        let Manifest { generation, replay, epoch, shards } = &mut manifest;
        match what {
            0 => *generation = number.max(1),
            1 => replay.sequence = number,
            2 => replay.offset = number,
            3 => replay.group_number = number,
            4 => replay.position = number,
            5 => replay.previous_crc ^= 1,
            6 => *epoch = Epoch(u32::try_from(number & 0xffff_ffff).expect("it is masked")),
            7 => drop(shards.pop()),
            _ => change_shard(shards, what, number),
        }
    }
    manifest
}

fn change_shard(shards: &mut Vec<ShardFloor>, what: usize, number: u64) {
    let Some(shard) = shards.first_mut() else {
        let (shard, next) = (ShardUid(number), Ordinal(number));
        let (first_kept, last_arrival) = (Ordinal(1), Timestamp(number));
        let last_segment = SegmentId(number);
        shards.push(ShardFloor {
            shard,
            next,
            first_kept,
            active: None,
            last_arrival,
            last_segment,
        });
        return;
    };
    match what {
        8 => shard.next = Ordinal(number),
        9 => shard.first_kept = Ordinal(number),
        10 => shard.last_arrival = Timestamp(number),
        11 => shard.last_segment = SegmentId(number),
        12 => shard.active = None,
        _ => {
            let segment = SegmentId(number.max(1));
            shard.active = Some(ActiveFloor { segment, base: shard.next, bytes: number });
        }
    }
    shards.rotate_left(1);
}

/// The frames of the sample, with changes of all kinds after them.
pub fn catalogue_seeds() -> Vec<Seed> {
    let sample = store::small();
    let mut lines = Vec::new();
    let image = &sample.files[Path::new(MIRRORS[0])];
    let generation =
        page_header::decode(image, FileKind::Journal).expect("it is sound").0.fields[0];
    let mut offset = 4096;
    while let Ok(frame) = journal::decode(&image[offset..], sample.store, generation, offset as u64)
    {
        offset += usize::try_from(frame.bytes).expect("frames are short");
        lines.push(frame.payload);
    }
    let more = [
        r#"{"Change":{"stream":1,"settings":{"retention_hours":48,"attributes":[{"a":1}]}}}"#,
        r#"{"Document":{"namespace":"n","document":{"a":[1]}}}"#,
        r#"{"Expire":{"stream":1,"shards":[7]}}"#,
        r#"{"Remove":{"stream":1}}"#,
    ];
    let input = |lines: &[Vec<u8>], lacks: [u8; 2]| [&lacks[..], &lines.join(&b'\n')].concat();
    let whole = input(&lines, [0, 0]);
    lines.extend(more.map(|line| line.as_bytes().to_vec()));
    vec![
        ("whole", whole),
        ("changed", input(&lines, [0, 0])),
        ("behind", input(&lines, [0, 1])),
        ("missing", input(&lines, [255, 0])),
        ("empty", b"\0\0{\"streams\":0,\"last_stream\":0,\"last_shard\":0}".to_vec()),
    ]
}

/// Manifests as they were, and with one number of each kind changed.
pub fn snapshot_seeds() -> Vec<Seed> {
    let step = |what: u8, number: u64| [&[1, what][..], &number.to_le_bytes(), &[0]].concat();
    vec![
        ("same", Vec::new()),
        ("generation", step(0, 9)),
        ("sequence", step(1, 0)),
        ("offset", step(2, 8192)),
        ("group", step(3, 2)),
        ("shard-gone", step(7, 0)),
        ("next", step(8, 4)),
        ("first-kept", step(9, 6)),
        ("no-active", step(12, 0)),
        ("active", step(13, 4096)),
    ]
}
