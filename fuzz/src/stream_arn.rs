//! ARNs as the operations take them: which texts are ARNs, whose stream or consumer they name, and
//! what is said of those that do not exist, agrees with a naive reading.

use kinelog::aws::exception::Kind;
use kinelog::kinesis::Operation;
use serde_json::json;

use crate::Seed;
use crate::world::{ACCOUNT, REGION, arn};
use crate::{block_on, with_world};

/// The target: a text.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    with_world(|world| {
        block_on(async {
            let body = json!({"StreamARN": text});
            let answer = world.run(Operation::DescribeStreamSummary, body).await;
            match (is_stream_arn(&text), answer) {
                (false, Err(refused)) => assert_eq!(refused.kind, Kind::Validation, "{refused}"),
                (true, Err(refused)) => {
                    assert_eq!(refused.kind, Kind::ResourceNotFound, "{refused}");
                    assert!(!is_ours(&text), "{text}");
                }
                (true, Ok(answer)) => {
                    assert!(is_ours(&text), "{text}");
                    assert_eq!(answer["StreamDescriptionSummary"]["StreamARN"], *text);
                }
                (false, Ok(answer)) => panic!("{text} names {answer}"),
            }
            let body = json!({"ConsumerARN": text});
            let refused = world.run(Operation::DescribeStreamConsumer, body).await;
            let refused = refused.expect_err("there is no consumer").kind;
            let expected = match consumer_seconds(&text) {
                None => [Kind::Validation; 2],
                Some(_) => [Kind::ResourceNotFound, Kind::InvalidArgument],
            };
            assert!(expected.contains(&refused), "{text}: {refused:?}");
            let body = json!({"ResourceARN": text});
            let answer = world.run(Operation::ListTagsForResource, body).await;
            if let Err(refused) = &answer {
                let kinds = [Kind::Validation, Kind::ResourceNotFound, Kind::InvalidArgument];
                assert!(kinds.contains(&refused.kind), "{text}: {refused}");
            }
            assert_eq!(answer.is_ok(), is_ours(&text), "{text}");
        });
    });
}

fn is_ours(text: &str) -> bool {
    [arn("s"), arn("t")].contains(&text.to_owned())
}

/// Matches `arn:aws.*:kinesis:.*:\d{12}:stream/\S+`, of at most 2048 characters, by trying each place.
fn is_stream_arn(text: &str) -> bool {
    let ends = |text: &str| text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
    let is_solid = |text: &str| {
        !text.is_empty() && !text.bytes().any(|it| it == b' ' || (9..=13).contains(&it))
    };
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|it| it.is_ascii_digit());
    let Some(rest) = text.strip_prefix("arn:aws") else { return false };
    let fits = |(at, service): (usize, &str)| {
        let (before, region) = (&rest[..at], &rest[at + service.len()..]);
        let mut kinds = region.match_indices(":stream/");
        !ends(before)
            && kinds.any(|(at, kind)| {
                let (head, name) = (&region[..at], &region[at + kind.len()..]);
                let parted = head.rsplit_once(':');
                parted.is_some_and(|(region, account)| !ends(region) && is_account(account))
                    && is_solid(name)
            })
    };
    text.encode_utf16().count() <= 2048 && rest.match_indices(":kinesis:").any(fits)
}

/// The number of a text that is the ARN of a consumer, if it is one that fits; the pattern is anchored
/// at neither end of the number's digits, as the service has it.
fn consumer_seconds(text: &str) -> Option<&str> {
    let is_name = |it: &str| {
        !it.is_empty() && it.bytes().all(|it| it.is_ascii_alphanumeric() || b"_.-".contains(&it))
    };
    let is_account = |text: &str| text.len() == 12 && text.bytes().all(|it| it.is_ascii_digit());
    let ends = |text: &str| text.contains(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']);
    let (head, consumer) = text.rsplit_once("/consumer/")?;
    let (name, seconds) = consumer.rsplit_once(':')?;
    let (head, stream) = head.rsplit_once("stream/")?;
    let rest = head.strip_prefix("arn:aws")?;
    let fits = |(at, service): (usize, &str)| {
        let rest = &rest[at + service.len()..];
        let mut accounts = rest.match_indices(':').filter_map(|(at, _)| rest.get(at + 1..at + 14));
        accounts.any(|it| it.ends_with(':') && is_account(&it[..12]))
    };
    let is_number = !seconds.is_empty() && seconds.bytes().all(|it| it.is_ascii_digit());
    let is_one = is_name(stream)
        && is_name(name)
        && is_number
        && !ends(head)
        && text.encode_utf16().count() <= 2048
        && rest.match_indices(":kinesis:").any(fits);
    is_one.then_some(seconds)
}

/// ARNs of our stream and of others, of consumers, and odd ones.
pub fn seeds() -> Vec<Seed> {
    let ours = arn("s");
    let consumer = format!("{ours}/consumer/c:1764787734");
    vec![
        ("ours", ours.clone().into()),
        ("other", arn("t").into()),
        ("region", ours.replace(REGION, "cn-north-1").into()),
        ("account", ours.replace(ACCOUNT, "999999999999").into()),
        ("partition", ours.replace("aws:", "aws-cn:").into()),
        ("consumer", consumer.clone().into()),
        ("far", format!("{consumer}00000000000000000000").into()),
        ("queue", ours.replace("stream/", "queue/").into()),
        ("odd", format!("arn:aws:kinesis:a:kinesis:b:{ACCOUNT}:stream/x:stream/s").into()),
    ]
}
