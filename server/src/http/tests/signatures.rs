//! The service's table of signature checks, row by row on the wire, in both encodings; what the
//! checks look at in detail stands with them.

use super::both::Both;
use super::*;

const HEADER: &str = "AWS4-HMAC-SHA256 \
                      Credential=AKIDEXAMPLE/20231114/us-east-1/kinesis/aws4_request, \
                      SignedHeaders=host;x-amz-date, Signature=00";
const DATE: &str = "20231114T221320Z";
const QUERY: &str = "X-Amz-Algorithm=AWS4-HMAC-SHA256\
                     &X-Amz-Credential=AKIDEXAMPLE%2F20231114%2Fus-east-1%2Fkinesis%2Faws4_request\
                     &X-Amz-Date=20231114T221320Z&X-Amz-SignedHeaders=host&X-Amz-Signature=00";

/// How a request is signed: query, `Authorization` and `X-Amz-Date`; empty ones are left out.
#[derive(Clone, Copy, Debug)]
struct Signed<'a>(&'a str, &'a str, &'a str);

fn ask(server: &Both, content_type: &str, signed: Signed<'_>, body: &[u8]) -> Reply {
    let Signed(query, authorization, date) = signed;
    let length = body.len();
    let given = [("Authorization", authorization), ("X-Amz-Date", date)].into_iter();
    let given = given.filter(|(_, value)| !value.is_empty());
    let lines: Vec<_> = given.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "POST /?{query} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\
         Content-Type: {content_type}\r\nX-Amz-Target: Fake.Echo\r\n{}",
        lines.concat()
    );
    server.send([head.as_bytes(), b"\r\n", body].concat())
}

fn assert_refused(server: &Both, signed: Signed<'_>, kind: &str, message: &str) {
    let expected = serde_json::json!({"__type": kind, "message": message}).to_string();
    let reply = ask(server, JSON, signed, b"{}");
    reply.assert(400, Some(JSON), expected);
    reply.assert_ids();
    let expected = cbor_map(&[("__type", kind), ("message", message)]);
    let reply = ask(server, CBOR, signed, b"\xbf\xff");
    reply.assert(400, Some(CBOR), expected);
    reply.assert_ids();
}

#[test]
fn both_forms_of_a_signature_pass() {
    let server = Both::start();
    for signed in [Signed("", HEADER, DATE), Signed(QUERY, "", "")] {
        ask(&server, JSON, signed, b"{}").assert(200, Some(JSON), "{}");
        ask(&server, CBOR, signed, b"\xbf\xff").assert(200, Some(CBOR), b"\xbf\xff");
    }
}

#[test]
fn signature_in_header_and_query() {
    let message = "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as \
                   HTTP header.";
    let signed = Signed("X-Amz-Algorithm=x", "x", "");
    assert_refused(&Both::start(), signed, "InvalidSignatureException", message);
}

#[test]
fn no_signature() {
    let kind = "MissingAuthenticationTokenException";
    let server = Both::start();
    for signed in [Signed("", "", ""), Signed("", "", DATE), Signed("X-Amz-Signature=0", "", "")] {
        assert_refused(&server, signed, kind, "Missing Authentication Token");
    }
}

#[test]
fn header_with_missing_parts() {
    let server = Both::start();
    let kind = "IncompleteSignatureException";
    let credential = "Authorization header requires 'Credential' parameter. ";
    let signature = "Authorization header requires 'Signature' parameter. ";
    let signed_headers = "Authorization header requires 'SignedHeaders' parameter. ";
    let date = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' \
                header. ";
    for (header, at, sentences) in [
        ("AWS4-HMAC-SHA256", "", &[credential, signature, signed_headers, date][..]),
        ("AWS4-HMAC-SHA256 SignedHeaders=host, Signature=0", DATE, &[credential]),
        ("AWS4-HMAC-SHA256 Credential=a,SignedHeaders=host", DATE, &[signature]),
        ("AWS4-HMAC-SHA256 Credential=a Signature=0", DATE, &[signed_headers]),
        (HEADER, "", &[date]),
    ] {
        let message = format!("{}Authorization={header}", sentences.concat());
        assert_refused(&server, Signed("", header, at), kind, &message);
    }
}

#[test]
fn query_with_missing_parts() {
    let server = Both::start();
    let parts = ["Algorithm", "Credential", "Signature", "SignedHeaders", "Date"];
    let sentence =
        |part: &str| format!("AWS query-string parameters must include 'X-Amz-{part}'. ");
    let all = parts.map(sentence).concat() + "Re-examine the query-string parameters.";
    let kind = "IncompleteSignatureException";
    assert_refused(&server, Signed("X-Amz-Algorithm=", "", ""), kind, &all);
    for part in parts {
        let name = format!("X-Amz-{part}=");
        let query: Vec<_> = QUERY
            .split('&')
            .map(|given| if given.starts_with(&name) { name.as_str() } else { given })
            .collect();
        let message = sentence(part) + "Re-examine the query-string parameters.";
        assert_refused(&server, Signed(&query.join("&"), "", ""), kind, &message);
    }
}

#[test]
fn date_in_another_format() {
    let message = "Date must be in ISO-8601 'basic format'. Got '2023-11-14T22:13:20Z'. \
                   See http://en.wikipedia.org/wiki/ISO_8601";
    let signed = Signed("", HEADER, "2023-11-14T22:13:20Z");
    assert_refused(&Both::start(), signed, "IncompleteSignatureException", message);
}

#[test]
fn date_too_old() {
    let message = "Signature expired: 20231114T220819Z is now earlier than 20231114T220820Z \
                   (20231114T221320Z - 5 min.)";
    let signed = Signed("", HEADER, "20231114T220819Z");
    assert_refused(&Both::start(), signed, "InvalidSignatureException", message);
}

#[test]
fn date_in_the_future() {
    let message = "Signature not yet current: 20231114T221821Z is still later than \
                   20231114T221820Z (20231114T221320Z + 5 min.)";
    let signed = Signed("", HEADER, "20231114T221821Z");
    assert_refused(&Both::start(), signed, "InvalidSignatureException", message);
}

#[test]
fn host_not_signed() {
    let message = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
    let header = HEADER.replace("host;", "");
    let signed = Signed("", &header, DATE);
    assert_refused(&Both::start(), signed, "InvalidSignatureException", message);
}

#[test]
fn other_algorithm() {
    let header = HEADER.replace("SHA256", "SHA1");
    let message = "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1'";
    let signed = Signed("", &header, DATE);
    assert_refused(&Both::start(), signed, "IncompleteSignatureException", message);
}

#[test]
fn credential_of_another_shape() {
    let header = HEADER.replace("/aws4_request", "");
    let message = "Credential must have exactly 5 slash-delimited elements, e.g. \
                   keyid/date/region/service/term, got 'AKIDEXAMPLE/20231114/us-east-1/kinesis'";
    let signed = Signed("", &header, DATE);
    assert_refused(&Both::start(), signed, "IncompleteSignatureException", message);
}

#[test]
fn credential_of_another_scope() {
    let server = Both::start();
    let region = "Credential should be scoped to a valid region, not '!'.";
    let service = "Credential should be scoped to correct service: 'kinesis'.";
    let terminator =
        "Credential should be scoped with a valid terminator: 'aws4_request', not 'end'.";
    let date = "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date \
                from HTTP: '20231113' != '20231114', from '20231114T221320Z'.";
    for (scope, message) in [
        ("20231114/!/kinesis/aws4_request", region.to_owned()),
        ("20231114/us-east-1/dynamodb/aws4_request", service.to_owned()),
        ("20231114/us-east-1/kinesis/end", terminator.to_owned()),
        ("20231113/us-east-1/kinesis/aws4_request", date.to_owned()),
        ("20231113/!/s3/end", [region, service, terminator, date].join(" ")),
    ] {
        let header = HEADER.replace("20231114/us-east-1/kinesis/aws4_request", scope);
        let signed = Signed("", &header, DATE);
        assert_refused(&server, signed, "InvalidSignatureException", &message);
    }
}

#[test]
fn each_check_comes_before_the_ones_below_it() {
    let server = Both::start();
    // All that can be wrong at once, then one thing less each time, from the top.
    let mut header =
        "AWS4-HMAC-SHA1 Credential=a/b/!/s3/x/y, SignedHeaders=date, Signature=00".to_owned();
    let mut date = "yesterday";
    let mut first_words = Vec::new();
    for repair in ["date", "time", "host", "algorithm", "shape", "scope"] {
        let reply = ask(&server, JSON, Signed("", &header, date), b"{}");
        let body: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        let message = body["message"].as_str().unwrap();
        first_words.push(message.split(' ').take(2).collect::<Vec<_>>().join(" "));
        match repair {
            "date" => date = "20200101T000000Z",
            "time" => date = DATE,
            "host" => header = header.replace("=date", "=host"),
            "algorithm" => header = header.replace("SHA1", "SHA256"),
            "shape" => header = header.replace("/x/y", "/x"),
            _ => header = HEADER.to_owned(),
        }
    }
    let expected = [
        "Date must",
        "Signature expired:",
        "'Host' or",
        "Unsupported AWS",
        "Credential must",
        "Credential should",
    ];
    assert_eq!(first_words, expected);
    ask(&server, JSON, Signed("", &header, date), b"{}").assert(200, Some(JSON), "{}");
}
