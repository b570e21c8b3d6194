use proptest::prelude::*;

use super::*;

fn joined(pieces: &Pieces) -> Bytes {
    pieces.concat().into()
}

fn unhex(text: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}

#[test]
fn the_first_message_is_a_known_one() {
    let expected = concat!(
        "0000007200000060ab820d9e0d3a6d6573736167652d747970650700056576656e740b3a6576656e742d74797065",
        "070010696e697469616c2d726573706f6e73650d3a636f6e74656e742d7479706507001a6170706c69636174696f",
        "6e2f782d616d7a2d6a736f6e2d312e317b7de16e66e4",
    );
    assert_eq!(joined(&initial_response(Encoding::Json)), unhex(expected));
}

#[test]
fn the_first_message_in_cbor_has_an_empty_map() {
    let message = take_message(&mut joined(&initial_response(Encoding::Cbor))).unwrap().unwrap();
    assert_eq!(message.header(":event-type"), Some("initial-response"));
    assert_eq!(message.header(":content-type"), Some("application/x-amz-cbor-1.1"));
    assert_eq!(message.payload, b"\xbf\xff".as_slice());
}

#[test]
fn a_shared_part_changes_nothing_on_the_wire() {
    let shared = Shared::new(Bytes::from_static(b"[1,2,3]"));
    let parts = Payload { before: b"{\"a\":", shared: Some(&shared), after: b"}" };
    let pieces = event("E", Encoding::Json, parts);
    assert_eq!(pieces[1].as_ptr(), shared.bytes.as_ptr(), "it is not copied");
    let whole = event("E", Encoding::Json, Payload::whole(b"{\"a\":[1,2,3]}"));
    assert_eq!(joined(&pieces), joined(&whole));
}

#[test]
fn an_exception_has_its_name_in_a_header_and_its_text_in_the_payload() {
    let exceptions = [
        (
            Exception::new(Kind::ResourceInUse, "taken \"over\""),
            "ResourceInUseException",
            r#"{"message":"taken \"over\""}"#,
        ),
        (Exception::bare(Kind::InternalFailure), "InternalFailureException", "{}"),
    ];
    for (thrown, name, payload) in exceptions {
        let sent = exception(&thrown, Encoding::Json);
        let message = take_message(&mut joined(&sent)).unwrap().unwrap();
        assert_eq!(
            message.headers,
            [
                (":message-type".to_owned(), "exception".to_owned()),
                (":exception-type".to_owned(), name.to_owned()),
                (":content-type".to_owned(), "application/x-amz-json-1.1".to_owned()),
            ]
        );
        assert_eq!(message.payload, payload);
    }
}

#[test]
fn headers_of_every_type_are_passed_over() {
    let mut headers = Vec::new();
    for (kind, value) in [
        (0, vec![]),
        (1, vec![]),
        (2, vec![7]),
        (3, vec![7; 2]),
        (4, vec![7; 4]),
        (5, vec![7; 8]),
        (6, vec![0, 3, 7, 7, 7]),
        (8, vec![7; 8]),
        (9, vec![7; 16]),
        (7, b"\x00\x04text".to_vec()),
    ] {
        headers.extend_from_slice(&[1, b'h', kind]);
        headers.extend_from_slice(&value);
    }
    assert_eq!(
        take_headers(headers.clone().into()).unwrap(),
        [("h".to_owned(), "text".to_owned())]
    );
    for length in (1..headers.len()).filter(|length| headers[..*length].ends_with(&[7])) {
        take_headers(headers[..length].to_vec().into());
    }
    assert_eq!(take_headers(Bytes::from_static(b"\x01h\x0a")), None);
    assert_eq!(take_headers(Bytes::from_static(b"\x01h\x07\x00\x05text")), None);
    assert_eq!(take_headers(Bytes::from_static(b"\x01h\x05\x00")), None);
}

proptest! {
    #[test]
    fn a_message_is_taken_whole_or_not_at_all(
        payload in prop::collection::vec(any::<u8>(), 0..200),
        split in any::<prop::sample::Index>(),
        flipped in any::<prop::sample::Index>(),
    ) {
        let sent = joined(&event("Some", Encoding::Json, Payload::whole(&payload)));
        let mut two = [&sent[..], &sent[..]].concat().into();
        for _ in 0..2 {
            let message = take_message(&mut two).unwrap().unwrap();
            prop_assert_eq!(message.header(":event-type"), Some("Some"));
            prop_assert_eq!(&message.payload, &payload);
        }
        prop_assert!(two.is_empty());
        let mut part = sent.slice(..split.index(sent.len()));
        prop_assert_eq!(take_message(&mut part), Ok(None));
        let mut damaged = sent.to_vec();
        let at = flipped.index(damaged.len());
        damaged[at] ^= 1;
        prop_assert_eq!(take_message(&mut damaged.into()), Err(MessageError));
    }

    #[test]
    fn anything_at_all_is_taken_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
        drop(take_message(&mut bytes.clone().into()));
        drop(take_headers(bytes.into()));
    }
}
