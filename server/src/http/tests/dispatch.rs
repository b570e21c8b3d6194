//! The steps of the service's dispatch, in their order.

use super::both::Both;
use super::*;

const EMPTY_MAP: &[u8] = b"\xbf\xff";
const DENIED: &str = "<AccessDeniedException>\n  <Message>Unable to determine service/operation \
                      name to be authorized</Message>\n</AccessDeniedException>\n";

fn error(name: &str) -> String {
    format!(r#"{{"__type":"{name}"}}"#)
}

fn cbor_error(name: &str) -> Vec<u8> {
    cbor_map(&[("__type", name)])
}

#[test]
fn answers_carry_ids_a_date_and_no_connection_header() {
    let reply = Both::start().post(JSON, "Fake.Echo", "{}");
    reply.assert(200, Some(JSON), "{}");
    reply.assert_ids();
    assert!(reply.header("date").unwrap().ends_with(" GMT"));
    assert_eq!(reply.header("connection"), None);
    assert_eq!(reply.header("x-amzn-errortype"), None);
    assert_eq!(reply.header("access-control-allow-origin"), None);
}

#[test]
fn each_answer_has_its_own_ids() {
    let server = Both::start();
    let (one, two) = (server.post(JSON, "Fake.Echo", "{}"), server.post(JSON, "Fake.Echo", "{}"));
    assert_ne!(one.header("x-amzn-requestid"), two.header("x-amzn-requestid"));
    assert_ne!(one.header("x-amz-id-2"), two.header("x-amz-id-2"));
}

#[test]
fn empty_answer_has_length_zero_and_the_content_type() {
    let server = Both::start();
    let reply = server.post(CBOR, "Fake.Nothing", EMPTY_MAP);
    reply.assert(200, Some(CBOR), "");
    assert_eq!(reply.header("content-length"), Some("0"));
}

#[test]
fn content_type_parameters_are_ignored_and_not_echoed() {
    let reply = Both::start().post(&format!("{JSON}; charset=utf-8"), "Fake.Echo", "{}");
    reply.assert(200, Some(JSON), "{}");
}

#[test]
fn path_and_further_headers_do_not_matter() {
    let server = Both::start();
    for path in ["/a/b?c=d&e", "/%00//..", "/service/Kinesis/operation/PutRecord"] {
        let headers = format!(
            "Content-Type: {JSON}\r\nX-Amz-Target: Fake.Echo\r\n{SIGNED}X-Amz-Date2: x\r\n\
             x-amz-content-sha256: UNSIGNED-PAYLOAD\r\namz-sdk-invocation-id: 1\r\n"
        );
        let request = String::from_utf8(request("POST", &headers, "{}")).unwrap();
        let reply = server.send(request.replace("POST /", &format!("POST {path}")));
        reply.assert(200, Some(JSON), "{}");
    }
}

#[test]
fn answers_have_no_headers_the_service_does_not_send() {
    let server = Both::start();
    for target in ["Fake.Echo", "Fake.Fail", "Fake.Nothing", "Fake.Unknown"] {
        let reply = server.post(JSON, target, "{}");
        let names = reply.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let mut names: Vec<_> = names.map(|(name, _)| name.to_lowercase()).collect();
        names.sort_unstable();
        let expected = ["content-length", "content-type", "date", "x-amz-id-2", "x-amzn-requestid"];
        assert_eq!(names, expected, "{target}");
    }
}

#[test]
fn preflight_echoes_what_was_asked() {
    let headers = "Origin: http://a\r\nAccess-Control-Request-Headers: x, y\r\n\
                   Access-Control-Request-Method: POST\r\nContent-Type: text/plain\r\n";
    let reply = Both::start().send(request("OPTIONS", headers, ""));
    reply.assert(200, None, "");
    assert_eq!(reply.header("content-length"), Some("0"));
    assert!(reply.header("x-amzn-requestid").is_some());
    assert_eq!(reply.header("x-amz-id-2"), None);
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(reply.header("access-control-allow-headers"), Some("x, y"));
    assert_eq!(reply.header("access-control-allow-methods"), Some("POST"));
    assert_eq!(reply.header("access-control-max-age"), Some("172800"));
    assert_eq!(reply.header("access-control-expose-headers"), None);
}

#[test]
fn answers_to_an_origin_expose_headers() {
    let reply = Both::start().send(request("POST", "Origin: http://a\r\n", ""));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    let exposed = "x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,\
                   x-amzn-ErrorMessage,Date";
    assert_eq!(reply.header("access-control-expose-headers"), Some(exposed));
    assert_eq!(reply.header("access-control-max-age"), None);
}

#[test]
fn other_methods_are_denied_in_xml() {
    let server = Both::start();
    for method in ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "X"] {
        let headers = format!("Content-Type: {JSON}\r\nX-Amz-Target: Fake.Echo\r\n");
        let reply = server.send(request(method, &headers, "{}"));
        reply.assert(403, None, DENIED);
        reply.assert_ids();
    }
}

#[test]
fn empty_body_is_answered_before_content_type_and_authentication() {
    let server = Both::start();
    for (content_type, target, name) in [
        (JSON, "Fake.Echo", "SerializationException"),
        (JSON, "Fake.Unknown", "UnknownOperationException"),
        (JSON, "", "UnknownOperationException"),
    ] {
        let headers = format!("Content-Type: {content_type}\r\nX-Amz-Target: {target}\r\n");
        server.send(request("POST", &headers, "")).assert(400, Some(JSON), error(name));
    }
    for (content_type, target, name) in [
        (CBOR, "Fake.Echo", "SerializationException"),
        (CBOR, "Fake.Unknown", "UnknownOperationException"),
        ("text/plain", "Fake.Echo", "SerializationException"),
        ("application/json", "Fake.Echo", "SerializationException"),
        ("", "Fake.Unknown", "UnknownOperationException"),
    ] {
        let headers = format!("Content-Type: {content_type}\r\nX-Amz-Target: {target}\r\n");
        server.send(request("POST", &headers, "")).assert(400, Some(CBOR), cbor_error(name));
    }
}

#[test]
fn unsupported_content_type_is_told_by_the_form_of_the_target() {
    let server = Both::start();
    for target in ["Fake.Echo", "Some.Thing"] {
        let reply = server.post("application/x-amz-json-1.0", target, "{}");
        reply.assert(404, None, "<UnknownOperationException/>\n");
    }
    for target in ["", "Echo", ".Echo", "Fake."] {
        server.post("text/plain", target, "{}").assert(403, None, DENIED);
    }
}

#[test]
fn bodies_that_are_no_maps_are_refused_before_target_and_authentication() {
    let server = Both::start();
    for body in ["{", "[]", "null", "1", "\"a\"", "{} x"] {
        let headers = format!("Content-Type: {JSON}\r\nX-Amz-Target: Fake.Unknown\r\n");
        let reply = server.send(request("POST", &headers, body));
        reply.assert(400, Some(JSON), error("SerializationException"));
    }
    for body in [&b"\xbf"[..], b"\x80", b"\xf6", b"\xa1\x61"] {
        let headers = format!("Content-Type: {CBOR}\r\nX-Amz-Target: Fake.Echo\r\n");
        let reply = server.send(request("POST", &headers, body));
        reply.assert(400, Some(CBOR), cbor_error("SerializationException"));
    }
}

#[test]
fn plain_json_never_works() {
    let server = Both::start();
    let wrapped = |name: &str| {
        format!(r#"{{"Output":{{"__type":"com.amazon.coral.service#{name}"}},"Version":"1.0"}}"#)
    };
    let plain = "application/json";
    for given in [plain, "application/json; charset=utf-8", " application/json ; x"] {
        for target in ["Fake.Echo", "Fake.Unknown", ""] {
            let good = server.post(given, target, "{}");
            good.assert(404, Some(plain), wrapped("UnknownOperationException"));
            let bad = server.post(given, target, "{");
            bad.assert(400, Some(plain), wrapped("SerializationException"));
        }
    }
}

#[test]
fn unknown_operation_is_refused_before_authentication() {
    let server = Both::start();
    for target in ["Fake.Unknown", "Other.Echo", "Fake.echo", "Echo", ""] {
        let headers = format!("Content-Type: {JSON}\r\nX-Amz-Target: {target}\r\n");
        let reply = server.send(request("POST", &headers, "{}"));
        reply.assert(400, Some(JSON), error("UnknownOperationException"));
        reply.assert_ids();
    }
}

#[test]
fn missing_authentication_is_refused_in_the_encoding_of_the_request() {
    let server = Both::start();
    let expected = r#"{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}"#;
    let headers = format!("Content-Type: {JSON}\r\nX-Amz-Target: Fake.Echo\r\n");
    server.send(request("POST", &headers, "{}")).assert(400, Some(JSON), expected);
    let entries = [
        ("__type", "MissingAuthenticationTokenException"),
        ("message", "Missing Authentication Token"),
    ];
    let headers = format!("Content-Type: {CBOR}\r\nX-Amz-Target: Fake.Echo\r\n");
    let reply = server.send(request("POST", &headers, EMPTY_MAP));
    reply.assert(400, Some(CBOR), cbor_map(&entries));
}

#[test]
fn exceptions_of_operations_are_answered_in_the_encoding_of_the_request() {
    let server = Both::start();
    let expected = r#"{"__type":"LimitExceededException","message":"no"}"#;
    server.post(JSON, "Fake.Fail", "{}").assert(400, Some(JSON), expected);
    let expected = cbor_map(&[("__type", "LimitExceededException"), ("message", "no")]);
    server.post(CBOR, "Fake.Fail", EMPTY_MAP).assert(400, Some(CBOR), expected);
}

#[test]
fn panic_answers_500_is_counted_and_leaves_the_worker_alive() {
    let server = Server::start();
    let mut client = server.connect();
    for target in ["Fake.Panic", "Fake.Echo"] {
        let headers = format!("Content-Type: {JSON}\r\nX-Amz-Target: {target}\r\n{SIGNED}");
        client.write(request("POST", &headers, "{}"));
    }
    client.reply().assert(500, Some(JSON), error("InternalFailure"));
    client.reply().assert(200, Some(JSON), "{}");
    assert_eq!(server.metrics.panics.get(), 1);
}

#[test]
fn pages_of_operators_are_not_on_the_service_port() {
    let server = Both::start();
    for path in ["/health", "/metrics", "/_kinelog/health"] {
        let head = format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
        server.send(head).assert(403, None, DENIED);
    }
}

/// A request that fails at every step, and then at one step less each time, from the first on.
#[test]
fn each_step_comes_before_the_ones_below_it() {
    let server = Both::with_bounds(Bounds { json_body_bytes_max: 9, ..Bounds::default() });
    let types = |content_type: &str| format!("Content-Type: {content_type}\r\n");
    let origin = "Origin: http://a\r\n";
    let asked = "Access-Control-Request-Method: POST\r\n";
    for encoding in [JSON, CBOR] {
        let (bad, good, answer) = match encoding {
            JSON => (&b"[]"[..], &b"{}"[..], &b"{}"[..]),
            _ => (&b"\x80"[..], &b"\xa0"[..], EMPTY_MAP),
        };
        let in_encoding = |name: &str| match encoding {
            JSON => error(name).into_bytes(),
            _ => cbor_error(name),
        };
        let plain = types("text/plain");
        let target = |target: &str| format!("{}X-Amz-Target: {target}\r\n", types(encoding));
        let unknown = target("Fake.Unknown");
        let echo = target("Fake.Echo");
        let missing = match encoding {
            JSON => br#"{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}"#.to_vec(),
            _ => cbor_map(&[
                ("__type", "MissingAuthenticationTokenException"),
                ("message", "Missing Authentication Token"),
            ]),
        };
        for (method, headers, body, status, expected) in [
            ("OPTIONS", format!("{origin}{asked}{plain}"), &b"0123456789"[..], 413, vec![]),
            ("OPTIONS", format!("{origin}{asked}{plain}"), b"", 200, vec![]),
            ("OPTIONS", plain.clone(), b"", 403, DENIED.into()),
            ("POST", plain.clone(), b"", 400, cbor_error("UnknownOperationException")),
            ("POST", plain, b"x", 403, DENIED.into()),
            ("POST", types(encoding), bad, 400, in_encoding("SerializationException")),
            ("POST", unknown, good, 400, in_encoding("UnknownOperationException")),
            ("POST", echo.clone(), good, 400, missing),
            ("POST", format!("{echo}{SIGNED}"), good, 200, answer.to_vec()),
        ] {
            let reply = server.send(request(method, &headers, body));
            assert_eq!((reply.status(), &reply.body), (status, &expected), "{method} {headers}");
        }
    }
}

#[test]
fn an_answer_that_is_cut_ends_the_connection_without_a_byte() {
    let server = Server::start();
    let mut client = server.connect();
    let headers = format!("Content-Type: {JSON}\r\nX-Amz-Target: Fake.Cut\r\n{SIGNED}");
    client.write(request("POST", &headers, "{}"));
    assert!(client.is_closed());
}
