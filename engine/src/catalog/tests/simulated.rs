//! Power cuts on the simulated device, by seed.

use super::crash::{position, states};
use super::*;
use crate::device::clock::ManualClock;
use crate::device::simulated::{Fault, Operation, SimulatedDisk, Survive};

async fn open_on(disk: &SimulatedDisk, is_fresh: bool) -> Result<Catalog, OpenError> {
    let clock = Arc::new(ManualClock::new(Timestamp(NOW_SECONDS * 1000)));
    let device = disk.device(clock);
    if is_fresh {
        device.files.create_dir_all(&directory()).await?;
        device.files.sync_dir(Path::new("/")).await?;
    }
    let (catalog, _) = Catalog::open(&device, &directory(), STORE, is_fresh).await?;
    Ok(catalog)
}

#[tokio::test]
async fn a_power_cut_keeps_what_was_acknowledged_whatever_sectors_survive() {
    let states = states().await;
    for seed in 0..160 {
        let disk = SimulatedDisk::new(seed);
        let catalog = open_on(&disk, true).await.unwrap();
        // Eight changes write and sync twice each.
        let at = 1 + seed % 16;
        let operation = if seed % 2 == 0 { Operation::Write } else { Operation::SyncData };
        let fault = if seed % 3 == 0 { Fault::LosePages } else { Fault::Io };
        disk.fail_nth(operation, at, fault);
        tokio::spawn(async move { busy(&catalog).await }).await.unwrap_err();
        let survive = if seed % 5 == 0 { Survive::Torn } else { Survive::Random };
        let mut disk = disk.power_cut(seed, survive);
        let acknowledged = usize::try_from((at - 1) / 2).unwrap();
        let catalog = open_on(&disk, false).await.unwrap();
        let found = position(&states, &contents(&catalog));
        assert!((acknowledged..=acknowledged + 1).contains(&found), "seed {seed}: state {found}");
        // What was shown once is durable, also when the power goes again right after.
        disk = disk.power_cut(seed, survive);
        let again = open_on(&disk, false).await.unwrap();
        assert_eq!(contents(&again), contents(&catalog), "seed {seed}");
    }
}

#[tokio::test]
async fn a_power_cut_at_any_moment_of_opening_and_healing_loses_nothing() {
    for seed in 0..96 {
        let disk = SimulatedDisk::new(seed);
        let catalog = open_on(&disk, true).await.unwrap();
        busy(&catalog).await;
        // One mirror is damaged beyond repair, so that opening writes a new generation.
        let mirror = directory().join(FILE_NAMES[usize::from(seed % 2 == 0)]);
        disk.alter(&mirror, |bytes| bytes[4096 + 40..4096 + 60].fill(0x55)).unwrap();
        disk.fail_nth(Operation::Any, 1 + seed % 24, Fault::Io);
        let _may_fail = open_on(&disk, false).await;
        let disk = disk.power_cut(seed, Survive::Random);
        let again = open_on(&disk, false).await.unwrap();
        assert_eq!(contents(&again), contents(&catalog), "seed {seed}");
    }
}

#[tokio::test]
async fn a_frame_of_which_a_sync_failed_is_there_for_certain_once_it_was_found() {
    for seed in 0..64 {
        let disk = SimulatedDisk::new(seed);
        let catalog = open_on(&disk, true).await.unwrap();
        catalog.create(new_stream("a", 1)).await.unwrap();
        // The second mirror does not get the frame, though whoever reads it sees it.
        disk.fail_nth(Operation::SyncData, 2, Fault::LosePages);
        let doubtful = catalog.create(new_stream("b", 4)).await;
        assert!(matches!(doubtful, Err(CatalogError::Stopped { .. })), "{doubtful:?}");
        let catalog = open_on(&disk, false).await.unwrap();
        catalog.create(new_stream("c", 4)).await.unwrap();
        let acknowledged = contents(&catalog);
        // The next frame is torn in the first mirror: the second one must be complete before it.
        disk.fail_nth(Operation::SyncData, 1, Fault::Io);
        let torn = catalog.create(new_stream("d", 4)).await;
        assert!(matches!(torn, Err(CatalogError::Stopped { .. })), "{torn:?}");
        let again = open_on(&disk.power_cut(seed, Survive::Random), false).await.unwrap();
        assert!(again.stream(&key("d")).is_some() || contents(&again) == acknowledged);
    }
}
