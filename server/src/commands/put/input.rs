//! Records from lines: read one by one, given a number and a key, held to the rate and to a bound of
//! memory, and dealt to the lanes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::keys::Keys;
use crate::commands::Sentence;
use crate::limits;

/// How late a record may be for the rate to be caught up with afterwards.
const LATE_MAX: Duration = Duration::from_millis(100);
/// How early one may be without a pause: timers have a millisecond.
const EARLY_MAX: Duration = Duration::from_millis(5);

/// Lines to come.
pub(super) type Source = Box<dyn AsyncBufRead + Send + Unpin>;

/// Opens the file, or standard input.
pub(super) async fn open(path: Option<&Path>) -> Result<Source, Sentence> {
    let Some(path) = path else { return Ok(Box::new(BufReader::new(tokio::io::stdin()))) };
    let file = tokio::fs::File::open(path).await;
    let file =
        file.map_err(|error| format!("{} cannot be read: {error}; check --file", path.display()))?;
    Ok(Box::new(BufReader::new(file)))
}

/// How records stand in the input.
#[derive(Clone, Copy, Debug)]
pub(super) struct Framing {
    /// Lines are base64 of the data.
    pub(super) is_base64: bool,
    /// Records end with a NUL byte.
    pub(super) ends_with_null: bool,
}

impl Framing {
    /// The data of the next record, nothing at the end. What the last line break is missing from is
    /// a record too.
    pub(super) async fn next(
        self,
        source: &mut Source,
    ) -> io::Result<Option<Result<Vec<u8>, String>>> {
        let end = if self.ends_with_null { 0 } else { b'\n' };
        let bytes_max = limits::RECORD_DATA_BYTES_MAX;
        let text_max = if self.is_base64 { bytes_max.div_ceil(3) * 4 } else { bytes_max };
        let mut bytes = Vec::new();
        let mut bounded = source.take(text_max as u64 + 1);
        bounded.read_until(end, &mut bytes).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        if bytes.last() == Some(&end) {
            bytes.pop();
        }
        let too_long = format!("is longer than {} MiB, the longest of all", bytes_max >> 20);
        if bytes.len() > text_max {
            return Ok(Some(Err(too_long)));
        }
        if !self.is_base64 {
            return Ok(Some(Ok(bytes)));
        }
        let data = base64_simd::STANDARD.decode_to_vec(bytes.trim_ascii_end());
        let data = data.map_err(|_| "is not base64".to_owned());
        Ok(Some(
            data.and_then(|data| if data.len() > bytes_max { Err(too_long) } else { Ok(data) }),
        ))
    }
}

/// A record on its way to a lane.
#[derive(Debug)]
pub(super) struct Record {
    /// Its place in the input, from 1.
    pub(super) number: u64,
    pub(super) key: String,
    pub(super) data: Vec<u8>,
    /// Its share of the memory, given back when it is stored.
    pub(super) _room: OwnedSemaphorePermit,
}

impl Record {
    /// Bytes as the service counts them.
    pub(super) fn bytes(&self) -> usize {
        self.data.len() + self.key.len()
    }
}

/// Reads and deals.
pub(super) struct Feed {
    source: Source,
    framing: Framing,
    keys: Keys,
    pace: Option<Pace>,
    lanes: Vec<mpsc::Sender<Record>>,
    room: Arc<Semaphore>,
}

impl Feed {
    pub(super) fn new(
        source: Source,
        framing: Framing,
        keys: Keys,
        per_second: Option<f64>,
        lanes: Vec<mpsc::Sender<Record>>,
    ) -> Self {
        let room = Arc::new(Semaphore::new(limits::CLIENT_PUT_BYTES_MAX));
        let pace = per_second.map(Pace::new);
        Self { source, framing, keys, pace, lanes, room }
    }

    /// Reads until the input ends, or a lane does.
    ///
    /// # Errors
    ///
    /// What is wrong with the input. All records before the wrong one have been dealt.
    pub(super) async fn run(mut self) -> Result<(), Sentence> {
        for number in 1.. {
            let next = self.framing.next(&mut self.source).await;
            let next = next.map_err(|error| format!("the input cannot be read: {error}"))?;
            let Some(data) = next else { break };
            let keyed = data.and_then(|data| Ok((self.keys.of(&data)?, data)));
            let (key, data) = keyed.map_err(|reason| {
                format!("record {number} {reason}; the records before it are stored")
            })?;
            if let Some(pace) = &mut self.pace {
                pace.wait().await;
            }
            let bytes = u32::try_from(data.len() + key.len()).unwrap_or(u32::MAX);
            let Ok(room) = Arc::clone(&self.room).acquire_many_owned(bytes).await else { break };
            let lane = lane_of(&key, self.lanes.len());
            let record = Record { number, key, data, _room: room };
            if self.lanes[lane].send(record).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// All records of a key have one lane.
fn lane_of(key: &str, lanes: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    usize::try_from(hasher.finish() % lanes.max(1) as u64).unwrap_or(0)
}

/// Holds records to a rate.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    /// When the next record is due.
    due: Instant,
}

impl Pace {
    fn new(per_second: f64) -> Self {
        let interval = Duration::try_from_secs_f64(1.0 / per_second).unwrap_or(Duration::MAX);
        Self { interval, due: Instant::now() }
    }

    /// Waits for the turn of one record.
    async fn wait(&mut self) {
        let now = Instant::now();
        if let Some(early) = self.next(now) {
            tokio::time::sleep_until(now + early).await;
        }
    }

    /// Time until the turn of one more record, where a pause is worth it.
    fn next(&mut self, now: Instant) -> Option<Duration> {
        let due = self.due.max(now.checked_sub(LATE_MAX).unwrap_or(now));
        self.due = due.checked_add(self.interval).unwrap_or(due);
        let early = due.saturating_duration_since(now);
        (early > EARLY_MAX).then_some(early)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn records(
        text: &'static [u8],
        is_base64: bool,
        null: bool,
    ) -> Vec<Result<Vec<u8>, String>> {
        let framing = Framing { is_base64, ends_with_null: null };
        let mut source: Source = Box::new(text);
        let mut records = Vec::new();
        while let Some(record) = framing.next(&mut source).await.unwrap() {
            records.push(record);
        }
        records
    }

    fn data(records: Vec<Result<Vec<u8>, String>>) -> Vec<String> {
        records.into_iter().map(|data| String::from_utf8(data.unwrap()).unwrap()).collect()
    }

    #[tokio::test]
    async fn lines_are_records_byte_for_byte() {
        assert!(records(b"", false, false).await.is_empty());
        assert_eq!(data(records(b"a\n\nb c\r\nd", false, false).await), ["a", "", "b c\r", "d"]);
        assert_eq!(data(records(b"a\n", false, false).await), ["a"]);
        assert_eq!(data(records(b"a\nb\0\0c", false, true).await), ["a\nb", "", "c"]);
    }

    #[tokio::test]
    async fn base64_is_decoded_and_other_text_is_told() {
        assert_eq!(data(records(b"aGk=\n\naG8=\r\n", true, false).await), ["hi", "", "ho"]);
        let wrong = records(b"aGk=\na\naGk=", true, false).await;
        assert_eq!(wrong[1], Err("is not base64".to_owned()));
        assert_eq!(wrong.len(), 3);
    }

    #[tokio::test]
    async fn the_longest_record_of_all_passes_and_a_longer_one_is_told() {
        let longest = vec![b'x'; limits::RECORD_DATA_BYTES_MAX];
        let framing = Framing { is_base64: false, ends_with_null: false };
        for (more, passes) in [(&b""[..], true), (b"\n", true), (b"x", false), (b"x\n", false)] {
            let text = [&longest[..], more].concat();
            let mut source: Source = Box::new(io::Cursor::new(text));
            let record = framing.next(&mut source).await.unwrap().unwrap();
            let expected = Err("is longer than 10 MiB, the longest of all".to_owned());
            assert_eq!(
                record.map(|data| data.len()),
                if passes { Ok(longest.len()) } else { expected }
            );
        }
    }

    async fn fed(
        text: &'static [u8],
        keys: Keys,
    ) -> (Result<(), Sentence>, Vec<Vec<(u64, String)>>) {
        let (senders, mut receivers): (Vec<_>, Vec<_>) = (0..3).map(|_| mpsc::channel(100)).unzip();
        let framing = Framing { is_base64: false, ends_with_null: false };
        let end = Feed::new(Box::new(text), framing, keys, None, senders).run().await;
        let mut lanes = Vec::new();
        for receiver in &mut receivers {
            let mut lane = Vec::new();
            while let Some(record) = receiver.recv().await {
                lane.push((record.number, record.key));
            }
            lanes.push(lane);
        }
        (end, lanes)
    }

    #[tokio::test]
    async fn records_of_a_key_have_one_lane_and_their_order() {
        let text = b"[\"a\"]\n[\"b\"]\n[\"c\"]\n[\"d\"]\n[\"a\"]\n[\"b\"]\n[\"c\"]\n[\"d\"]\n";
        let (end, lanes) = fed(text, Keys::Field("0".parse().unwrap())).await;
        assert_eq!(end, Ok(()));
        for (at, key) in ["a", "b", "c", "d"].into_iter().enumerate() {
            let of_key = |lane: &Vec<(u64, String)>| -> Vec<u64> {
                lane.iter().filter(|(_, other)| other == key).map(|(number, _)| *number).collect()
            };
            let found: Vec<_> = lanes.iter().map(of_key).filter(|list| !list.is_empty()).collect();
            assert_eq!(found, [[at as u64 + 1, at as u64 + 5]]);
        }
    }

    #[tokio::test]
    async fn a_record_that_is_wrong_is_named_and_those_before_it_are_dealt() {
        let (end, lanes) = fed(b"[1]\n[2]\n{}\n[4]\n", Keys::Field("0".parse().unwrap())).await;
        assert_eq!(end, Err("record 3 has no 0; the records before it are stored".to_owned()));
        assert_eq!(lanes.concat().len(), 2);
    }

    #[test]
    fn a_rate_is_kept_over_time_and_not_made_up_for_after_a_rest() {
        let start = Instant::now();
        let mut pace = Pace { interval: Duration::from_millis(1), due: start };
        let mut now = start;
        for _ in 0..1000 {
            now += pace.next(now).unwrap_or_default();
        }
        let taken = now - start;
        assert!((Duration::from_millis(990)..=Duration::from_secs(1)).contains(&taken));
        now += Duration::from_mins(1);
        let at_once = (0..1000).take_while(|_| pace.next(now).is_none()).count();
        assert!((100..110).contains(&at_once), "{at_once}");
    }
}
