//! CBOR bodies, to and from the JSON that the tests are written in: `Data` is a byte string, and
//! times are tag 1 with whole milliseconds.

use minicbor::data::{Tag, Type};
use minicbor::{Decoder, Encoder};
use serde_json::{Value as Json, json};

const TIMES: &[&str] = &["Timestamp", "StreamCreationTimestamp"];
const EPOCH_TIME: Tag = Tag::new(1);

/// The body for what a JSON body says.
pub(crate) fn encode(body: &Json) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    write(&mut encoder, "", body);
    encoder.into_writer()
}

/// Writes the value of a member of this name.
fn write(encoder: &mut Encoder<Vec<u8>>, name: &str, value: &Json) {
    match value {
        Json::Null => encoder.null().map(drop),
        Json::Bool(value) => encoder.bool(*value).map(drop),
        Json::Number(number) if TIMES.contains(&name) => {
            // As text, since there is no lossless way from a float to an integer.
            let millis = format!("{:.0}", number.as_f64().unwrap() * 1000.0);
            encoder.tag(EPOCH_TIME).unwrap().i64(millis.parse().unwrap()).map(drop)
        }
        Json::Number(number) => match number.as_i64() {
            Some(number) => encoder.i64(number).map(drop),
            None => encoder.f64(number.as_f64().unwrap()).map(drop),
        },
        Json::String(text) if name == "Data" => {
            let bytes = base64_simd::STANDARD.decode_to_vec(text).unwrap();
            encoder.bytes(&bytes).map(drop)
        }
        Json::String(text) => encoder.str(text).map(drop),
        Json::Array(entries) => {
            encoder.begin_array().unwrap();
            for entry in entries {
                write(encoder, name, entry);
            }
            encoder.end().map(drop)
        }
        Json::Object(members) => {
            encoder.begin_map().unwrap();
            for (name, value) in members {
                encoder.str(name).unwrap();
                write(encoder, name, value);
            }
            encoder.end().map(drop)
        }
    }
    .unwrap();
}

/// What a body says, as JSON would: byte strings in base64, times in seconds.
pub(crate) fn decode(body: &[u8]) -> Json {
    let mut decoder = Decoder::new(body);
    let value = read(&mut decoder);
    assert_eq!(decoder.position(), body.len(), "{body:x?}");
    value
}

#[expect(clippy::wildcard_enum_match_arm, reason = "what is not named here is a number or refused")]
fn read(decoder: &mut Decoder<'_>) -> Json {
    match decoder.datatype().unwrap() {
        Type::Bool => json!(decoder.bool().unwrap()),
        Type::String => json!(decoder.str().unwrap()),
        Type::Bytes => json!(base64_simd::STANDARD.encode_to_string(decoder.bytes().unwrap())),
        Type::Tag => {
            assert_eq!(decoder.tag().unwrap(), EPOCH_TIME);
            // A whole number: a float here breaks the Java SDK.
            let millis = decoder.u64().unwrap();
            json!(millis_as_seconds(millis))
        }
        Type::ArrayIndef => {
            decoder.array().unwrap();
            let mut entries = Vec::new();
            while decoder.datatype().unwrap() != Type::Break {
                entries.push(read(decoder));
            }
            decoder.skip().unwrap();
            Json::Array(entries)
        }
        Type::MapIndef => {
            decoder.map().unwrap();
            let mut members = serde_json::Map::new();
            while decoder.datatype().unwrap() != Type::Break {
                let name = decoder.str().unwrap().to_owned();
                members.insert(name, read(decoder));
            }
            decoder.skip().unwrap();
            Json::Object(members)
        }
        _ => json!(decoder.i64().unwrap()),
    }
}

/// Seconds as JSON has them: a decimal with milliseconds.
pub(crate) fn millis_as_seconds(millis: u64) -> Json {
    serde_json::from_str(&format!("{}.{:03}", millis / 1000, millis % 1000)).unwrap()
}
