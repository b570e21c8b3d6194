//! The table of a stream's shards.

use kinelog_engine::types::{ParsedSequenceNumber, SequenceNumber};

use super::rates::{Rates, ShardRates};
use super::table::Table;
use crate::client::answers::{HashKeyRange, Shard};
use crate::commands::figures;

/// Columns of every table.
const COLUMNS: [&str; 6] =
    ["SHARD", "STATE", "SHARE", "PARENTS", "AGE", "STARTING SEQUENCE NUMBER"];
/// Columns where rates are known, before the last of the others.
const RATE_COLUMNS: [&str; 4] = ["IN REC/S", "IN B/S", "OUT REC/S", "OUT B/S"];

/// One row a shard.
pub(super) fn table(shards: &[Shard], rates: Option<&Rates>, now_seconds: u64) -> Table {
    let rates = rates.filter(|rates| rates.knows_shards());
    let (last, first) = COLUMNS.split_last().unwrap_or((&"", &[]));
    let between = rates.map_or(&[][..], |_| &RATE_COLUMNS[..]);
    let mut table = Table::new(&[first, between, &[*last]].concat());
    for shard in shards {
        let mut row = vec![
            shard.shard_id.clone(),
            if shard.is_open() { "open" } else { "closed" }.to_owned(),
            share(&shard.hash_key_range),
            parents(shard),
            age(shard, now_seconds),
        ];
        if let Some(rates) = rates {
            row.extend(rates.of_shard(&shard.shard_id).map_or_else(no_rates, rates_shown));
        }
        row.push(shard.sequence_number_range.starting_sequence_number.clone());
        table.add(row);
    }
    table
}

fn no_rates() -> [String; 4] {
    RATE_COLUMNS.map(|_| "-".to_owned())
}

fn rates_shown(rates: &ShardRates) -> [String; 4] {
    [
        figures::rate(rates.incoming.records),
        figures::amount(rates.incoming.bytes),
        figures::rate(rates.outgoing.records),
        figures::amount(rates.outgoing.bytes),
    ]
}

/// Of all hash keys.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
fn share(range: &HashKeyRange) -> String {
    let keys = range.ending_hash_key.saturating_sub(range.starting_hash_key) as f64 + 1.0;
    let percent = keys / (u128::MAX as f64) * 100.0;
    if percent < 0.95 { format!("{percent:.2} %") } else { format!("{percent:.1} %") }
}

/// Their numbers: `3`, or `3 + 4` after a merge.
fn parents(shard: &Shard) -> String {
    let numbers: Vec<_> = shard.parents().map(number).collect();
    if numbers.is_empty() { "-".to_owned() } else { numbers.join(" + ") }
}

/// `7` of `shardId-000000000007`; ids of another form as they are.
fn number(shard_id: &str) -> String {
    let digits = shard_id.strip_prefix("shardId-").and_then(|digits| digits.parse::<u64>().ok());
    digits.map_or_else(|| shard_id.to_owned(), |number| number.to_string())
}

/// The number a shard starts with tells when it was made, unless the endpoint has numbers of its own.
fn age(shard: &Shard, now_seconds: u64) -> String {
    let first = &shard.sequence_number_range.starting_sequence_number;
    match SequenceNumber::parse(first) {
        Ok(ParsedSequenceNumber::V2(number)) => {
            age_shown(now_seconds.saturating_sub(number.shard_created_seconds))
        }
        Ok(ParsedSequenceNumber::V1 | ParsedSequenceNumber::V0) | Err(_) => "-".to_owned(),
    }
}

/// A time in its largest unit: `40s`, `15m`, `3h`, `12d`.
fn age_shown(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use kinelog_engine::types::ShardIndex;

    use super::*;
    use crate::client::answers::SequenceNumberRange;

    const CREATED: u64 = 1_790_000_000;

    fn shard(index: u32, parents: [Option<u32>; 2], quarters: std::ops::Range<u128>) -> Shard {
        let id = |index: u32| format!("shardId-{index:012}");
        let digits = SequenceNumber::starting(CREATED, ShardIndex(index)).digits();
        let quarter: u128 = 1 << 126;
        Shard {
            shard_id: id(index),
            parent_shard_id: parents[0].map(id),
            adjacent_parent_shard_id: parents[1].map(id),
            hash_key_range: HashKeyRange {
                starting_hash_key: quarters.start * quarter,
                ending_hash_key: (quarters.end - 1) * quarter + (quarter - 1),
            },
            sequence_number_range: SequenceNumberRange {
                starting_sequence_number: String::from_utf8(digits.to_vec()).unwrap(),
                ending_sequence_number: (index < 2).then(|| "49".to_owned()),
            },
        }
    }

    #[test]
    fn a_shard_is_a_row_with_its_lineage_and_age() {
        let shards = [
            shard(0, [None, None], 0..3),
            shard(1, [None, None], 3..4),
            shard(2, [Some(0), Some(1)], 0..4),
        ];
        let shown = table(&shards, None, CREATED + 300).to_string();
        let lines: Vec<_> = shown.lines().collect();
        assert!(lines[0].starts_with("SHARD                 STATE   SHARE    PARENTS  AGE  START"));
        assert!(lines[1].starts_with("shardId-000000000000  closed  75.0 %   -        5m   49"));
        assert!(lines[2].starts_with("shardId-000000000001  closed  25.0 %   -        5m   49"));
        assert!(lines[3].starts_with("shardId-000000000002  open    100.0 %  0 + 1    5m   49"));
    }

    #[test]
    fn endpoints_with_ids_and_numbers_of_their_own_are_shown_as_they_are() {
        let mut other = shard(5, [None, None], 0..1);
        other.parent_shard_id = Some("shard-x".to_owned());
        other.sequence_number_range.starting_sequence_number = "12".to_owned();
        let shown = table(&[other], None, CREATED).to_string();
        assert!(shown.ends_with("open   25.0 %  shard-x  -    12\n"), "{shown}");
    }

    #[test]
    fn ages_are_short() {
        let shown = [0, 119, 120, 7_199, 7_200, 172_800].map(age_shown);
        assert_eq!(shown, ["0s", "119s", "2m", "119m", "2h", "2d"]);
    }
}
