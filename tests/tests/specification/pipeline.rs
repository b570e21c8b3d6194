//! The steps of a request in the service's order, up to the work itself: a call that is wrong for
//! each of them, and then for one less each time, from the first on.

use kinelog::throttle::Limits;
use serde_json::{Value as Json, json};

use crate::cbor;
use crate::service::{Encoding, Service};
use crate::wire::headers;

const TARGET: &str = "Kinesis_20131202.GetShardIterator";
const UNKNOWN: &str = "Kinesis_20131202.Get";
const DENIED: &str = "<AccessDeniedException>\n  <Message>Unable to determine service/operation \
                      name to be authorized</Message>\n</AccessDeniedException>\n";

/// Content type, target, authorization and date of a request; empty ones are left out.
type Headers<'a> = [&'a str; 4];

fn post(service: &Service, headers: Headers<'_>, body: &[u8]) -> (u16, Vec<u8>) {
    let names = ["Content-Type", "X-Amz-Target", "Authorization", "X-Amz-Date"];
    let given = names.into_iter().zip(headers).filter(|(_, value)| !value.is_empty());
    service.post(&given.collect::<Vec<_>>(), body)
}

/// An exception with its message under this key; without one where the key is empty.
fn exception(kind: &str, key: &str, message: &str) -> Json {
    let mut exception = json!({"__type": kind});
    if !key.is_empty() {
        exception[key] = json!(message);
    }
    exception
}

#[test]
fn steps_without_an_encoding_come_first() {
    let service = Service::new(Limits::OFF);
    let told = |headers, body: &[u8]| {
        let (status, body) = post(&service, headers, body);
        (status, String::from_utf8_lossy(&body).into_owned())
    };
    let (status, empty) = post(&service, ["text/plain", "", "", ""], b"");
    assert_eq!(
        (status, cbor::decode(&empty)),
        (400, json!({"__type": "UnknownOperationException"}))
    );
    assert_eq!(told(["text/plain", "", "", ""], b"x"), (403, DENIED.to_owned()));
    let unsupported = (404, "<UnknownOperationException/>\n".to_owned());
    assert_eq!(told(["text/plain", UNKNOWN, "", ""], b"x"), unsupported);
}

#[test]
fn each_step_comes_before_the_ones_below_it() {
    let service = Service::with_stream(1);
    let call = |stream: Json, shard: &str| json!({"StreamName": stream, "ShardId": shard, "ShardIteratorType": "LATEST"});
    let (of_wrong_type, of_wrong_value) = (call(json!(1), ""), call(json!(""), "5"));
    let (to_missing_shard, sound) = (call(json!("s"), "5"), call(json!("s"), "0"));
    let [_, _, (_, date), (_, authorization)] =
        headers(Encoding::Json, "GetShardIterator", service.now() / 1000);
    let of_other_service = authorization.replace("/kinesis/", "/dynamodb/");
    let missing_parts = "Authorization header requires 'Credential' parameter. Authorization \
                         header requires 'Signature' parameter. Authorization header requires \
                         'SignedHeaders' parameter. Authorization header requires existence of \
                         either a 'X-Amz-Date' or a 'Date' header. Authorization=AWS4-HMAC-SHA256";
    let wrong_type = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber can not be \
                      converted to an String";
    let wrong_value = "2 validation errors detected: Value '' at 'streamName' failed to satisfy \
                       constraint: Member must have length greater than or equal to 1; Value '' at \
                       'streamName' failed to satisfy constraint: Member must satisfy regular \
                       expression pattern: [a-zA-Z0-9_.-]+";
    let missing_shard =
        "Shard shardId-000000000005 in stream s under account 123456789012 does not exist";
    for encoding in Encoding::BOTH {
        let with =
            |target, authorization, date| [encoding.content_type(), target, authorization, date];
        let signed = with(TARGET, &authorization, &date);
        for (given, body, (kind, key, message)) in [
            (with(UNKNOWN, "", ""), &json!([]), ("SerializationException", "", "")),
            (with(UNKNOWN, "", ""), &of_wrong_type, ("UnknownOperationException", "", "")),
            (
                with(TARGET, "", ""),
                &of_wrong_type,
                ("MissingAuthenticationTokenException", "message", "Missing Authentication Token"),
            ),
            (
                with(TARGET, "AWS4-HMAC-SHA256", ""),
                &of_wrong_type,
                ("IncompleteSignatureException", "message", missing_parts),
            ),
            (
                with(TARGET, &of_other_service, &date),
                &of_wrong_type,
                (
                    "InvalidSignatureException",
                    "message",
                    "Credential should be scoped to correct service: 'kinesis'.",
                ),
            ),
            (signed, &of_wrong_type, ("SerializationException", "Message", wrong_type)),
            (signed, &of_wrong_value, ("ValidationException", "message", wrong_value)),
            (signed, &to_missing_shard, ("ResourceNotFoundException", "message", missing_shard)),
        ] {
            let (status, answer) = post(&service, given, &encoding.body(body));
            let told = (status, encoding.read(&answer));
            assert_eq!(told, (400, exception(kind, key, message)), "{given:?} {body}");
        }
        assert_eq!(post(&service, signed, &encoding.body(&sound)).0, 200);
    }
}
