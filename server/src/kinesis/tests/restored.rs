//! A copy of a store of which a change of shards was promised, restored after that change has been
//! carried out where the copy was taken.

use std::path::Path;

use kinelog_engine::recovery::repair::{self, Purpose};

use super::resharding::{MIDDLE, Seen, described, put_at, split_body};
use super::*;
use crate::kinesis::put_off_plan;

const RESTORED: &str = "/restored";

/// The store as it stands on the disk now, restored at the time the clock of `world` shows then.
struct Copied(SimulatedDisk);

impl Copied {
    fn of(world: &World) -> Self {
        Self(SimulatedDisk::from_snapshot(2, world.disk.snapshot()))
    }

    async fn restore(self, world: &World) -> World {
        let (disk, clock) = (self.0, Arc::clone(&world.clock));
        let device = disk.device(Arc::clone(&clock) as _);
        let mut repair =
            repair::plan(&device, Path::new("/store"), Purpose::Restore).await.unwrap();
        let now = world.context.engine.now();
        repair.amend_streams(|stream| put_off_plan(stream, now));
        repair.write(&device, Path::new("/store"), Path::new(RESTORED)).await.unwrap();
        let config = Config { log_file_bytes: 1 << 20, ..Config::new(RESTORED) };
        let engine = Engine::open(config, device).await.unwrap();
        let context = Context::new(engine, world.context.settings().clone());
        resume_transitions(&context);
        World { context, clock, disk, principal: principal("AKID", REGION) }
    }
}

/// The shards of a split that counts from the second `begins` on.
fn split(created: u64, begins: u64) -> Vec<Seen> {
    vec![
        (0, vec![], created, Some(begins - 1)),
        (1, vec![0], begins, None),
        (2, vec![0], begins, None),
    ]
}

#[tokio::test]
async fn a_split_that_came_after_the_copy_comes_later_in_the_restored_store() {
    let world = World::with_stream(1).await;
    world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await;
    let copied = Copied::of(&world);
    world.clock.advance_ms(TRANSITION_MS);
    world.next_second().await;
    let begun = world.context.engine.now().seconds();
    assert_eq!(described(&world).await.2, split(NOW.seconds(), begun));
    world.clock.advance_ms(10_000);
    let restored = copied.restore(&world).await;
    let now = world.context.engine.now().seconds();
    assert_eq!(put_at(&restored, MIDDLE).await.0, 0, "the parent still takes records");
    restored.next_second().await;
    assert_eq!(put_at(&restored, MIDDLE).await, (2, now + 1));
    let shards = split(NOW.seconds(), now + 1);
    assert_eq!(described(&restored).await, ("ACTIVE".to_owned(), 2, shards));
}

#[tokio::test]
async fn a_split_that_is_yet_to_come_makes_other_shards_in_the_restored_store() {
    let world = World::with_stream(1).await;
    world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await;
    let restored = Copied::of(&world).restore(&world).await;
    world.clock.advance_ms(TRANSITION_MS + 2_000);
    let [there, here] = [described(&world).await.2, described(&restored).await.2];
    let begins = there[1].2;
    assert_eq!(there, split(NOW.seconds(), begins));
    assert_eq!(here, split(NOW.seconds(), begins + 1));
}

#[tokio::test]
async fn a_split_that_was_shown_ahead_stays_shown() {
    let world = World::with_stream(1).await;
    world.ok(Operation::SplitShard, split_body("0", MIDDLE)).await;
    world.clock.advance_ms(TRANSITION_MS);
    assert_eq!(described(&world).await.2.len(), 3);
    let restored = Copied::of(&world).restore(&world).await;
    let now = world.context.engine.now().seconds();
    let shards = split(NOW.seconds(), now + 2);
    assert_eq!(described(&restored).await, ("ACTIVE".to_owned(), 2, shards));
    assert_eq!(put_at(&restored, MIDDLE).await.0, 0, "the parent still takes records");
    restored.clock.advance_ms(2_000);
    assert_eq!(put_at(&restored, MIDDLE).await, (2, now + 2));
}

#[tokio::test]
async fn a_stream_without_a_plan_is_restored_as_it_was() {
    let world = World::with_stream(1).await;
    let before = world.stream();
    let mut after = Stream::clone(&before);
    put_off_plan(&mut after, world.context.engine.now());
    assert_eq!(after.attributes, before.attributes);
    assert_eq!(after.shards, before.shards);
}
