//! The short way takes what is plain and agrees with the long way on all it takes.

use minicbor::Encoder;

use super::*;

/// By the long way.
fn long(body: &[u8], encoding: Encoding) -> Option<Input<'_>> {
    let value = match encoding {
        Encoding::Json => json::parse(body),
        Encoding::Cbor => cbor::parse(body),
    };
    read(value.ok().filter(|value| matches!(value, Value::Map(_)))?, &SHAPE, encoding).ok()
}

/// By the short way, which may give up but not differ. Members are compared by name: they stand in
/// the order of the body here and in that of the table there.
fn short(body: &[u8], encoding: Encoding) -> Option<Input<'_>> {
    fn sort(input: &mut Input<'_>) {
        input.members.sort_by_key(|(member, _)| member.name);
        for (_, field) in &mut input.members {
            sort_within(field);
        }
    }
    fn sort_within(field: &mut Field<'_>) {
        if let Field::Structure(input) = field {
            sort(input);
        } else if let Field::List(list) = field {
            list.iter_mut().for_each(sort_within);
        }
    }
    let mut input = super::super::direct::read(body, &SHAPE, encoding)?;
    let mut expected = long(body, encoding).unwrap_or_else(|| panic!("only one way: {body:?}"));
    sort(&mut input);
    sort(&mut expected);
    assert_eq!(input, expected, "{body:?}");
    Some(input)
}

fn is_taken(body: &str) -> bool {
    short(body.as_bytes(), Encoding::Json).is_some()
}

#[test]
fn plain_json_is_taken() {
    for body in [
        r#"{"StreamName":"ab","Records":[{"Data":"aGk=","Key":"k"},{"Key":"\u20ac","Data":""}]}"#,
        r#"{ "Limit" : 7 , "Flag" : true , "Mode" : { "StreamMode" : "P" } , "TagKeys" : [ "a" ] }"#,
        "\n\t{\r\n}\n",
        r#"{"Flag":false,"Data":"AAAA","Type":"A"}"#,
    ] {
        let body = body.replace("\\u20ac", "\u{20ac}");
        assert!(is_taken(&body), "{body}");
    }
}

#[test]
fn whatever_is_not_plain_is_left_to_the_long_way() {
    for body in [
        "",
        "[]",
        "{",
        "{}x",
        r#"{"Limit":7}{}"#,
        r#"{"Limit":7,}"#,
        r#"{"Limit":07}"#,
        r#"{"Limit":7.0}"#,
        r#"{"Limit":-7}"#,
        r#"{"Limit":"7"}"#,
        r#"{"Limit":1234567890}"#,
        r#"{"Limit":null}"#,
        r#"{"Limit":7,"Limit":7}"#,
        r#"{"Limit":70}"#,
        r#"{"Other":7}"#,
        r#"{"Flag":truefalse}"#,
        r#"{"Flag":"true"}"#,
        r#"{"Data":"AAAAAAA="}"#,
        r#"{"Data":"AA"}"#,
        r#"{"Data":"\/w=="}"#,
        r#"{"StreamName":"a\n"}"#,
        "{\"StreamName\":\"a\n\"}",
        r#"{"StreamName":"a\"}"#,
        r#"{"At":7}"#,
        r#"{"Tags":{"a":"b"}}"#,
        r#"{"Metrics":["IN"]}"#,
        r#"{"TagKeys":["a","b","c"]}"#,
        r#"{"Records":[{}]}"#,
        r#"{"Records":[null]}"#,
    ] {
        assert!(!is_taken(body), "{body}");
    }
    assert!(short(b"{\"StreamName\":\"\xff\"}", Encoding::Json).is_none());
}

#[test]
fn plain_cbor_is_taken() {
    for body in [
        &b"\xa0"[..],
        b"\xbf\xff",
        b"\xa2\x65Limit\x07\x64Data\x42\xff\x00",
        b"\xbf\x67Records\x9f\xa2\x63Key\x61k\x64Data\x40\xff\x64Flag\xf5\xff",
    ] {
        assert!(short(body, Encoding::Cbor).is_some(), "{body:?}");
    }
    for body in [
        &b""[..],
        b"\xa0\xa0",
        b"\xa1\x65Limit\xf6",
        b"\xa1\x65Limit\xc1\x07",
        b"\xa1\x65Limit\x18\x46",
        b"\xa2\x65Limit\x07\x65Limit\x07",
        b"\xa1\x64Data\x60",
        b"\xa1\x64Data\x5f\x41\x00\xff",
        b"\xa1\x65Other\x07",
    ] {
        assert!(short(body, Encoding::Cbor).is_none(), "{body:?}");
    }
}

/// Values in JSON, most of them of the type some member has.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "\"[a-z]{0,5}\"",
        "\"[A-Za-z]{0,6}={0,2}\"",
        "\"(A|B|P|IN|\u{20ac}|\u{1f600}|\\\\n|\\\\u0041|\u{1})\"",
        "-?[0-9]{1,3}(\\.5)?",
        "true|false|null",
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4)
                .prop_map(|list| format!("[{}]", list.join(","))),
            any_json_map(inner),
        ]
    })
}

fn any_json_map(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let names = SHAPE.members.iter().map(|member| member.name);
    let names = names.chain(["Data", "Key", "Hash", "StreamMode", "Other"]).collect::<Vec<_>>();
    let space = prop::sample::select(vec!["", "", " ", "\n", "\t\r"]);
    let entry = (prop::sample::select(names), space.clone(), value, space).prop_map(
        |(name, before, value, after)| format!("\"{name}\"{before}:{after}{value}{before}"),
    );
    prop::collection::vec(entry, 0..4).prop_map(|entries| format!("{{{}}}", entries.join(",")))
}

/// A sound body by the table.
fn sound_json() -> impl Strategy<Value = String> {
    let record = ("([A-Za-z]{4}|[A-Z]{2}E=)?", "[a-z]{1,4}", any::<bool>()).prop_map(
        |(data, key, hashed)| {
            let hash = if hashed { r#","Hash":"x""# } else { "" };
            format!(r#"{{"Data":"{data}","Key":"{key}"{hash}}}"#)
        },
    );
    let records = prop::collection::vec(record, 1..6);
    (records, "[a-z]{1,4}", 1..11, any::<bool>()).prop_map(|(records, name, limit, flag)| {
        let records = records.join(",");
        format!(r#"{{"StreamName":"{name}","Records":[{records}],"Limit":{limit},"Flag":{flag}}}"#)
    })
}

fn encode(value: &Value<'_>, open_ended: bool, out: &mut Encoder<Vec<u8>>) {
    match value {
        Value::Null => drop(out.null()),
        Value::Bool(value) => drop(out.bool(*value)),
        Value::Integer(number) | Value::Millis(number) => drop(out.i64(*number)),
        Value::Float(number) => drop(out.f64(*number)),
        Value::Text(text) => drop(out.str(text)),
        Value::Bytes(bytes) => drop(out.bytes(bytes)),
        Value::List(list) => {
            drop(if open_ended { out.begin_array() } else { out.array(list.len() as u64) });
            for value in list {
                encode(value, open_ended, out);
            }
        }
        Value::Map(map) => {
            drop(if open_ended { out.begin_map() } else { out.map(map.len() as u64) });
            for (name, value) in map {
                drop(out.str(name));
                encode(value, open_ended, out);
            }
        }
    }
    if open_ended && matches!(value, Value::List(_) | Value::Map(_)) {
        drop(out.end());
    }
}

fn cbor_of(json: &str, open_ended: bool) -> Option<Vec<u8>> {
    fn with_bytes(value: &mut Value<'_>) {
        if let Value::List(list) = value {
            list.iter_mut().for_each(with_bytes);
        } else if let Value::Map(map) = value {
            for (name, value) in map {
                if let (Value::Text(text), "Data") = (&*value, name.as_ref()) {
                    *value = Value::Bytes(text.as_bytes().to_vec().into());
                }
                with_bytes(value);
            }
        }
    }
    let mut value = json::parse(json.as_bytes()).ok()?;
    with_bytes(&mut value);
    let mut out = Encoder::new(Vec::new());
    encode(&value, open_ended, &mut out);
    Some(out.into_writer())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn the_ways_agree(body in any_json_map(any_json()), open_ended: bool) {
        short(body.as_bytes(), Encoding::Json);
        if let Some(body) = cbor_of(&body, open_ended) {
            short(&body, Encoding::Cbor);
        }
    }

    #[test]
    fn sound_bodies_are_taken_and_damaged_ones_read_alike(
        body in sound_json(),
        open_ended: bool,
        at: prop::sample::Index,
        byte in prop_oneof![any::<u8>(), prop::sample::select(b"\"\\,:{}[] 01=".to_vec())],
    ) {
        let cbor = cbor_of(&body, open_ended).unwrap();
        for (mut body, encoding) in [(body.into_bytes(), Encoding::Json), (cbor, Encoding::Cbor)] {
            prop_assert!(short(&body, encoding).is_some());
            let at = at.index(body.len());
            short(&body[..at], encoding);
            body[at] = byte;
            short(&body, encoding);
        }
    }
}
