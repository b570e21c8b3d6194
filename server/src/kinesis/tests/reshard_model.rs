//! Random splits, merges and changes of the number of shards between records, steps of the clock,
//! restarts and power cuts, held against what must be true of any stream at any time.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};

use kinelog_engine::device::simulated::{Fault, Operation as DiskCall, Survive};
use kinelog_engine::types::SequenceNumber;
use proptest::prelude::*;

use super::resharding::number;
use super::*;

const TRANSITION: u64 = 1_500;

#[derive(Clone, Debug)]
enum Action {
    /// Splits an open shard, in per mille of its range.
    Split(usize, u64),
    /// Merges an open shard with its neighbour.
    Merge(usize),
    Count(usize),
    /// Puts records whose hash keys are spread over the key space from there.
    Put(u128),
    Clock(u64),
    Restart,
    /// Lets a call of the disk fail some calls later, goes on until one was noticed, and cuts the
    /// power.
    Cut(u64, Survive),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let survive = prop_oneof![Just(Survive::None), Just(Survive::Random), Just(Survive::Torn)];
    let action = prop_oneof![
        3 => (0usize..9, 1u64..999).prop_map(|(shard, at)| Action::Split(shard, at)),
        3 => (0usize..9).prop_map(Action::Merge),
        2 => (1usize..9).prop_map(Action::Count),
        5 => any::<u128>().prop_map(Action::Put),
        8 => (1u64..1_300).prop_map(Action::Clock),
        1 => Just(Action::Restart),
        1 => (1u64..30, survive).prop_map(|(calls, survive)| Action::Cut(calls, survive)),
    ];
    prop::collection::vec(action, 1..50)
}

/// One shard as listed.
#[derive(Clone, Debug)]
struct Seen {
    index: u32,
    parents: Vec<u32>,
    range: (u128, u128),
    start: SequenceNumber,
    end: Option<SequenceNumber>,
}

impl Seen {
    fn of(shard: &Json) -> Self {
        let parents = ["ParentShardId", "AdjacentParentShardId"];
        let range = &shard["HashKeyRange"];
        let numbers = &shard["SequenceNumberRange"];
        Self {
            index: index(&shard["ShardId"]),
            parents: parents.iter().filter_map(|name| shard.get(name)).map(index).collect(),
            range: (hash(&range["StartingHashKey"]), hash(&range["EndingHashKey"])),
            start: number(&numbers["StartingSequenceNumber"]),
            end: numbers.get("EndingSequenceNumber").map(number),
        }
    }
}

fn index(id: &Json) -> u32 {
    id.as_str().unwrap()["shardId-".len()..].parse().unwrap()
}

fn hash(key: &Json) -> u128 {
    key.as_str().unwrap().parse().unwrap()
}

/// The shards, of the first hash key on, must cover the hash key space exactly once.
fn assert_covers(mut shards: Vec<Seen>, what: &str) {
    shards.sort_by_key(|shard| shard.range.0);
    let mut next = Some(0);
    for shard in &shards {
        assert_eq!(Some(shard.range.0), next, "{what}: {shards:#?}");
        next = shard.range.1.checked_add(1);
    }
    assert_eq!(next, None, "{what}: {shards:#?}");
}

struct Run {
    world: World,
    /// Numbers and data of the records acknowledged, by shard.
    acknowledged: BTreeMap<u32, Vec<(SequenceNumber, String)>>,
    puts: u64,
    cuts: u64,
    is_disk_sound: bool,
}

impl Run {
    async fn new() -> Self {
        let settings = Settings {
            account: ACCOUNT.to_owned(),
            transition_ms: TRANSITION,
            limits: Limits::OFF,
            ..Settings::default()
        };
        let world = World::with_settings(settings).await;
        world.ok(Operation::CreateStream, json!({"StreamName": "s", "ShardCount": 2})).await;
        world.clock.advance_ms(TRANSITION);
        world.ok(Operation::ListShards, json!({"StreamName": "s"})).await;
        Self { world, acknowledged: BTreeMap::new(), puts: 0, cuts: 1, is_disk_sound: true }
    }

    /// True when a fault of the disk was noticed; refusals are none.
    async fn act(&mut self, action: &Action) -> bool {
        let outcome = match action {
            Action::Split(shard, at) => self.split(*shard, *at).await,
            Action::Merge(shard) => self.merge(*shard).await,
            Action::Count(target) => {
                let body = json!({
                    "StreamName": "s", "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING",
                });
                self.world.run(Operation::UpdateShardCount, body).await.map(drop)
            }
            Action::Put(from) => self.put(*from).await,
            Action::Clock(ms) => {
                self.world.clock.advance_ms(*ms);
                Ok(())
            }
            Action::Restart => {
                self.world.restart().await;
                Ok(())
            }
            Action::Cut(calls, survive) => {
                self.cut(*calls, *survive).await;
                Ok(())
            }
        };
        match outcome {
            Ok(()) => false,
            Err(error) if error.kind == Kind::InternalFailure => true,
            Err(error) => {
                let expected = [Kind::ResourceInUse, Kind::InvalidArgument];
                assert!(expected.contains(&error.kind), "{action:?}: {error:?}");
                false
            }
        }
    }

    async fn listed(&self, filter: Json) -> Vec<Seen> {
        let body = json!({"StreamName": "s", "ShardFilter": filter});
        let answer = self.world.ok(Operation::ListShards, body).await;
        answer["Shards"].as_array().unwrap().iter().map(Seen::of).collect()
    }

    /// The open shards in order of their ranges.
    async fn open(&self) -> Vec<Seen> {
        let mut open = self.listed(json!({"Type": "AT_LATEST"})).await;
        open.sort_by_key(|shard| shard.range.0);
        open
    }

    async fn split(&self, shard: usize, at: u64) -> Result<(), Exception> {
        let open = self.open().await;
        let shard = &open[shard % open.len()];
        let (start, end) = shard.range;
        let key = start + (end - start) / 1000 * u128::from(at);
        let body = json!({
            "StreamName": "s",
            "ShardToSplit": shard.index.to_string(),
            "NewStartingHashKey": key.to_string(),
        });
        self.world.run(Operation::SplitShard, body).await.map(drop)
    }

    async fn merge(&self, shard: usize) -> Result<(), Exception> {
        let open = self.open().await;
        let Some(at) = open.len().checked_sub(1).filter(|last| *last > 0).map(|last| shard % last)
        else {
            return Ok(());
        };
        let body = json!({
            "StreamName": "s",
            "ShardToMerge": open[at].index.to_string(),
            "AdjacentShardToMerge": open[at + 1].index.to_string(),
        });
        self.world.run(Operation::MergeShards, body).await.map(drop)
    }

    async fn put(&mut self, from: u128) -> Result<(), Exception> {
        let shards = self.listed(json!({"Type": "FROM_TRIM_HORIZON"})).await;
        for nth in 0..5 {
            let key = from.wrapping_add(nth * (u128::MAX / 5));
            self.puts += 1;
            let data = self.puts.to_string();
            let body = json!({
                "StreamName": "s",
                "Data": base64(data.as_bytes()),
                "PartitionKey": "k",
                "ExplicitHashKey": key.to_string(),
            });
            let answer = self.world.run(Operation::PutRecord, body).await?;
            let number = number(&answer["SequenceNumber"]);
            let shard = shards.iter().find(|shard| shard.index == number.shard.0).unwrap();
            assert!((shard.range.0..=shard.range.1).contains(&key), "{key} went to {shard:?}");
            let now = self.world.context.engine.now().seconds();
            if self.is_disk_sound {
                assert_eq!(number.seconds, now);
            }
            assert!(shard.start.seconds <= number.seconds, "{number:?} is early for {shard:?}");
            assert!(
                shard.end.is_none_or(|end| end.seconds >= number.seconds),
                "{shard:?} in {now}"
            );
            self.acknowledged.entry(number.shard.0).or_default().push((number, data));
        }
        Ok(())
    }

    async fn cut(&mut self, calls: u64, survive: Survive) {
        self.is_disk_sound = false;
        self.world.disk.fail_nth(DiskCall::Any, calls, Fault::Io);
        for round in 0..4 {
            if Box::pin(self.act(&Action::Count(round + 2))).await
                || Box::pin(self.act(&Action::Put(0))).await
            {
                break;
            }
            self.world.clock.advance_ms(1_000);
        }
        self.cuts += 1;
        self.world.cut_power(self.cuts, survive).await;
        self.is_disk_sound = true;
    }

    /// What must be true at any time.
    async fn check(&self) {
        let shards = self.listed(json!({"Type": "FROM_TRIM_HORIZON"})).await;
        let by_index: BTreeMap<u32, &Seen> = shards.iter().map(|it| (it.index, it)).collect();
        for shard in &shards {
            Self::check_lineage(shard, &by_index);
        }
        assert_covers(self.open().await, "AT_LATEST");
        assert_covers(self.listed(json!({"Type": "AT_TRIM_HORIZON"})).await, "AT_TRIM_HORIZON");
        let (first, now) = (NOW.seconds(), self.world.context.engine.now().seconds());
        for second in first..=now {
            let filter = json!({"Type": "AT_TIMESTAMP", "Timestamp": second});
            assert_covers(self.listed(filter).await, "AT_TIMESTAMP");
        }
        for shard in &shards {
            self.check_records(shard, &shards).await;
        }
    }

    fn check_lineage(shard: &Seen, by_index: &BTreeMap<u32, &Seen>) {
        let ranges: Vec<_> = shard.parents.iter().map(|it| by_index[it].range).collect();
        match *ranges {
            [] => assert_eq!(shard.start.seconds, NOW.seconds()),
            [parent] => assert!(parent.0 <= shard.range.0 && shard.range.1 <= parent.1),
            [lower, upper] => assert_eq!(shard.range, (lower.0, upper.1)),
            _ => panic!("{shard:?}"),
        }
        for parent in &shard.parents {
            let end = by_index[parent].end.expect("a parent has ended");
            assert_eq!(shard.start.seconds, end.seconds + 1, "{shard:?}");
            assert!(shard.start > end);
        }
    }

    /// The shard has what was acknowledged, in order and once, within its seconds; its end names
    /// its children when they begin and not before.
    async fn check_records(&self, shard: &Seen, shards: &[Seen]) {
        let mut iterator =
            self.world.iterator(&shard.index.to_string(), "TRIM_HORIZON", json!({})).await;
        let (mut records, mut last) = (Vec::new(), None);
        for _ in 0..2 {
            let read = self.world.read(&iterator).await;
            records.extend(read["Records"].as_array().unwrap().iter().map(|record| {
                let data = base64_simd::STANDARD.decode_to_vec(record["Data"].as_str().unwrap());
                (number(&record["SequenceNumber"]), String::from_utf8(data.unwrap()).unwrap())
            }));
            let next = read.get("NextShardIterator").map(|next| next.as_str().unwrap().to_owned());
            last = Some(read);
            match next {
                Some(next) => iterator = next,
                None => break,
            }
        }
        assert!(records.is_sorted(), "{records:?}");
        for (number, _) in &records {
            assert!(*number > shard.start && shard.end.is_none_or(|end| *number < end));
            assert!(number.seconds >= shard.start.seconds);
            assert!(shard.end.is_none_or(|end| number.seconds <= end.seconds));
        }
        let data: HashSet<_> = records.iter().map(|(_, data)| data).collect();
        assert_eq!(data.len(), records.len(), "nothing twice");
        let acknowledged = self.acknowledged.get(&shard.index).into_iter().flatten();
        for record in acknowledged {
            assert!(records.contains(record), "{record:?} is lost from {shard:?}");
        }
        let answer = last.unwrap();
        let now = self.world.context.engine.now().seconds();
        let children = answer.get("ChildShards").map(|it| it.as_array().unwrap().as_slice());
        let children: Option<Vec<u32>> =
            children.map(|it| it.iter().map(|child| index(&child["ShardId"])).collect());
        let expected = shards.iter().filter(|it| it.parents.contains(&shard.index));
        let expected = expected.map(|child| child.index).collect();
        let ended = shard.end.is_some_and(|end| end.seconds < now);
        assert_eq!(children, ended.then_some(expected), "{shard:?} in {now}");
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn run(actions: &[Action]) {
    runtime().block_on(async {
        let mut run = Run::new().await;
        for action in actions {
            run.act(action).await;
            run.check().await;
        }
        run.world.clock.advance_ms(60_000);
        run.check().await;
        let status =
            run.world.ok(Operation::DescribeStreamSummary, json!({"StreamName": "s"})).await;
        assert_eq!(status["StreamDescriptionSummary"]["StreamStatus"], "ACTIVE");
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..Default::default() })]

    #[test]
    fn shards_stay_sound_whatever_is_done_to_them(actions in actions()) {
        run(&actions);
    }
}

/// Records, a plan of three steps, and time for all of them.
fn plan_of_three_steps() -> Vec<Action> {
    let second = [Action::Put(7), Action::Clock(900)];
    let rest = std::iter::repeat_n(second, 7).flatten();
    [Action::Put(7), Action::Count(5)].into_iter().chain(rest).collect()
}

#[tokio::test]
async fn a_power_cut_at_any_call_of_the_disk_leaves_the_shards_sound() {
    for call in 1.. {
        let mut run = Run::new().await;
        run.is_disk_sound = false;
        let before = run.world.disk.calls(DiskCall::Any);
        run.world.disk.fail_nth(DiskCall::Any, call, Fault::Io);
        for action in plan_of_three_steps() {
            run.act(&action).await;
        }
        let calls = run.world.disk.calls(DiskCall::Any) - before;
        let survive = if call % 2 == 0 { Survive::None } else { Survive::Torn };
        run.world.cut_power(call + 1, survive).await;
        run.check().await;
        run.world.clock.advance_ms(60_000);
        run.check().await;
        if calls < call {
            break;
        }
    }
}

/// Runs `work` on a thread with a runtime of its own.
fn on_a_thread<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> std::thread::JoinHandle<T> {
    std::thread::spawn(|| runtime().block_on(work))
}

/// Waits for a thread without holding up this one, where the changes of the store run.
async fn joined<T>(thread: std::thread::JoinHandle<T>) -> T {
    while !thread.is_finished() {
        tokio::task::yield_now().await;
    }
    thread.join().unwrap()
}

/// Puts records for some hash keys again and again; returns how many for each.
async fn produce(world: Arc<World>, keys: Vec<u128>, is_done: Arc<AtomicBool>) -> (Vec<u128>, u64) {
    let mut rounds = 0;
    while !is_done.load(Ordering::Relaxed) {
        let records: Vec<_> = keys
            .iter()
            .map(|key| {
                json!({
                    "Data": base64(format!("{key} {rounds}").as_bytes()),
                    "PartitionKey": "k",
                    "ExplicitHashKey": key.to_string(),
                })
            })
            .collect();
        let body = json!({"StreamName": "s", "Records": records});
        let answer = world.ok(Operation::PutRecords, body).await;
        assert_eq!(answer["FailedRecordCount"], 0, "{answer}");
        rounds += 1;
    }
    (keys, rounds)
}

/// Follows the lineage from the first two shards on while it grows; returns the rounds read of each
/// key. Ends when there is nothing more to read and nobody writes.
async fn consume(world: Arc<World>, is_over: Arc<AtomicBool>) -> BTreeMap<u128, Vec<u64>> {
    let (mut found, mut ended) = (BTreeMap::<_, Vec<_>>::new(), HashSet::new());
    let mut reading: VecDeque<_> = [0, 1].into();
    let mut iterators = BTreeMap::new();
    let mut idle = 0;
    while let Some(shard) = reading.pop_front() {
        let was_over = is_over.load(Ordering::Relaxed);
        let iterator = match iterators.remove(&shard) {
            Some(iterator) => iterator,
            None => world.iterator(&shard.to_string(), "TRIM_HORIZON", json!({})).await,
        };
        let read = world.read(&iterator).await;
        for data in texts(&read["Records"], "Data") {
            let data = String::from_utf8(base64_simd::STANDARD.decode_to_vec(data).unwrap());
            let (key, round) = data.as_ref().unwrap().split_once(' ').unwrap();
            found.entry(key.parse().unwrap()).or_default().push(round.parse().unwrap());
        }
        if let Some(next) = read["NextShardIterator"].as_str() {
            assert!(read.get("ChildShards").is_none());
            iterators.insert(shard, next.to_owned());
            reading.push_back(shard);
        } else {
            let children = read["ChildShards"].as_array().unwrap();
            assert!(!children.is_empty(), "an end without children: {read}");
            ended.insert(shard);
            for child in children {
                if child["ParentShards"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|it| ended.contains(&index(it)))
                {
                    reading.push_back(index(&child["ShardId"]));
                }
            }
        }
        let is_idle = was_over && read["Records"] == json!([]) && !ended.contains(&shard);
        idle = if is_idle { idle + 1 } else { 0 };
        if idle > reading.len() {
            return found;
        }
    }
    found
}

#[tokio::test]
async fn producers_and_consumers_notice_nothing_of_a_reshard() {
    let world = Arc::new(Run::new().await.world);
    let (is_done, is_over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let producers: Vec<_> = (0..3u128)
        .map(|producer| {
            let keys = (0..6).map(|nth| producer + nth * (u128::MAX / 6)).collect();
            on_a_thread(produce(Arc::clone(&world), keys, Arc::clone(&is_done)))
        })
        .collect();
    let consumer = on_a_thread(consume(Arc::clone(&world), Arc::clone(&is_over)));
    for target in [5, 3, 6, 1] {
        let body = json!({"StreamName": "s", "TargetShardCount": target, "ScalingType": "UNIFORM_SCALING"});
        world.ok(Operation::UpdateShardCount, body).await;
        while {
            let summary =
                world.ok(Operation::DescribeStreamSummary, json!({"StreamName": "s"})).await;
            summary["StreamDescriptionSummary"]["StreamStatus"] != "ACTIVE"
        } {
            world.clock.advance_ms(20);
            tokio::task::yield_now().await;
        }
    }
    world.clock.advance_ms(2_000);
    is_done.store(true, Ordering::Relaxed);
    let mut expected = BTreeMap::new();
    for producer in producers {
        let (keys, rounds) = joined(producer).await;
        expected.extend(keys.into_iter().map(|key| (key, (0..rounds).collect::<Vec<_>>())));
    }
    is_over.store(true, Ordering::Relaxed);
    assert_eq!(joined(consumer).await, expected);
}
