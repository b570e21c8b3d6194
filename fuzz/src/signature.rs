//! `sigv4_header` and `sigv4_canonical`: who is let in agrees with a naive reading of the rules, and a
//! signed request carries the signature that an independent signer gives it.

use hmac::{Hmac, KeyInit, Mac};
use hyper::Request;
use hyper::header::{HeaderName, HeaderValue};
use hyper::http::request::Parts;
use kinelog::aws::basic_date;
use kinelog::aws::sigv4::signing::{Credentials, Signer, hash};
use kinelog::aws::sigv4::{Principal, authenticate};
use sha2::{Digest, Sha256};

use crate::Seed;
use crate::choices::Choices;

/// 2025-12-03 18:48:54 UTC.
const NOW: u64 = 1_764_787_734;
const SKEW: u64 = 300;

/// The target of the header: lines of a head, the first one a path with its query.
pub fn run_header(data: &[u8]) {
    let Some(head) = head(data) else { return };
    let found = authenticate(&head, NOW, SKEW);
    let expected = expected(&head);
    let who = |it: &Principal| (it.access_key().to_owned(), it.region().to_owned());
    assert_eq!(found.as_ref().ok().map(who), expected, "{found:?} {head:?}");
    if let Err(refused) = found {
        assert_eq!(refused.kind.status(), 400, "{refused}");
        assert!(refused.message.is_some());
    }
}

fn head(data: &[u8]) -> Option<Parts> {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut head = Request::post(lines.next()?).body(()).ok()?.into_parts().0;
    for line in lines {
        let at = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..at]).ok()?;
        let value = HeaderValue::from_bytes(line[at + 1..].trim_ascii()).ok()?;
        head.headers.append(name, value);
    }
    Some(head)
}

/// Access key and region of whoever is let in.
fn expected(head: &Parts) -> Option<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let query: Vec<_> = head.uri.query().unwrap_or("").split('&').map(pair).collect();
    let of_query = |name: &str| query.iter().find(|it| it.0 == name).map(|it| it.1.clone());
    let mut headers = head.headers.get_all("authorization").iter();
    let (algorithm, credential, signature, names, date, age);
    if let Some(named) = of_query("X-Amz-Algorithm") {
        if headers.next().is_some() {
            return None;
        }
        let of_query = |name| of_query(name).unwrap_or_default();
        algorithm = named;
        credential = of_query("X-Amz-Credential");
        signature = of_query("X-Amz-Signature");
        names = of_query("X-Amz-SignedHeaders");
        date = of_query("X-Amz-Date");
        let expires = query.iter().find(|it| it.0 == "X-Amz-Expires");
        age = match expires {
            Some((_, text)) => text.parse().ok().filter(|age| (1..=604_800).contains(age))?,
            None => SKEW,
        };
    } else {
        let header = text(headers.next()?);
        if headers.next().is_some() {
            return None;
        }
        let words: Vec<_> = header.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        let last = |name: &str| {
            let found = words.iter().skip(1).filter_map(|word| word.strip_prefix(name));
            found.filter_map(|rest| rest.strip_prefix('=')).next_back().unwrap_or("").to_owned()
        };
        algorithm = (*words.first()?).to_owned();
        (credential, signature, names) =
            (last("Credential"), last("Signature"), last("SignedHeaders"));
        let header = |name| head.headers.get(name).map(text).filter(|text| !text.is_empty());
        date = header("x-amz-date").or_else(|| header("date"))?;
        age = SKEW;
    }
    let is_host = |name: &str| ["host", ":authority"].contains(&&*name.to_ascii_lowercase());
    let elements: Vec<_> = credential.split('/').collect();
    let [key, day, region, "kinesis", "aws4_request"] = elements[..] else { return None };
    // The form of HTTP is read by a crate that both sides use; it is told here by its first letter.
    let seconds = match date.bytes().next()? {
        b'0'..=b'9' => seconds(&date)?,
        _ => return authenticate_http_date(head),
    };
    let is_right = algorithm == "AWS4-HMAC-SHA256"
        && !signature.is_empty()
        && names.split(';').any(is_host)
        && seconds <= NOW + SKEW
        && seconds >= NOW.saturating_sub(age)
        && day == &date[..8]
        && (1..=64).contains(&region.len())
        && region.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_');
    is_right.then(|| (key.to_owned(), region.to_owned()))
}

/// A date in the form of HTTP is as good as the same one in basic form.
fn authenticate_http_date(head: &Parts) -> Option<(String, String)> {
    if head.headers.get("x-amz-date").is_some_and(|value| !value.is_empty()) {
        return None;
    }
    let found = authenticate(head, NOW, SKEW).ok()?;
    Some((found.access_key().to_owned(), found.region().to_owned()))
}

/// Seconds of `YYYYMMDDThhmmssZ`, by counting days.
fn seconds(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| {
        bytes[range].iter().try_fold(0, |number, byte| {
            byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0'))
        })
    };
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let (year, month, day) = (digits(0..4)?, digits(4..6)?, digits(6..8)?);
    let (hour, minute, second) = (digits(9..11)?, digits(11..13)?, digits(13..15)?);
    let leap = |year: u64| {
        let each = |years| year.is_multiple_of(years);
        each(4) && !each(100) || each(400)
    };
    let length = |year, month| match month {
        2 => 28 + u64::from(leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    let exists = year >= 1970
        && (1..=12).contains(&month)
        && (1..=length(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let years = || (1970..year).map(|year| 365 + u64::from(leap(year))).sum::<u64>();
    let months = || (1..month).map(|month| length(year, month)).sum::<u64>();
    exists.then(|| (((years() + months() + day - 1) * 24 + hour) * 60 + minute) * 60 + second)
}

fn pair(parameter: &str) -> (String, String) {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    (decoded(name), decoded(value))
}

fn decoded(text: &str) -> String {
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        let code = digit(0).zip(digit(1)).filter(|_| *byte == b'%');
        let code = code.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        out.push(code.unwrap_or(*byte));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The target of the signature: credentials, a path, a query, headers and a body.
pub fn run_canonical(data: &[u8]) {
    let mut choices = Choices::new(data);
    let credentials = Credentials {
        access_key: plain(choices.bytes()),
        secret_key: choices.text(),
        session_token: choices.is().then(|| plain(choices.bytes())),
    };
    let signer = Signer { credentials, region: plain(choices.bytes()), service: "kinesis" };
    let now = choices.number() % 253_402_300_800;
    let path = format!("/{}", plain(choices.bytes()));
    let query: Vec<_> = (0..choices.below(5))
        .map(|_| (plain(choices.bytes()), plain(choices.bytes())))
        .filter(|(name, _)| !name.is_empty())
        .collect();
    let mut headers = vec![("host".to_owned(), "h".to_owned())];
    for _ in 0..choices.below(6) {
        let value = choices.bytes().iter().filter(|byte| (0x20..0x7f).contains(*byte));
        let value = value.map(|byte| char::from(*byte)).collect::<String>();
        let name = ["x-a", "x-amz-target", "content-type", "x-b"][choices.below(4)];
        headers.push((name.to_owned(), value));
    }
    let body = choices.rest();
    let mut uri = path.clone();
    for (place, (name, value)) in query.iter().enumerate() {
        uri.push(if place == 0 { '?' } else { '&' });
        uri += &format!("{name}={value}");
    }
    let mut request = Request::post(uri).body(()).expect("its parts are plain").into_parts().0;
    for (name, value) in &headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("it is one of four");
        request.headers.append(name, HeaderValue::from_str(value).expect("it is printable"));
    }
    signer.sign(&mut request, &hash(body), now).expect("all that is signed is plain");
    let found = request.headers["authorization"].to_str().expect("it is printable");
    assert_eq!(found, authorization(&signer, now, &path, query, headers, body));
}

/// Letters that stand for themselves in a path.
fn plain(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    let letter = |byte: &u8| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]);
    bytes.iter().map(letter).collect()
}

/// Signs by the published steps, from the parts.
fn authorization(
    signer: &Signer,
    now: u64,
    path: &str,
    mut query: Vec<(String, String)>,
    mut headers: Vec<(String, String)>,
    body: &[u8],
) -> String {
    let date = basic_date::format(now);
    let day = &date[..8];
    headers.push(("x-amz-date".to_owned(), date.clone()));
    if let Some(token) = &signer.credentials.session_token {
        headers.push(("x-amz-security-token".to_owned(), token.clone()));
    }
    headers.sort_by(|one, other| one.0.cmp(&other.0));
    query.sort();
    let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let mut lines: Vec<(String, String)> = Vec::new();
    for (name, value) in headers {
        let words: Vec<_> = value.split(' ').filter(|word| !word.is_empty()).collect();
        match lines.last_mut().filter(|(last, _)| *last == name) {
            Some((_, joined)) => *joined += &format!(",{}", words.join(" ")),
            None => lines.push((name, words.join(" "))),
        }
    }
    let names: Vec<_> = lines.iter().map(|(name, _)| name.as_str()).collect();
    let names = names.join(";");
    let mut canonical = format!("POST\n{path}\n{}\n", query.join("&"));
    for (name, value) in &lines {
        canonical += &format!("{name}:{value}\n");
    }
    canonical += &format!("\n{names}\n{}", hex(&Sha256::digest(body)));
    let scope = format!("{day}/{}/kinesis/aws4_request", signer.region);
    let hashed = hex(&Sha256::digest(canonical.as_bytes()));
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}");
    let mut key = format!("AWS4{}", signer.credentials.secret_key).into_bytes();
    for part in [day, &signer.region, "kinesis", "aws4_request", &to_sign] {
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("any key will do");
        mac.update(part.as_bytes());
        key = mac.finalize().into_bytes().to_vec();
    }
    format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
        signer.credentials.access_key,
        hex(&key)
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Heads signed in the header and in the query, by both kinds of date, and with faults.
pub fn header_seeds() -> Vec<Seed> {
    let scope = "AKID/20251203/us-east-1/kinesis/aws4_request";
    let header = format!(
        "Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature=0f"
    );
    let query = format!(
        "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={}&X-Amz-Date=20251203T184854Z\
         &X-Amz-Expires=600&X-Amz-SignedHeaders=host&X-Amz-Signature=0f",
        scope.replace('/', "%2F")
    );
    let date = "X-Amz-Date: 20251203T184854Z";
    let http = "Date: Wed, 03 Dec 2025 18:48:54 GMT";
    vec![
        ("header", format!("/\n{date}\n{header}").into()),
        ("http-date", format!("/\n{http}\n{header}").into()),
        ("query", query.clone().into()),
        ("both", format!("{query}\n{header}").into()),
        ("twice", format!("/\n{date}\n{header}\n{header}").into()),
        ("scope", format!("/\n{date}\n{}", header.replace("kinesis", "s3")).into()),
        ("old", format!("/\nX-Amz-Date: 20251203T180000Z\n{header}").into()),
        ("bare", b"/".to_vec()),
    ]
}

/// A request with all parts, and one with few.
pub fn canonical_seeds() -> Vec<Seed> {
    let all = b"\x04AKID\x06secret\x01\x05token\x09us-east-1\x16\x8a\x30\x69\0\0\0\0\x03a/b\
        \x03\x01a\x011\x03a-b\x012\x01a\x010\x03\x07  a   b\x00\x01c\x00\x01d\x01{}";
    vec![("all", all.to_vec()), ("few", b"\x01a\x01b".to_vec())]
}
