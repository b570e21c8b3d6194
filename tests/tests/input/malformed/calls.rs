//! Requests that HTTP has nothing against, and that are no calls: no target, or nobody's.

use kinelog_tests::raw::{self, CBOR, JSON};

use super::{Bad, record};

pub(super) fn all() -> Vec<Bad> {
    [target(), auth()].into_iter().flatten().collect()
}

fn target() -> Vec<Bad> {
    let mut all = Vec::new();
    for target in [
        "",
        " ",
        ".",
        "PutRecord",
        "Kinesis_20131202",
        "Kinesis_20131202.",
        ".PutRecord",
        "Kinesis_20131202.Nothing",
        "Kinesis_20131202.putRecord",
        "kinesis_20131202.PutRecord",
        "Kinesis_20131202.PutRecord.PutRecord",
        "Kinesis_20131202..PutRecord",
        "Kinesis_20131202. PutRecord",
        "Kinesis_20131202.PutRecord,Kinesis_20131202.PutRecord",
        "Kinesis_20131202/PutRecord",
        "Kinesis_20131202#PutRecord",
        "DynamoDB_20120810.PutItem",
        "Kinesis_20131202.../PutRecord",
        "Kinesis_20131202.PutRecord%00",
        "Kinesis_20131202.PutRecord;",
        "\u{e9}",
        "Firehose_20150804.PutRecord",
    ] {
        for media in [JSON, CBOR] {
            let headers = raw::headers("PutRecord").replace("Kinesis_20131202.PutRecord", target);
            let bytes = raw::request(&headers.replace(JSON, media), record());
            all.push(Bad::whole("target", format!("{target:?} {media}"), bytes));
        }
    }
    for media in [
        "",
        "text/plain",
        "application/json",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "application/x-amz-json-1.9",
        "application/x-amz-jso",
        "*/*",
        "\u{e9}",
        "application/octet-stream",
    ] {
        let bytes = raw::request(&raw::headers("PutRecord").replace(JSON, media), record());
        all.push(Bad::whole("target", format!("media type {media:?}"), bytes));
    }
    for method in
        ["GET", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "post", "PRI", "X", "POSTPOST"]
    {
        let bytes = raw::call("PutRecord", record());
        let bytes = [method.as_bytes(), &bytes["POST".len()..]].concat();
        all.push(Bad::whole("target", format!("method {method}"), bytes));
    }
    let without = raw::headers("PutRecord").replace("X-Amz-Target", "X-Amz-Tarkey");
    all.push(Bad::whole("target", "no target", raw::request(&without, record())));
    let encoded = format!("{}Content-Encoding: gzip\r\n", raw::headers("PutRecord"));
    all.push(Bad::whole(
        "target",
        "a body said to be compressed",
        raw::request(&encoded, record()),
    ));
    all
}

/// What becomes of the `Authorization` of a good call.
type Change = (&'static str, &'static str);

fn auth() -> Vec<Bad> {
    let changes: &[Change] = &[
        ("AWS4-HMAC-SHA256", ""),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA512"),
        ("AWS4-HMAC-SHA256", "AWS4-"),
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        ("AWS4-HMAC-SHA256", "Basic"),
        ("AWS4-HMAC-SHA256", "Bearer"),
        ("AWS4-HMAC-SHA256", "aws4-hmac-sha256"),
        ("Credential=", "Cred="),
        ("Credential=", "Credential"),
        ("Credential=AKIDEXAMPLE/", "Credential="),
        ("Credential=AKIDEXAMPLE/", "Credential=AKIDEXAMPLE//"),
        ("AKIDEXAMPLE", "\u{e9}/x"),
        ("/us-east-1/", "/"),
        ("/us-east-1/", "//"),
        ("/us-east-1/", "/us east 1/"),
        ("/us-east-1/", "/../../"),
        ("/us-east-1/", "/us-east-1/us-east-1/"),
        ("/kinesis/", "/dynamodb/"),
        ("/kinesis/", "//"),
        ("/kinesis/", "/Kinesis/"),
        ("aws4_request", "aws5_request"),
        ("aws4_request", ""),
        ("/aws4_request", ""),
        ("aws4_request", "aws4_request/x"),
        ("SignedHeaders=host;x-amz-date, ", ""),
        ("SignedHeaders=host;x-amz-date", "SignedHeaders="),
        ("SignedHeaders=host;x-amz-date", "SignedHeaders=x-amz-date"),
        ("SignedHeaders", "Signedheaders"),
        ("SignedHeaders=host;x-amz-date", "SignedHeaders=;;;"),
        ("Signature=00", ""),
        ("Signature=00", "Signature="),
        ("Signature=00", "Sig=00"),
        ("X-Amz-Date: 2", "X-Amz-Date: 1"),
        ("X-Amz-Date: 2", "X-Amz-Date: x2"),
        ("X-Amz-Date: 20", "X-Amz-Date: 99"),
        ("X-Amz-Date: 20", "X-Amz-Date: -20"),
        ("X-Amz-Date: 20", "X-Amz-Date: "),
        ("X-Amz-Date", "X-Amz-Dote"),
        ("Z\r\n", "\r\n"),
        ("Z\r\n", "ZZ\r\n"),
        ("Authorization", "Authorisation"),
        ("Authorization: ", "Authorization: x\r\nAuthorization: "),
        ("Authorization: ", "Authorization: ,,,=,=;"),
        ("Authorization: AWS4-HMAC-SHA256", "Authorization:"),
    ];
    let good = raw::headers("PutRecord");
    let mut all = Vec::new();
    for (from, to) in changes {
        assert!(good.contains(from), "{from}");
        let bytes = raw::request(&good.replacen(from, to, 1), record());
        all.push(Bad::whole("auth", format!("{from:?} becomes {to:?}"), bytes));
    }
    for query in [
        "X-Amz-Algorithm=AWS4-HMAC-SHA256",
        "X-Amz-Algorithm=",
        "X-Amz-Algorithm=x&X-Amz-Algorithm=y",
        "X-Amz-Algorithm=%00%ff",
    ] {
        let bytes = String::from_utf8(raw::call("PutRecord", record())).unwrap();
        let both = bytes.replacen("POST / ", &format!("POST /?{query} "), 1);
        let alone = both.replacen("Authorization", "X-Nothing", 1);
        all.push(Bad::whole("auth", format!("header and query {query}"), both.into_bytes()));
        all.push(Bad::whole("auth", format!("query {query}"), alone.into_bytes()));
    }
    all
}
