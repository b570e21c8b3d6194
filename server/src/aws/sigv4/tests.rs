//! Each row of the service's table of signature checks, in the header and in the query.

use hyper::Request;
use proptest::prelude::*;

use super::*;

/// 2015-12-10 01:59:39 UTC.
const NOW: u64 = 1_449_712_779;
const SKEW: u64 = 300;
const DATE_TEXT: &str = "20151210T015939Z";
const CREDENTIAL: &str = "AKID/20151210/eu-west-1/kinesis/aws4_request";

/// Authenticates a request with these headers and query.
fn check(query: &str, headers: &[(&str, &str)]) -> Result<Principal, Exception> {
    let mut request = Request::post(format!("/?{query}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    authenticate(&request.body(()).unwrap().into_parts().0, NOW, SKEW)
}

fn authorization(credential: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host;x-amz-date, Signature=ab")
}

/// Authenticates a request signed in the header.
fn check_header(authorization: &str, date: &str) -> Result<Principal, Exception> {
    check("", &[("Authorization", authorization), ("X-Amz-Date", date)])
}

fn check_credential(credential: &str) -> Result<Principal, Exception> {
    check_header(&authorization(credential), DATE_TEXT)
}

fn refused(kind: Kind, message: &str) -> Result<Principal, Exception> {
    Err(Exception::new(kind, message.to_owned()))
}

fn principal() -> Principal {
    Principal { access_key: "AKID".to_owned(), region: "eu-west-1".to_owned() }
}

#[test]
fn a_well_formed_header_is_accepted() {
    assert_eq!(check_credential(CREDENTIAL), Ok(principal()));
    let packed =
        format!("AWS4-HMAC-SHA256 Credential={CREDENTIAL},SignedHeaders=:authority,Signature=ab");
    assert_eq!(check_header(&packed, DATE_TEXT), Ok(principal()));
}

#[test]
fn a_well_formed_query_is_accepted() {
    let query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-SignedHeaders=a%3Bhost&X-Amz-Signature=ab\
                 &X-Amz-Date=20151210T015939Z\
                 &X-Amz-Credential=AKID%2F20151210%2Feu-west-1%2fkinesis%2Faws4_request";
    assert_eq!(check(query, &[]), Ok(principal()));
}

#[test]
fn header_and_query_exclude_each_other() {
    let expected = refused(
        Kind::InvalidSignature,
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    );
    assert_eq!(check("X-Amz-Algorithm", &[("Authorization", "x")]), expected);
}

#[test]
fn no_signature_is_a_missing_token() {
    let expected = refused(Kind::MissingAuthenticationToken, "Missing Authentication Token");
    assert_eq!(check("", &[]), expected);
    assert_eq!(check("X-Amz-Credential=x", &[("X-Amz-Date", DATE_TEXT)]), expected);
    assert_eq!(check_header("Bearer abc", DATE_TEXT), expected);
    assert_eq!(check_header("", DATE_TEXT), expected);
}

#[test]
fn a_second_header_is_refused() {
    let header = authorization(CREDENTIAL);
    let headers = [("Authorization", &*header), ("Authorization", &*header), ("Date", DATE_TEXT)];
    assert_eq!(check("", &headers).unwrap_err().kind, Kind::IncompleteSignature);
}

#[test]
fn missing_parts_of_a_header_are_listed() {
    let all = "Authorization header requires 'Credential' parameter. \
               Authorization header requires 'Signature' parameter. \
               Authorization header requires 'SignedHeaders' parameter. \
               Authorization header requires existence of either \
               a 'X-Amz-Date' or a 'Date' header. Authorization=AWS4-x";
    assert_eq!(check("", &[("Authorization", "AWS4-x")]), refused(Kind::IncompleteSignature, all));
    let one = "Authorization header requires 'Signature' parameter. \
               Authorization=AWS4-x Credential=a SignedHeaders=b";
    assert_eq!(
        check_header("AWS4-x Credential=a SignedHeaders=b", DATE_TEXT),
        refused(Kind::IncompleteSignature, one)
    );
}

#[test]
fn missing_parts_of_a_query_are_listed() {
    let expected = "AWS query-string parameters must include 'X-Amz-Algorithm'. \
                    AWS query-string parameters must include 'X-Amz-Credential'. \
                    AWS query-string parameters must include 'X-Amz-Signature'. \
                    AWS query-string parameters must include 'X-Amz-SignedHeaders'. \
                    AWS query-string parameters must include 'X-Amz-Date'. \
                    Re-examine the query-string parameters.";
    assert_eq!(check("X-Amz-Algorithm=", &[]), refused(Kind::IncompleteSignature, expected));
    let expected = "AWS query-string parameters must include 'X-Amz-Date'. \
                    Re-examine the query-string parameters.";
    let query = "X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-SignedHeaders=d";
    assert_eq!(check(query, &[]), refused(Kind::IncompleteSignature, expected));
}

#[test]
fn a_date_header_stands_in_for_the_amz_date() {
    let header = authorization(CREDENTIAL);
    for date in [DATE_TEXT, "Thu, 10 Dec 2015 01:59:39 GMT"] {
        assert_eq!(check("", &[("Authorization", &header), ("Date", date)]), Ok(principal()));
    }
    let headers = [("Authorization", &*header), ("Date", "x"), ("X-Amz-Date", DATE_TEXT)];
    assert_eq!(check("", &headers), Ok(principal()));
    let headers = [("Authorization", &*header), ("Date", DATE_TEXT), ("X-Amz-Date", "")];
    assert_eq!(check("", &headers), Ok(principal()));
}

#[test]
fn other_date_formats_are_refused() {
    for date in
        ["2015-12-10T01:59:39Z", "20151310T015939Z", "1449712779", "Thu, 10 Dec 2015 01:59:39 GMT"]
    {
        let expected = format!(
            "Date must be in ISO-8601 'basic format'. Got '{date}'. \
             See http://en.wikipedia.org/wiki/ISO_8601"
        );
        assert_eq!(
            check_header(&authorization(CREDENTIAL), date),
            refused(Kind::IncompleteSignature, &expected)
        );
    }
}

#[test]
fn dates_outside_the_window_are_refused() {
    let header = authorization(CREDENTIAL);
    assert_eq!(check_header(&header, "20151210T015439Z"), Ok(principal()));
    assert_eq!(check_header(&header, "20151210T020439Z"), Ok(principal()));
    let expired = "Signature expired: 20151210T015438Z is now earlier than 20151210T015439Z \
                   (20151210T015939Z - 5 min.)";
    assert_eq!(check_header(&header, "20151210T015438Z"), refused(Kind::InvalidSignature, expired));
    let early = "Signature not yet current: 20151210T020440Z is still later than \
                 20151210T020439Z (20151210T015939Z + 5 min.)";
    assert_eq!(check_header(&header, "20151210T020440Z"), refused(Kind::InvalidSignature, early));
}

#[test]
fn a_query_may_say_how_long_it_is_valid() {
    let check_expires = |date: &str, expires: &str| {
        check(
            &format!(
                "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-SignedHeaders=host&X-Amz-Signature=ab\
                 &X-Amz-Date={date}&X-Amz-Credential={CREDENTIAL}&X-Amz-Expires={expires}"
            ),
            &[],
        )
    };
    assert_eq!(check_expires("20151210T005939Z", "3600"), Ok(principal()));
    assert_eq!(
        check_expires("20151210T005938Z", "3600"),
        refused(
            Kind::InvalidSignature,
            "Signature expired: 20151210T005938Z is now earlier than 20151210T005939Z \
             (20151210T015939Z - 60 min.)"
        )
    );
    for expires in ["0", "604801", "x", ""] {
        let exception = check_expires(DATE_TEXT, expires).unwrap_err();
        assert_eq!(exception.kind, Kind::IncompleteSignature);
    }
}

#[test]
fn the_host_must_be_signed() {
    let header = format!("AWS4-HMAC-SHA256 Credential={CREDENTIAL} SignedHeaders=date Signature=a");
    let expected = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
    assert_eq!(check_header(&header, DATE_TEXT), refused(Kind::InvalidSignature, expected));
}

#[test]
fn other_algorithms_are_refused() {
    let header = authorization(CREDENTIAL).replace("HMAC-SHA256", "ECDSA-P256-SHA256");
    let expected = "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'";
    assert_eq!(check_header(&header, DATE_TEXT), refused(Kind::IncompleteSignature, expected));
}

#[test]
fn a_credential_has_five_elements() {
    for credential in ["a", "a/b/c/d", "a/b/c/d/e/f", "a/b/c/d/e/f/g"] {
        let expected = format!(
            "Credential must have exactly 5 slash-delimited elements, \
             e.g. keyid/date/region/service/term, got '{credential}'"
        );
        assert_eq!(check_credential(credential), refused(Kind::IncompleteSignature, &expected));
    }
}

#[test]
fn every_wrong_part_of_the_scope_is_told() {
    let expected = "Credential should be scoped to a valid region, not '!'. \
                    Credential should be scoped to correct service: 'kinesis'. \
                    Credential should be scoped with a valid terminator: 'aws4_request', \
                    not 'end'. \
                    Date in Credential scope does not match YYYYMMDD from ISO-8601 version of \
                    date from HTTP: '20151211' != '20151210', from '20151210T015939Z'.";
    assert_eq!(
        check_credential("AKID/20151211/!/s3/end"),
        refused(Kind::InvalidSignature, expected)
    );
    let expected = "Credential should be scoped to a valid region, not ''.";
    assert_eq!(
        check_credential("AKID/20151210//kinesis/aws4_request"),
        refused(Kind::InvalidSignature, expected)
    );
    assert!(check_credential("AKID/20151210/local/kinesis/aws4_request").is_ok());
}

#[test]
fn percent_signs_decode_only_before_two_hex_digits() {
    for (text, expected) in
        [("a%2Fb", "a/b"), ("%", "%"), ("%4", "%4"), ("%+f", "%+f"), ("%zz%41", "%zzA"), ("", "")]
    {
        assert_eq!(percent_decoded(text), expected);
    }
    assert_eq!(percent_decoded("%\u{e9}"), "%\u{e9}");
}

proptest! {
    #[test]
    fn arbitrary_heads_never_panic(
        authorization in "(AWS4-HMAC-SHA256 )?[ -~\u{80}-\u{ff}]{0,40}",
        date in "[ -~]{0,20}",
        query in "[a-zA-Z0-9%&=-]{0,40}",
        now: u64,
        skew: u64,
    ) {
        let request = Request::post(format!("/?{query}"))
            .header("Authorization", authorization.as_bytes())
            .header("X-Amz-Date", date);
        let (head, ()) = request.body(()).unwrap().into_parts();
        drop(authenticate(&head, now, skew));
    }

    #[test]
    fn arbitrary_credentials_and_dates_never_panic(
        credential in "[A-Za-z0-9/]{0,30}",
        date in "[0-9]{8}T[0-9]{6}Z",
        now: u64,
        skew: u64,
    ) {
        let request = Request::post("/")
            .header("Authorization", authorization(&credential))
            .header("X-Amz-Date", date);
        let (head, ()) = request.body(()).unwrap().into_parts();
        drop(authenticate(&head, now, skew));
    }
}
