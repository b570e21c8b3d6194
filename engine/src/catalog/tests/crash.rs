//! Crashes at every operation, failing writes, full disks and flipped bits.

use std::io::ErrorKind;

use super::memory::{Fault, Memory};
use super::*;

/// The states a run of `busy` passes through, the empty one first.
pub(super) async fn states() -> Vec<Contents> {
    let (memory, catalog) = fresh().await;
    busy(&catalog).await;
    // One frame after the other, cut off the end of both mirrors.
    let [a, b] = FILE_NAMES.map(|name| directory().join(name));
    let whole = memory.get(&a).unwrap();
    assert_eq!(Some(&whole), memory.get(&b).as_ref());
    let mut states = Vec::new();
    for end in frame_ends(&whole) {
        let cut = Memory::new();
        cut.put(&a, whole[..end].to_vec());
        cut.put(&b, whole[..end].to_vec());
        states.push(contents(&reopened(&cut).await));
    }
    states
}

fn frame_ends(image: &[u8]) -> Vec<usize> {
    let mut offset = 4096;
    let mut ends = Vec::new();
    while offset < image.len() {
        let at = offset as u64;
        let frame = crate::format::journal::decode(&image[offset..], STORE, 1, at).unwrap();
        offset += usize::try_from(frame.bytes).unwrap();
        ends.push(offset);
    }
    ends
}

/// Which of the states of a run this is.
pub(super) fn position(states: &[Contents], state: &Contents) -> usize {
    states.iter().rposition(|other| other == state).expect("a state of the run")
}

#[tokio::test]
async fn a_crash_at_any_operation_keeps_what_was_acknowledged() {
    let states = states().await;
    assert_eq!(states.len(), 9);
    let (memory, catalog) = fresh().await;
    let before = memory.operations();
    busy(&catalog).await;
    let operations = memory.operations() - before;
    for at in 1..=operations {
        let (memory, catalog) = fresh().await;
        memory.fail(at, Fault::Crash);
        let run = tokio::spawn(async move {
            let catalog = catalog;
            busy(&catalog).await;
        });
        run.await.unwrap_err();
        let acknowledged = usize::try_from((at - 1) * 8 / operations).unwrap();
        for power_cut in [false, true] {
            let disk = memory.after_crash(power_cut);
            let (catalog, _) = open(&disk, false).await.unwrap();
            let found = position(&states, &contents(&catalog));
            assert!(
                (acknowledged..=acknowledged + 1).contains(&found),
                "operation {at}: state {found}, acknowledged {acknowledged}",
            );
            // What was opened once stays as it is, and goes on.
            assert_eq!(contents(&reopened(&disk).await), contents(&catalog));
            catalog.create(new_stream("later", 1)).await.unwrap();
            assert!(reopened(&disk).await.stream(&key("later")).is_some());
        }
    }
}

#[tokio::test]
async fn a_crash_while_the_catalogue_is_made_leaves_a_usable_directory() {
    let memory = Memory::new();
    open(&memory, true).await.unwrap();
    for at in 1..=memory.operations() {
        let memory = Memory::new();
        memory.fail(at, Fault::Crash);
        assert!(open(&memory, true).await.is_err());
        for power_cut in [false, true] {
            let (catalog, _) = open(&memory.after_crash(power_cut), true).await.unwrap();
            catalog.create(new_stream("a", 1)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_crash_while_compacting_loses_nothing() {
    let (memory, catalog) = fresh().await;
    busy(&catalog).await;
    let expected = contents(&catalog);
    let compact = async |catalog: &Catalog| {
        let snapshot = catalog.inner.read().snapshot();
        catalog.inner.writer.lock().await.journal.compact(&snapshot).await
    };
    let before = memory.operations();
    compact(&catalog).await.unwrap();
    let operations = memory.operations() - before;
    assert_eq!(contents(&reopened(&memory).await), expected);
    for at in 1..=operations {
        let (memory, catalog) = fresh().await;
        busy(&catalog).await;
        memory.fail(at, Fault::Crash);
        compact(&catalog).await.unwrap_err();
        for power_cut in [false, true] {
            let disk = memory.after_crash(power_cut);
            let (catalog, _) = open(&disk, false).await.unwrap();
            assert_eq!(contents(&catalog), expected, "operation {at}");
            assert_eq!(contents(&reopened(&disk).await), expected);
            let next = catalog.create(new_stream("d", 1)).await.unwrap();
            assert_eq!(next.id, StreamId(4));
        }
    }
}

#[tokio::test]
async fn a_long_journal_is_rewritten() {
    let (memory, catalog) = fresh().await;
    let id = catalog.create(new_stream("a", 1)).await.unwrap().id;
    let document = json!("x".repeat(100_000));
    let mut longest = 0;
    for _ in 0..40 {
        let change = StreamChange::Attributes(document.clone());
        catalog.change(id, vec![change]).await.unwrap();
        longest = longest.max(memory.get(&directory().join("catalog.1")).unwrap().len());
    }
    assert!(longest < 2_000_000, "{longest}");
    assert_eq!(reopened(&memory).await.all(), catalog.all());
}

#[tokio::test]
async fn a_reopened_journal_is_not_rewritten_for_its_snapshot() {
    let (memory, catalog) = fresh().await;
    catalog.create(new_stream("a", 8_000)).await.unwrap();
    let generation =
        async |catalog: &Catalog| catalog.inner.writer.lock().await.journal.generation();
    assert_eq!(generation(&catalog).await, 2);
    let catalog = reopened(&memory).await;
    catalog.create(new_stream("b", 1)).await.unwrap();
    assert_eq!(generation(&catalog).await, 2);
}

#[tokio::test]
async fn compaction_without_space_leaves_the_old_generation_in_use() {
    let (memory, catalog) = fresh().await;
    let id = catalog.create(new_stream("a", 1)).await.unwrap().id;
    let document = json!("x".repeat(1_200_000));
    // Asking for space, then two writes and syncs; then the first temporary file is made.
    memory.fail(7, Fault::OnceHalf(ErrorKind::StorageFull));
    catalog.change(id, vec![StreamChange::Attributes(document)]).await.unwrap();
    catalog.create(new_stream("b", 1)).await.unwrap();
    assert_eq!(reopened(&memory).await.all(), catalog.all());
    assert!(journal::TEMPORARY_NAMES.iter().all(|n| memory.get(&directory().join(n)).is_none()));
}

#[tokio::test]
async fn after_a_failed_write_or_sync_changes_stay_refused() {
    for at in 2..=5 {
        let (memory, catalog) = fresh().await;
        memory.fail(at, Fault::OnceHalf(ErrorKind::Other));
        for _ in 0..2 {
            let result = catalog.create(new_stream("a", 1)).await;
            assert!(matches!(result, Err(CatalogError::Stopped { .. })), "operation {at}");
        }
        assert!(catalog.all().is_empty());
    }
}

#[tokio::test]
async fn a_full_disk_refuses_a_change_and_leaves_no_trace() {
    // The write to either mirror (operations 2 and 4) meets a full disk, with and without a part
    // of the frame in the file.
    for at in [2, 4] {
        for fault in
            [Fault::Once(ErrorKind::StorageFull), Fault::OnceHalf(ErrorKind::QuotaExceeded)]
        {
            let (memory, catalog) = fresh().await;
            catalog.create(new_stream("a", 1)).await.unwrap();
            memory.fail(at, fault);
            let result = catalog.create(new_stream("refused", 1)).await;
            assert!(matches!(result, Err(CatalogError::DiskFull { .. })), "{at} {fault:?}");
            for power_cut in [false, true] {
                let (catalog, _) = open(&memory.after_crash(power_cut), false).await.unwrap();
                assert_eq!(catalog.all().len(), 1, "{at} {fault:?}");
            }
            catalog.create(new_stream("b", 1)).await.unwrap();
            let (again, _) = open(&memory.after_crash(true), false).await.unwrap();
            assert_eq!(again.all(), catalog.all());
        }
    }
}

#[tokio::test]
async fn a_shorter_change_after_a_refused_one_uncovers_nothing_of_it() {
    for at in [2, 4] {
        let (memory, catalog) = fresh().await;
        let id = catalog.create(new_stream("a", 1)).await.unwrap().id;
        memory.fail(at, Fault::OnceHalf(ErrorKind::StorageFull));
        let refused = catalog.create(new_stream("refused", 50)).await;
        assert!(matches!(refused, Err(CatalogError::DiskFull { .. })), "{at}");
        catalog.change(id, vec![StreamChange::Retention(48)]).await.unwrap();
        for power_cut in [false, true] {
            let (again, _) = open(&memory.after_crash(power_cut), false).await.unwrap();
            assert_eq!(again.all(), catalog.all(), "{at}");
        }
    }
}

#[tokio::test]
async fn little_space_refuses_what_grows_and_allows_what_shrinks() {
    let (memory, catalog) = fresh().await;
    let stream = catalog.create(new_stream("a", 1)).await.unwrap();
    memory.set_free_bytes(4096);
    let result = catalog.create(new_stream("b", 1)).await;
    assert!(matches!(result, Err(CatalogError::DiskFull { free: 4096, .. })));
    catalog.remove(stream.id).await.unwrap();
    memory.set_free_bytes(u64::MAX);
    catalog.create(new_stream("b", 1)).await.unwrap();
}

#[tokio::test]
async fn every_flipped_bit_is_healed() {
    let (memory, catalog) = fresh().await;
    let id = catalog.create(new_stream("a", 1)).await.unwrap().id;
    catalog.change(id, vec![StreamChange::Status(StreamStatus::Active)]).await.unwrap();
    let expected = catalog.all();
    let paths = FILE_NAMES.map(|name| directory().join(name));
    let whole = memory.get(&paths[0]).unwrap();
    let images = |mirror: usize, image: Vec<u8>| {
        let mut images = [Some(whole.clone().into()), Some(whole.clone().into())];
        images[mirror] = Some(image.into());
        images
    };
    let sound = mirrors::merge(&images(0, whole.clone()), STORE).unwrap().unwrap();
    assert!(sound.notes.is_empty());
    for mirror in 0..2 {
        for bit in 0..whole.len() * 8 {
            // The zeros of the page header are all alike: one bit of each byte will do.
            let is_filler = bit / 8 < 4096 && whole[bit / 8] == 0;
            if is_filler && bit % 8 > 0 {
                continue;
            }
            let mut image = whole.clone();
            image[bit / 8] ^= 1 << (bit % 8);
            let merged = mirrors::merge(&images(mirror, image), STORE).unwrap().unwrap();
            assert!(!merged.notes.is_empty(), "mirror {mirror} bit {bit} passed unseen");
            assert!(merged.payloads == sound.payloads, "mirror {mirror} bit {bit}");
        }
    }
    // Once through the front door: the file is whole again.
    let mut image = whole.clone();
    image[4096 + 30] ^= 4;
    memory.put(&paths[1], image);
    let (catalog, report) = open(&memory, false).await.unwrap();
    assert_eq!(report.healed_frames + report.repaired_bits, 1);
    assert_eq!(catalog.all(), expected);
    assert_eq!(reopened(&memory).await.all(), expected);
}

#[tokio::test]
async fn a_missing_mirror_is_healed() {
    for name in FILE_NAMES {
        let (memory, catalog) = fresh().await;
        busy(&catalog).await;
        memory.delete(&directory().join(name));
        let (again, _) = open(&memory, false).await.unwrap();
        assert_eq!(contents(&again), contents(&catalog));
        assert_eq!(contents(&reopened(&memory).await), contents(&catalog));
    }
}

#[tokio::test]
async fn damage_of_one_frame_in_both_mirrors_is_reported_not_skipped() {
    let (memory, catalog) = fresh().await;
    busy(&catalog).await;
    let paths = FILE_NAMES.map(|name| directory().join(name));
    let whole = memory.get(&paths[0]).unwrap();
    let mut starts = vec![4096];
    starts.extend(frame_ends(&whole));
    starts.pop();
    let last = *starts.last().unwrap();
    for start in starts {
        for damage in [&[0xff; 40][..], &[0; 24]] {
            let mut image = whole.clone();
            let end = (start + damage.len()).min(image.len());
            image[start..end].copy_from_slice(&damage[..end - start]);
            let images = [Some(image.clone().into()), Some(image.into())];
            let merged = mirrors::merge(&images, STORE);
            // Zeros over the last header of both look like a frame that was taken back.
            let taken_back = damage[0] == 0 && start == last;
            if !taken_back {
                assert!(matches!(merged, Err(Refusal::Damaged { .. })), "at {start}");
            }
        }
    }
}

#[tokio::test]
async fn a_mirror_that_was_cut_short_is_healed_from_the_other() {
    let (memory, catalog) = fresh().await;
    busy(&catalog).await;
    let paths = FILE_NAMES.map(|name| directory().join(name));
    let whole = memory.get(&paths[0]).unwrap();
    for mirror in 0..2 {
        for len in (0..whole.len()).step_by(61) {
            let mut images = [Some(whole.clone().into()), Some(whole.clone().into())];
            images[mirror] = Some(whole[..len].to_vec().into());
            let merged = mirrors::merge(&images, STORE).unwrap().unwrap();
            assert_eq!(merged.payloads.len(), 9);
            assert!(merged.notes.iter().any(|note| note.mirror == mirror));
        }
    }
}

#[tokio::test]
async fn a_last_frame_that_may_have_been_acknowledged_is_never_cut() {
    let (memory, catalog) = fresh().await;
    busy(&catalog).await;
    let whole = memory.get(&directory().join(FILE_NAMES[0])).unwrap();
    let ends = frame_ends(&whole);
    let (before, last) = (ends[ends.len() - 3], ends[ends.len() - 2]);
    let mut torn = whole.clone();
    torn[last + 30..].fill(0);
    let torn = |other: Option<&[u8]>| {
        let images = [Some(torn.clone().into()), other.map(|bytes| bytes.to_vec().into())];
        mirrors::merge(&images, STORE)
    };
    let cut = torn(Some(&whole[..last])).unwrap().unwrap();
    assert_eq!(cut.payloads.len(), ends.len() - 1, "the other mirror was complete before it");
    // A mirror that lacks even older frames, or is gone, says nothing of the last one.
    for other in [Some(&whole[..before]), None] {
        assert!(matches!(torn(other), Err(Refusal::Damaged { .. })));
    }
}

#[tokio::test]
async fn a_torn_frame_is_cut_though_the_other_mirror_has_lost_the_one_before() {
    let (memory, catalog) = fresh().await;
    busy(&catalog).await;
    let whole = memory.get(&directory().join(FILE_NAMES[0])).unwrap();
    let ends = frame_ends(&whole);
    let [older, before, last] = [4, 3, 2].map(|from_end| ends[ends.len() - from_end]);
    let mut torn = whole.clone();
    torn[last + 30..].fill(0);
    // Zeros look like a frame that was never there, but the file ends where the next one begins.
    let zeroed = |from: usize, len: usize| {
        let mut other = whole[..len].to_vec();
        other[from..last].fill(0);
        mirrors::merge(&[Some(torn.clone().into()), Some(other.into())], STORE)
    };
    for from in [older, before] {
        assert_eq!(zeroed(from, last).unwrap().unwrap().payloads.len(), ends.len() - 1);
    }
    // A mirror that is longer had the next one, too: it serves, or nobody knows.
    assert_eq!(zeroed(before, whole.len()).unwrap().unwrap().payloads.len(), ends.len());
    let mut other = whole.clone();
    other[before..].fill(0);
    let merged = mirrors::merge(&[Some(torn.into()), Some(other.into())], STORE);
    assert!(matches!(merged, Err(Refusal::Damaged { .. })));
}
