//! Calls against an endpoint that answers what a test tells it to.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;

use serde_json::json;

use super::*;
use crate::aws::Encoding;
use crate::aws::event_stream::{self, Payload};
use crate::aws::exception::{Exception, Kind};
use crate::aws::sigv4;
use crate::aws::sigv4::signing::Credentials;

/// Answers each connection with the next of its texts and closes it; an empty text closes at once.
/// Gives back what it was asked.
struct Script {
    address: SocketAddr,
    thread: JoinHandle<Vec<String>>,
}

impl Script {
    fn new<A: Into<Vec<u8>>>(answers: Vec<A>) -> Self {
        let answers: Vec<Vec<u8>> = answers.into_iter().map(Into::into).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let thread = std::thread::spawn(move || {
            let talk = |answer: Vec<u8>| {
                let (mut stream, _) = listener.accept().unwrap();
                let request = read_request(&mut stream);
                stream.write_all(&answer).unwrap();
                request
            };
            answers.into_iter().map(talk).collect()
        });
        Self { address, thread }
    }

    fn client(&self, patience: Duration) -> Client {
        client(self.address, patience)
    }

    fn asked(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

fn client(address: SocketAddr, patience: Duration) -> Client {
    let identity = Identity {
        endpoint: format!("http://{address}").parse().unwrap(),
        region: "eu-west-1".to_owned(),
        credentials: Credentials {
            access_key: "AKID".to_owned(),
            secret_key: "secret".to_owned(),
            session_token: None,
        },
    };
    Client::new(identity, &Trust::System, patience).unwrap()
}

fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                return text;
            }
        }
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "the request is whole: {text}");
        bytes.extend_from_slice(&buffer[..count]);
    }
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn throttled() -> String {
    answer("400 Bad Request", r#"{"__type":"LimitExceededException","message":"Rate exceeded"}"#)
}

const PATIENT: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_call_is_a_signed_post_of_json() {
    let script = Script::new(vec![answer("200 OK", r#"{"a":1}"#)]);
    let input = json!({ "StreamName": "s" });
    let answer: Value = script.client(PATIENT).call("DescribeStream", &input).await.unwrap();
    assert_eq!(answer, json!({ "a": 1 }));
    let address = script.address;
    let asked = script.asked().remove(0);
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, r#"{"StreamName":"s"}"#);
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("POST / HTTP/1.1"));
    let mut request = Request::post("/");
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        request = request.header(name, value);
    }
    let head = request.body(()).unwrap().into_parts().0;
    assert_eq!(head.headers["x-amz-target"], "Kinesis_20131202.DescribeStream");
    assert_eq!(head.headers["content-type"], "application/x-amz-json-1.1");
    assert_eq!(head.headers["host"], address.to_string());
    let now_seconds = SystemClock.now().seconds();
    let principal = sigv4::authenticate(&head, now_seconds, 300).unwrap();
    assert_eq!((principal.access_key(), principal.region()), ("AKID", "eu-west-1"));
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let busy = answer("503 Service Unavailable", r#"{"__type":"ServiceUnavailable"}"#);
    let broken = String::new();
    let script = Script::new(vec![throttled(), busy, broken, answer("200 OK", "")]);
    let client = script.client(PATIENT);
    client.call::<answers::Nothing>("CreateStream", &json!({})).await.unwrap();
    assert_eq!(script.asked().len(), 4);
}

#[tokio::test]
async fn what_does_not_pass_is_told_at_once() {
    let body = r#"{"__type":"ResourceNotFoundException","message":"Stream s not found."}"#;
    let script = Script::new(vec![answer("400 Bad Request", body)]);
    let failure = script.client(PATIENT).call::<Value>("ListShards", &json!({})).await.unwrap_err();
    assert!(failure.is(Kind::ResourceNotFound));
    assert_eq!(failure.to_string(), "ResourceNotFoundException: Stream s not found.");
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test]
async fn the_last_failure_is_told_when_patience_is_over() {
    let script = Script::new(vec![throttled()]);
    let client = script.client(Duration::ZERO);
    let failure = client.call::<Value>("ListShards", &json!({})).await.unwrap_err();
    assert_eq!(failure.to_string(), "LimitExceededException: Rate exceeded");
    assert_eq!(script.asked().len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_never_answered_is_told_at_once_and_one_that_did_is_waited_for() {
    let script = Script::new(vec![answer("200 OK", "{}")]);
    let (address, client) = (script.address, script.client(PATIENT));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stranger = self::client(nobody, PATIENT);
    let failure = stranger.call::<Value>("ListShards", &json!({})).await.unwrap_err();
    let sentence = failure.to_string();
    assert!(sentence.starts_with(&format!("http://{nobody} cannot be reached: ")), "{sentence}");
    assert!(sentence.contains("refused"), "{sentence}");

    client.call::<Value>("ListShards", &json!({})).await.unwrap();
    drop(script.asked());
    let failure = client.call_once::<Value>("ListShards", &json!({})).await.unwrap_err();
    assert!(matches!(failure, Failure::Unreachable { .. }), "{failure}");
    assert!(client.pause_after(&failure, &mut client.retries()).is_some(), "{address} was there");
}

#[tokio::test]
async fn answers_of_something_else_are_told() {
    let script = Script::new(vec![answer("200 OK", "<html>"), answer("404 Not Found", "<html>")]);
    let client = script.client(PATIENT);
    let failure = client.call::<Value>("ListShards", &json!({})).await.unwrap_err();
    let words = "does not answer ListShards as Kinesis does: expected value";
    assert!(failure.to_string().contains(words), "{failure}");
    let failure = client.call::<Value>("ListShards", &json!({})).await.unwrap_err();
    assert_eq!(failure.to_string(), "404 Not Found: <html>");
    drop(script.asked());
}

#[tokio::test]
async fn results_of_another_number_than_records_are_not_trusted() {
    let body = r#"{"FailedRecordCount":0,"Records":[]}"#;
    let script = Script::new(vec![answer("200 OK", body)]);
    let entry = Entry { partition_key: "k", data: b"d" };
    let stream = StreamRef::new("s");
    let failure = script.client(PATIENT).put_records(&stream, &[entry]).await.unwrap_err();
    assert!(failure.to_string().ends_with("1 records were sent and 0 answered"), "{failure}");
    let asked = script.asked().remove(0);
    let body = r#"{"Records":[{"Data":"ZA==","PartitionKey":"k"}],"StreamName":"s"}"#;
    assert!(asked.ends_with(body), "{asked}");
}

/// The answer to a subscription that sends these messages and ends.
fn stream_of(messages: &[event_stream::Pieces]) -> Vec<u8> {
    let body: Vec<u8> = messages.iter().flat_map(|pieces| pieces.concat()).collect();
    [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", &body[..]].concat()
}

fn event(payload: &str) -> event_stream::Pieces {
    let payload = Payload::whole(payload.as_bytes());
    event_stream::event("SubscribeToShardEvent", Encoding::Json, payload)
}

#[tokio::test]
async fn a_subscription_gives_events_until_it_ends() {
    let some = r#"{"Records":[{"SequenceNumber":"49","Data":"aGk=","PartitionKey":"k"}],
                  "ContinuationSequenceNumber":"50","MillisBehindLatest":0}"#;
    let last = r#"{"Records":[],"MillisBehindLatest":0,"ChildShards":[
                  {"ShardId":"shardId-000000000001","ParentShards":["shardId-000000000000"]}]}"#;
    let first = event_stream::initial_response(Encoding::Json);
    let script = Script::new(vec![stream_of(&[first, event(some), event(last)])]);
    let client = script.client(PATIENT);
    let after = Position::After("48".to_owned());
    let mut subscription = client.subscribe("arn", "shardId-000000000000", &after).await.unwrap();
    let event = subscription.next().await.unwrap().unwrap();
    assert_eq!(event.records[0].data, b"hi");
    assert_eq!(event.continuation_sequence_number.as_deref(), Some("50"));
    let event = subscription.next().await.unwrap().unwrap();
    assert_eq!(event.continuation_sequence_number, None);
    assert_eq!(event.child_shards[0].shard_id, "shardId-000000000001");
    assert_eq!(subscription.next().await.unwrap(), None);
    let body = r#"{"ConsumerARN":"arn","ShardId":"shardId-000000000000","StartingPosition":{"SequenceNumber":"48","Type":"AFTER_SEQUENCE_NUMBER"}}"#;
    assert!(script.asked()[0].ends_with(body));
}

#[tokio::test]
async fn what_ends_a_subscription_is_told() {
    let exception = Exception::new(Kind::ResourceInUse, "taken over");
    let exception = event_stream::exception(&exception, Encoding::Json);
    let mut damaged = stream_of(&[event("{}")]);
    *damaged.last_mut().unwrap() ^= 1;
    let endless = [&stream_of(&[])[..], &[0xff; 100]].concat();
    let mut cut_off = stream_of(&[event("{}")]);
    cut_off.pop();
    let script = Script::new(vec![stream_of(&[exception]), damaged, endless, cut_off]);
    let client = script.client(PATIENT);
    for words in [
        "ResourceInUseException: taken over",
        "does not answer SubscribeToShard as Kinesis does: malformed message",
        "does not answer SubscribeToShard as Kinesis does: malformed message",
        "does not answer SubscribeToShard as Kinesis does: it ended within an event",
    ] {
        let mut subscription = client.subscribe("arn", "s", &Position::Latest).await.unwrap();
        let failure = subscription.next().await.unwrap_err();
        assert!(failure.to_string().contains(words), "{failure}");
    }
    drop(script.asked());
}
