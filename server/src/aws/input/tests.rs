//! Texts of coercion and validation, over a table that has every kind of member.

mod direct;

use proptest::prelude::*;

use super::*;
use crate::aws::exception::Kind;
use crate::aws::json;
use crate::aws::shape::{Member, Shape};

const fn member(name: &'static str, shape: Shape) -> Member {
    Member { name, required: false, sensitive: false, shape }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

static KEY: Shape = Shape::Text { length: Some((1, 128)), pattern: None, one_of: None };
static METRIC: Shape = Shape::Text { length: None, pattern: None, one_of: Some(&["IN", "ALL"]) };
static NUMBER: Shape = Shape::Integer { min: Some(1), max: None };
static FREE: Shape = Shape::Text { length: None, pattern: None, one_of: None };
static BLOB: Shape = Shape::Blob { max: 4 };
static ENTRY: Shape = Shape::Structure(&Structure {
    name: "Entry",
    members: &[
        Member { name: "Data", required: true, sensitive: true, shape: Shape::Blob { max: 4 } },
        Member {
            name: "Key",
            required: true,
            sensitive: true,
            shape: Shape::Text { length: Some((1, 4)), pattern: None, one_of: None },
        },
        member(
            "Hash",
            Shape::Text { length: None, pattern: Some(("[a-z]+", is_word)), one_of: None },
        ),
    ],
});

static SHAPE: Structure = Structure {
    name: "Request",
    members: &[
        member(
            "StreamName",
            Shape::Text { length: Some((1, 4)), pattern: Some(("[a-z]+", is_word)), one_of: None },
        ),
        member("Limit", Shape::Integer { min: Some(1), max: Some(10) }),
        member("Flag", Shape::Boolean),
        member("Data", Shape::Blob { max: 4 }),
        member("At", Shape::Timestamp),
        member("Type", Shape::Text { length: None, pattern: None, one_of: Some(&["B", "A"]) }),
        member("TagKeys", Shape::List { of: &KEY, length: Some((1, 2)) }),
        member("Metrics", Shape::List { of: &METRIC, length: None }),
        member("Numbers", Shape::List { of: &NUMBER, length: None }),
        member("Blobs", Shape::List { of: &BLOB, length: None }),
        member("Entries", Shape::List { of: &ENTRY, length: Some((0, 1)) }),
        Member {
            name: "Records",
            required: false,
            sensitive: true,
            shape: Shape::List { of: &ENTRY, length: Some((1, 20)) },
        },
        member("Tags", Shape::TextMap { length: Some((1, 2)), key: (1, 8), value: (0, 4) }),
        member(
            "Mode",
            Shape::Structure(&Structure {
                name: "Mode",
                members: &[Member {
                    name: "StreamMode",
                    required: true,
                    sensitive: false,
                    shape: Shape::Text { length: None, pattern: None, one_of: Some(&["P"]) },
                }],
            }),
        ),
    ],
};

fn read_json(body: &str) -> Result<Input<'_>, Exception> {
    read(json::parse(body.as_bytes()).unwrap(), &SHAPE, Encoding::Json)
}

fn read_cbor<'a>(name: &'static str, value: Value<'a>) -> Result<Input<'a>, Exception> {
    read(Value::Map(vec![(name.into(), value)]), &SHAPE, Encoding::Cbor)
}

fn refusal(body: &str) -> String {
    let exception = read_json(body).unwrap_err();
    assert_eq!(exception.kind, Kind::Serialization, "{body}");
    exception.message.unwrap().into_owned()
}

/// The entries of the message, after checking its beginning.
fn violations(body: &str) -> Vec<String> {
    let exception = read_json(body).unwrap_err();
    assert_eq!(exception.kind, Kind::Validation, "{body}");
    let message = exception.message.unwrap().into_owned();
    let (beginning, entries) = message.split_once(" detected: ").unwrap();
    let entries: Vec<_> = entries.split("; ").map(str::to_owned).collect();
    let noun = if entries.len() == 1 { "error" } else { "errors" };
    assert_eq!(beginning, format!("{} validation {noun}", entries.len()));
    entries
}

const NUMBER_CLASS: &str = "class com.amazon.coral.value.json.numbers.TruncatingBigNumber";
const START_OF_LIST: &str = "Start of list found where not expected";
const START_OF_MAP: &str = "Start of structure or map found where not expected.";

#[test]
fn values_of_the_right_type_are_read() {
    let body = r#"{"StreamName":"ab","Limit":3,"Flag":true,"Data":"aGk=","At":1733245678.123,
        "TagKeys":["a","b"],"Tags":{"k":"v"},"Mode":{"StreamMode":"P"},"Other":[{}],"Type":null,
        "Records":[{"Data":"","Key":"k"}]}"#;
    let input = read_json(body).unwrap();
    assert_eq!(input.text("StreamName"), Some("ab"));
    assert_eq!(input.integer("Limit"), Some(3));
    assert_eq!(input.boolean("Flag"), Some(true));
    assert_eq!(input.blob("Data"), Some(&Blob::from(&b"hi"[..])));
    assert_eq!(input.timestamp("At"), Some(1_733_245_678_123));
    assert_eq!(input.list("TagKeys").unwrap().len(), 2);
    assert_eq!(input.text_map("Tags").unwrap(), [("k".into(), "v".into())]);
    assert_eq!(input.structure("Mode").unwrap().text("StreamMode"), Some("P"));
    assert_eq!(input.text("Type"), None);
    let [Field::Structure(record)] = input.list("Records").unwrap() else { panic!() };
    assert_eq!(record.blob("Data"), Some(&Blob::EMPTY));
    assert!(matches!(record.field("Key"), Some(Field::Text(Cow::Borrowed("k")))));
}

#[test]
fn the_last_of_equal_members_counts() {
    assert_eq!(read_json(r#"{"Limit":"x","Limit":2}"#).unwrap().integer("Limit"), Some(2));
    assert_eq!(read_json(r#"{"Limit":2,"Limit":null}"#).unwrap().integer("Limit"), None);
    let body = r#"{"Tags":{"b":"1","a":"2","b":"3"}}"#;
    let expected = [("a".into(), "2".into()), ("b".into(), "3".into())];
    assert_eq!(read_json(body).unwrap().text_map("Tags").unwrap(), expected);
}

#[test]
fn scalars_of_the_wrong_type_are_named() {
    let boolean = "class java.lang.Boolean";
    let string = "class java.lang.String";
    for (member, given, expected) in [
        ("StreamName", "1", format!("{NUMBER_CLASS} can not be converted to an String")),
        ("StreamName", "1.5", format!("{NUMBER_CLASS} can not be converted to an String")),
        ("StreamName", "true", format!("{boolean} can not be converted to an String")),
        ("Limit", "true", format!("{boolean} can not be converted to an Integer")),
        ("Limit", "\"1\"", format!("{string} can not be converted to an Integer")),
        ("Flag", "1", format!("{NUMBER_CLASS} can not be converted to an Boolean")),
        ("Flag", "\"maybe\"", "'MAYBE' can not be converted to an Boolean".to_owned()),
        ("Data", "true", format!("{boolean} can not be converted to a Blob")),
        ("Data", "1", format!("{NUMBER_CLASS} can not be converted to a Blob")),
        (
            "Data",
            "\"abc\"",
            "'abc' can not be converted to a Blob: \
             Base64 encoded length is expected a multiple of 4 bytes but found: 3"
                .to_owned(),
        ),
        ("At", "true", format!("{boolean} can not be converted to milliseconds since epoch")),
        ("At", "\"x\"", format!("{string} can not be converted to milliseconds since epoch")),
    ] {
        assert_eq!(refusal(&format!("{{\"{member}\":{given}}}")), expected);
    }
    for member in ["StreamName", "Limit", "Flag", "Data", "At"] {
        assert_eq!(refusal(&format!("{{\"{member}\":[1]}}")), START_OF_LIST);
        assert_eq!(refusal(&format!("{{\"{member}\":{{}}}}")), START_OF_MAP);
    }
}

#[test]
fn lists_maps_and_structures_of_the_wrong_type_are_named() {
    for (body, expected) in [
        (r#"{"TagKeys":"a"}"#, "Expected list or null"),
        (r#"{"TagKeys":1}"#, "Expected list or null"),
        (r#"{"TagKeys":{}}"#, START_OF_MAP),
        (r#"{"Tags":true}"#, "Expected map or null"),
        (r#"{"Tags":[]}"#, START_OF_LIST),
        (r#"{"Mode":"x"}"#, "Expected null"),
        (r#"{"Mode":[]}"#, START_OF_LIST),
        (r#"{"Records":[1]}"#, "Expected null"),
        (r#"{"Records":[[]]}"#, START_OF_LIST),
    ] {
        assert_eq!(refusal(body), expected, "{body}");
    }
    assert_eq!(
        refusal(r#"{"Tags":{"a":1}}"#),
        format!("{NUMBER_CLASS} can not be converted to an String")
    );
}

#[test]
fn the_first_wrong_type_of_the_table_is_told_before_any_violation() {
    let body = r#"{"Tags":[],"Limit":0,"StreamName":""}"#;
    assert_eq!(refusal(body), START_OF_LIST);
    let body = r#"{"Tags":[],"StreamName":true}"#;
    assert_eq!(refusal(body), "class java.lang.Boolean can not be converted to an String");
}

#[test]
fn integers_are_floored_and_clamped() {
    let limits = |body: &str| match read_json(body) {
        Ok(input) => input.integer("Limit").unwrap().to_string(),
        Err(exception) => exception.message.unwrap().split('\'').nth(1).unwrap().to_owned(),
    };
    assert_eq!(limits(r#"{"Limit":3.9}"#), "3");
    assert_eq!(limits(r#"{"Limit":-0.1}"#), "-1");
    assert_eq!(limits(r#"{"Limit":2147483648}"#), "2147483647");
    assert_eq!(limits(r#"{"Limit":1e300}"#), "2147483647");
    assert_eq!(limits(r#"{"Limit":-1e300}"#), "-2147483648");
}

#[test]
fn booleans_are_read_from_words_in_any_case() {
    for (word, expected) in
        [("TRUE", true), ("1", true), ("yEs", true), ("False", false), ("0", false), ("NO", false)]
    {
        let body = format!("{{\"Flag\":\"{word}\"}}");
        assert_eq!(read_json(&body).unwrap().boolean("Flag"), Some(expected));
    }
}

#[test]
fn timestamps_are_seconds_in_json_and_milliseconds_in_cbor() {
    for (json, millis) in [("7", 7000), ("0.0015", 2), ("1733245678.123", 1_733_245_678_123)] {
        let body = format!("{{\"At\":{json}}}");
        assert_eq!(read_json(&body).unwrap().timestamp("At"), Some(millis));
    }
    for value in [Value::Integer(7), Value::Millis(7), Value::Float(7.4)] {
        assert_eq!(read_cbor("At", value).unwrap().timestamp("At"), Some(7));
    }
    let far = read_json(r#"{"At":9223372036854775807}"#).unwrap();
    assert_eq!(far.timestamp("At"), Some(i64::MAX));
}

#[test]
fn byte_strings_are_blobs_and_nothing_else() {
    let bytes = || Value::Bytes(b"\xff"[..].into());
    let input = read_cbor("Data", bytes()).unwrap();
    assert_eq!(input.blob("Data"), Some(&Blob::from(&b"\xff"[..])));
    let exception = read_cbor("StreamName", bytes()).unwrap_err();
    assert_eq!(exception.kind, Kind::Serialization);
}

#[test]
fn every_rule_has_its_words() {
    let constraint = "failed to satisfy constraint: Member must";
    for (body, entry) in [
        (
            r#"{"StreamName":"abcde"}"#,
            "'abcde' at 'streamName' # have length less than or equal to 4",
        ),
        (
            r#"{"StreamName":"-"}"#,
            "'-' at 'streamName' # satisfy regular expression pattern: [a-z]+",
        ),
        (r#"{"Limit":0}"#, "'0' at 'limit' # have value greater than or equal to 1"),
        (r#"{"Limit":11}"#, "'11' at 'limit' # have value less than or equal to 10"),
        (r#"{"Type":"b"}"#, "'b' at 'type' # satisfy enum value set: [B, A]"),
        (
            r#"{"Data":"AAAAAAA="}"#,
            "'java.nio.HeapByteBuffer[pos=0 lim=5 cap=5]' at 'data' # \
             have length less than or equal to 4",
        ),
        (r#"{"TagKeys":[]}"#, "'[]' at 'tagKeys' # have length greater than or equal to 1"),
        (
            r#"{"TagKeys":["a","b","c"]}"#,
            "'[a, b, c]' at 'tagKeys' # have length less than or equal to 2",
        ),
        (r#"{"Tags":{}}"#, "'{}' at 'tags' # have length greater than or equal to 1"),
        (
            r#"{"Tags":{"b":"","a":"1","c":"2"}}"#,
            "'{a=1, b=, c=2}' at 'tags' # have length less than or equal to 2",
        ),
        (r#"{"Mode":{}}"#, "null at 'mode.streamMode' # not be null"),
        (
            r#"{"TagKeys":["a",""]}"#,
            "'[a, ]' at 'tagKeys' # satisfy constraint: \
             [Member must have length less than or equal to 128, \
             Member must have length greater than or equal to 1]",
        ),
        (
            r#"{"Metrics":["ALL","x"]}"#,
            "'[ALL, x]' at 'metrics' # satisfy constraint: \
             [Member must satisfy enum value set: [IN, ALL]]",
        ),
        (
            r#"{"Numbers":[1,0]}"#,
            "'[1, 0]' at 'numbers' # satisfy constraint: \
             [Member must have value greater than or equal to 1]",
        ),
        (
            r#"{"Blobs":["AAAAAAA="]}"#,
            "'[java.nio.HeapByteBuffer[pos=0 lim=5 cap=5]]' at 'blobs' # satisfy constraint: \
             [Member must have length less than or equal to 4]",
        ),
    ] {
        assert_eq!(violations(body), [format!("Value {}", entry.replace('#', constraint))]);
    }
}

#[test]
fn keys_and_values_of_maps_have_rules_of_their_own() {
    let lengths = |max, min| {
        format!(
            "[Member must have length less than or equal to {max}, \
             Member must have length greater than or equal to {min}]"
        )
    };
    assert_eq!(
        violations(r#"{"Tags":{"":"abcde"}}"#),
        [
            format!(
                "Value '{{=abcde}}' at 'tags' failed to satisfy constraint: \
                 Map keys must satisfy constraint: {}",
                lengths(8, 1)
            ),
            format!(
                "Value '{{=abcde}}' at 'tags' failed to satisfy constraint: \
                 Map value must satisfy constraint: {}",
                lengths(4, 0)
            ),
        ]
    );
}

#[test]
fn nulls_in_lists_and_maps_are_violations_at_their_place() {
    let words = "failed to satisfy constraint: Member must not be null";
    assert_eq!(
        violations(r#"{"TagKeys":["a",null],"Tags":{"k":null}}"#),
        [
            format!("Value null at 'tagKeys.2.member' {words}"),
            format!("Value null at 'tags.k.member' {words}"),
        ]
    );
    assert_eq!(
        violations(r#"{"Records":[null]}"#),
        [format!("Value at 'records.1.member' {words}")]
    );
}

#[test]
fn sensitive_values_are_not_printed() {
    assert_eq!(
        violations(r#"{"Records":[{"Data":"","Key":"k"},{"Key":"secret","Data":"AAAAAAA="}]}"#),
        [
            "Value at 'records.2.member.data' failed to satisfy constraint: \
             Member must have length less than or equal to 4",
            "Value at 'records.2.member.key' failed to satisfy constraint: \
             Member must have length less than or equal to 4",
        ]
    );
    assert_eq!(
        violations(r#"{"Records":[]}"#),
        ["Value at 'records' failed to satisfy constraint: \
          Member must have length greater than or equal to 1"]
    );
}

#[test]
fn structures_in_lists_print_as_java_objects() {
    let entry = r#"{"Data":"","Key":"k"}"#;
    let [violation] = &violations(&format!("{{\"Entries\":[{entry},{entry}]}}"))[..] else {
        panic!()
    };
    let object = "com.amazonaws.kinesis.v20131202.Entry@4001852";
    let expected = format!(
        "Value '[{object}, {object}]' at 'entries' failed to satisfy constraint: \
         Member must have length less than or equal to 1"
    );
    assert_eq!(*violation, expected);
}

#[test]
fn several_rules_can_fail_for_one_value() {
    assert_eq!(violations(r#"{"StreamName":""}"#).len(), 2);
    assert_eq!(violations(r#"{"StreamName":"","Limit":0,"Type":""}"#).len(), 4);
}

#[test]
fn at_most_ten_violations_are_told() {
    let body = format!("{{\"Records\":[{}]}}", ["{}"; 20].join(","));
    let entries = violations(&body);
    assert_eq!(entries.len(), 10);
    assert!(entries[9].starts_with("Value at 'records.5.member.key' "));
}

#[test]
fn text_is_measured_in_utf16_units() {
    let body = |key: &str| format!("{{\"Records\":[{{\"Data\":\"\",\"Key\":\"{key}\"}}]}}");
    assert!(read_json(&body("\u{20ac}\u{20ac}\u{20ac}\u{20ac}")).is_ok());
    assert!(read_json(&body("\u{1f600}\u{1f600}")).is_ok());
    assert_eq!(violations(&body("\u{1f600}\u{1f600}a")).len(), 1);
}

#[test]
fn text_without_rules_is_free() {
    assert!(rule::Rule::all_of(&FREE).iter().flatten().next().is_none());
}

proptest! {
    #[test]
    fn any_body_is_answered(
        member in prop::sample::select(SHAPE.members.iter().map(|member| member.name).collect::<Vec<_>>()),
        value in any_value(),
    ) {
        for encoding in [Encoding::Json, Encoding::Cbor] {
            let body = Value::Map(vec![(member.into(), value.clone())]);
            if let Err(exception) = read(body, &SHAPE, encoding) {
                prop_assert!(matches!(exception.kind, Kind::Serialization | Kind::Validation));
            }
        }
    }
}

fn any_value() -> impl Strategy<Value = Value<'static>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Integer),
        any::<f64>().prop_map(Value::Float),
        any::<i64>().prop_map(Value::Millis),
        "[A-Za-z=]{0,6}".prop_map(|text| Value::Text(text.into())),
        any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(bytes.into())),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        let key = prop::sample::select(vec!["Data", "Key", "Hash", "StreamMode"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::vec((key.prop_map(Cow::Borrowed), inner), 0..4).prop_map(Value::Map),
        ]
    })
}
