//! Shards: ranges, lineage, lists, splits and merges.

use kinelog_engine::types::{Ordinal, ParsedSequenceNumber, SequenceNumber, ShardIndex};

use super::records::{Number, Record};
use super::*;

/// The counter of an ending number.
pub(super) const LAST_COUNTER: u64 = i64::MAX as u64;

pub(super) struct Shard {
    pub(super) range: (u128, u128),
    pub(super) created_seconds: u64,
    pub(super) parents: Vec<usize>,
    /// The last moment at which it takes records, once that is known.
    pub(super) closed: Option<u64>,
    pub(super) records: Vec<Record>,
}

/// The shards that give way, and the ranges of those that take over.
pub(super) struct Reshard {
    /// Callers see it from then on; it counts from the next second.
    due: u64,
    parents: Vec<usize>,
    ranges: Vec<(u128, u128)>,
}

/// The shards of a new stream.
pub(super) fn uniform(count: u64, created_seconds: u64) -> Vec<Shard> {
    let count = u128::from(count);
    // 2^128 / count, rounded down; there is no such number for one shard.
    let width = (u128::MAX / count).saturating_add(u128::from(u128::MAX % count == count - 1));
    let shard = |index: u128| {
        let start = index * width;
        let end = if index + 1 == count { u128::MAX } else { start + width - 1 };
        Shard::new((start, end), created_seconds, Vec::new())
    };
    (0..count).map(shard).collect()
}

pub(super) fn id(index: usize) -> String {
    format!("shardId-{index:012}")
}

/// The index of a well-formed id.
pub(super) fn index(id: &str) -> Option<usize> {
    id.strip_prefix("shardId-")?.parse().ok()
}

pub(super) fn number(shard: &Shard, index: usize, counter: u64, seconds: u64) -> String {
    let shard_created_seconds = shard.created_seconds;
    let (shard, counter) = (ShardIndex(index.try_into().unwrap()), Ordinal(counter));
    SequenceNumber { shard_created_seconds, shard, counter, seconds }.to_string()
}

impl Shard {
    fn new(range: (u128, u128), created_seconds: u64, parents: Vec<usize>) -> Self {
        Self { range, created_seconds, parents, closed: None, records: Vec::new() }
    }

    pub(super) fn takes_records(&self, now: u64) -> bool {
        self.created_seconds * 1000 <= now && self.closed.is_none_or(|closed| now <= closed)
    }

    fn hash_keys(&self) -> Json {
        let (start, end) = self.range;
        json!({"StartingHashKey": start.to_string(), "EndingHashKey": end.to_string()})
    }
}

impl Stream {
    /// Indexes of the shards that are shown: none before the stream is made, and none whose last
    /// record can have expired.
    pub(super) fn visible(&self, now: u64) -> Vec<usize> {
        let horizon = self.horizon(now);
        let is_kept = |index: &usize| self.shards[*index].closed.is_none_or(|at| at >= horizon);
        let all = if self.state == State::Creating { 0 } else { self.shards.len() };
        (0..all).filter(is_kept).collect()
    }

    /// What lists show of a shard, and the numbers of its range.
    pub(super) fn describe_shard(&self, at: usize) -> (Json, Vec<(String, Number)>) {
        let shard = &self.shards[at];
        let created_seconds = shard.created_seconds;
        let end = shard.closed.map(|closed| (LAST_COUNTER, closed / 1000));
        let numbers = [(0, created_seconds)].into_iter().chain(end).map(|(counter, seconds)| {
            let number_of = Number { created_seconds, shard: at, counter, seconds };
            (number(shard, at, counter, seconds), number_of)
        });
        let numbers: Vec<_> = numbers.collect();
        let mut item = json!({"ShardId": id(at), "HashKeyRange": shard.hash_keys()});
        for (name, (number, _)) in
            ["StartingSequenceNumber", "EndingSequenceNumber"].iter().zip(&numbers)
        {
            item["SequenceNumberRange"][name] = json!(number);
        }
        for (name, parent) in ["ParentShardId", "AdjacentParentShardId"].iter().zip(&shard.parents)
        {
            item[name] = json!(id(*parent));
        }
        (item, numbers)
    }

    /// What the answer at the end of a shard tells of its children.
    pub(super) fn children(&self, parent: usize) -> Json {
        let is_child = |(_, it): &(usize, &Shard)| it.parents.contains(&parent);
        let children = self.shards.iter().enumerate().filter(is_child).map(|(at, child)| {
            let parents: Vec<_> = child.parents.iter().map(|parent| id(*parent)).collect();
            json!({"ShardId": id(at), "ParentShards": parents, "HashKeyRange": child.hash_keys()})
        });
        children.collect()
    }

    /// The shards that a filter lets pass of those that are shown.
    fn filtered(&self, filter: &Json, now: u64) -> Vec<usize> {
        let visible = self.visible(now);
        let shard = |at: &usize| &self.shards[*at];
        // Parents that are gone do not count.
        let is_oldest = |at: &usize| !shard(at).parents.iter().any(|it| visible.contains(it));
        let first = visible.iter().map(|at| shard(at).created_seconds).min().unwrap_or(0);
        let oldest = first.max(self.horizon(now) / 1000);
        let time = filter["Timestamp"].as_f64().map_or(0, |_| millis(&filter["Timestamp"]) / 1000);
        let ends = |at: &usize| shard(at).closed.map_or(u64::MAX, |closed| closed / 1000);
        let passes = |at: &usize| match text(filter, "Type") {
            "AFTER_SHARD_ID" => Some(*at) > index(text(filter, "ShardId")),
            "AT_LATEST" => shard(at).closed.is_none(),
            "AT_TIMESTAMP" if time > oldest => {
                shard(at).created_seconds <= time && ends(at) >= time
            }
            "AT_TRIM_HORIZON" | "AT_TIMESTAMP" => is_oldest(at),
            "FROM_TIMESTAMP" => ends(at) >= time,
            _ => true,
        };
        visible.iter().copied().filter(passes).collect()
    }

    pub(super) fn open(&self) -> impl Iterator<Item = &Shard> {
        self.shards.iter().filter(|shard| shard.closed.is_none())
    }

    /// Carries out the change of shards that is due, if one is.
    pub(super) fn finish_reshard(&mut self, now: u64) {
        let reshard = self.reshard.take_if(|it| it.due <= now);
        let Some(Reshard { due, parents, ranges }) = reshard else { return };
        let begins = due / 1000 + 1;
        for parent in &parents {
            self.shards[*parent].closed = Some(begins * 1000 - 1);
        }
        let children = ranges.into_iter().map(|range| Shard::new(range, begins, parents.clone()));
        self.shards.extend(children);
    }
}

impl Model {
    pub(super) fn list_shards(&mut self, body: &Json) -> Answer {
        let now = self.now;
        let (mut filter, mut after) = (&body["ShardFilter"], text(body, "ExclusiveStartShardId"));
        let (mut name, mut moment) = (named(body), None);
        if let Some(page) = self.redeem("ListShards", body)? {
            (filter, after, moment) = (&page.filter, &page.after, page.moment.clone());
            let of_page = self.streams.iter().find(|(_, stream)| stream.id == page.stream);
            name = of_page.ok_or(NOT_FOUND)?.0.clone();
        }
        let (filter, after) = (filter.clone(), index(after));
        let about = json!({"StreamName": name});
        let stream = self.stream_in(&[State::Active, State::Updating], &about)?;
        let passed = match moment {
            Some(moment) => {
                let visible = stream.visible(now);
                moment.into_iter().filter(|index| visible.contains(index)).collect()
            }
            None => stream.filtered(&filter, now),
        };
        let moment = text(&filter, "Type").starts_with("AT_").then(|| passed.clone());
        let rest = passed.into_iter().filter(|it| after.is_none_or(|after| *it > after));
        let (shown, has_more) = page(rest.collect(), &body["MaxResults"], 1000);
        let described = shown.iter().map(|index| stream.describe_shard(*index));
        let (items, numbers): (Vec<_>, Vec<_>) = described.unzip();
        let of = stream.id;
        self.numbers.extend(numbers.into_iter().flatten());
        let mut answer = json!({"Shards": items});
        if let Some(last) = shown.last().filter(|_| has_more) {
            answer["NextToken"] = self.issue("ListShards", of, &id(*last), moment, &filter);
        }
        Ok(answer)
    }

    pub(super) fn reshard(&mut self, body: &Json) -> Answer {
        let now = self.now;
        let members = ["ShardToSplit", "ShardToMerge", "AdjacentShardToMerge"];
        let parents: Vec<_> = members.iter().filter_map(|it| index(text(body, it))).collect();
        let stream = self.stream(body)?;
        if stream.on_demand {
            return Err(VALIDATION);
        }
        let stream = self.stream_in(&[State::Active], body)?;
        let visible = stream.visible(now);
        if parents.iter().any(|parent| !visible.contains(parent)) {
            return Err(NOT_FOUND);
        }
        if parents.iter().any(|parent| stream.shards[*parent].closed.is_some()) {
            return Err(INVALID);
        }
        let range = |parent: usize| stream.shards[parents[parent]].range;
        let (start, end) = range(0);
        let ranges = match body["NewStartingHashKey"].as_str() {
            Some(key) => {
                let key = key.parse::<u128>().map_err(|_| INVALID)?;
                let fits = start.checked_add(2).is_some_and(|least| (least..end).contains(&key));
                if !fits {
                    return Err(INVALID);
                }
                vec![(start, key - 1), (key, end)]
            }
            None if end.checked_add(1) == Some(range(1).0) => vec![(start, range(1).1)],
            None => return Err(INVALID),
        };
        stream.update(now);
        stream.reshard = Some(Reshard { due: stream.due, parents, ranges });
        Ok(Json::Null)
    }

    pub(super) fn update_shard_count(&mut self, body: &Json) -> Answer {
        let (name, now) = (named(body), self.now);
        let target = body["TargetShardCount"].as_u64().unwrap();
        if self.stream(body)?.on_demand {
            return Err(VALIDATION);
        }
        let stream = self.stream_in(&[State::Active], body)?;
        let current = stream.open().count();
        if u64::try_from(current) != Ok(target) {
            stream.update(now);
        }
        Ok(json!({
            "StreamName": name, "StreamARN": arn(&name), "CurrentShardCount": current,
            "TargetShardCount": target,
        }))
    }

    /// Takes the shards that `UpdateShardCount` led to over from the service, which chooses them:
    /// every new one comes from a split or a merge of shards that end in the second before it
    /// begins, and `target` open ones hold each hash key once.
    pub(in super::super) fn adopt(&mut self, name: &str, target: u64, found: &[Json]) {
        self.settle();
        let stream = self.streams.get_mut(name).unwrap();
        let second = |item: &Json, name: &str| {
            let number = item["SequenceNumberRange"][name].as_str()?.to_owned();
            match SequenceNumber::parse(&number) {
                Ok(ParsedSequenceNumber::V2(number)) => Some(number.seconds),
                _ => panic!("{number} is no sequence number"),
            }
        };
        for item in found {
            let key = |name: &str| text(&item["HashKeyRange"], name).parse().unwrap();
            let range = (key("StartingHashKey"), key("EndingHashKey"));
            let closed = second(item, "EndingSequenceNumber").map(|it| it * 1000 + 999);
            let begins = second(item, "StartingSequenceNumber").unwrap();
            let at = index(text(item, "ShardId")).unwrap();
            if let Some(known) = stream.shards.get_mut(at) {
                assert_eq!((known.range, known.created_seconds), (range, begins));
                known.closed = known.closed.or(closed);
                continue;
            }
            assert_eq!(at, stream.shards.len(), "the next index");
            let parents = ["ParentShardId", "AdjacentParentShardId"].iter();
            let parents: Vec<_> = parents.filter_map(|it| index(text(item, it))).collect();
            let of = |place: usize| &stream.shards[parents[place]];
            for parent in &parents {
                assert_eq!(stream.shards[*parent].closed, Some(begins * 1000 - 1));
            }
            match parents.len() {
                1 => assert!(range.0 >= of(0).range.0 && range.1 <= of(0).range.1),
                _ => assert_eq!(
                    (range, of(0).range.1 + 1),
                    ((of(0).range.0, of(1).range.1), of(1).range.0)
                ),
            }
            stream.shards.push(Shard { closed, ..Shard::new(range, begins, parents) });
        }
        let mut open: Vec<_> = stream.open().map(|shard| shard.range).collect();
        open.sort_unstable();
        assert_eq!(u64::try_from(open.len()), Ok(target));
        assert!(open[0].0 == 0 && open.last().unwrap().1 == u128::MAX);
        assert!(open.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{open:?}");
    }
}
