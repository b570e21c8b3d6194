//! `aws::policy`: whether a text is a policy agrees with a naive model over its JSON, and whether a
//! pattern matches agrees with a naive matcher.

use kinelog::aws::policy::{Effect, Pattern, Policy, Principal};
use serde_json::{Map, Value};

use crate::Seed;
use crate::choices::Choices;

/// The target: a policy's text; and patterns with texts.
pub fn run(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        check(text);
    }
    let mut choices = Choices::new(data);
    let (pattern, text) = (choices.bytes(), choices.rest());
    check_pattern(&letters(pattern), &letters(&text[..text.len().min(64)]));
}

/// Few letters, so that they meet.
fn letters(bytes: &[u8]) -> String {
    let letter = |byte: &u8| char::from(b"*?abAB*?"[usize::from(byte & 7)]);
    bytes.iter().take(24).map(letter).collect()
}

fn check_pattern(pattern: &str, text: &str) {
    let found = Pattern(pattern.to_owned()).matches(text);
    assert_eq!(found, matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
}

/// A table of what is matched so far: slow, but plain.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let mut row = vec![false; text.len() + 1];
    row[0] = true;
    for letter in pattern {
        let before = row.clone();
        for at in 0..=text.len() {
            row[at] = match letter {
                b'*' => before[at] || at > 0 && row[at - 1],
                b'?' => at > 0 && before[at - 1],
                letter => at > 0 && before[at - 1] && letter.eq_ignore_ascii_case(&text[at - 1]),
            };
        }
    }
    row[text.len()]
}

fn check(text: &str) {
    let parsed = Policy::parse(text);
    let Ok(json) = serde_json::from_str::<Value>(text) else {
        return assert!(parsed.is_err(), "{text}");
    };
    let Ok(policy) = parsed else {
        // Members that are named twice are refused, which this value no longer shows.
        let is_plain = json.to_string().len() == text.split_whitespace().collect::<String>().len();
        assert!(!is_policy(&json) || !is_plain, "{json} is refused");
        return;
    };
    assert!(is_policy(&json), "{json} is taken");
    let statements = list(&json["Statement"]);
    assert_eq!(policy.statements.len(), statements.len());
    for (statement, json) in policy.statements.iter().zip(statements) {
        assert_eq!(statement.effect == Effect::Allow, json["Effect"] == "Allow");
        let texts = |name: &str| list(&json[name]).into_iter().map(Value::as_str);
        let patterns =
            |them: &[Pattern]| -> Vec<_> { them.iter().map(|it| Some(it.0.clone())).collect() };
        let owned = |name| texts(name).map(|it| it.map(str::to_owned)).collect::<Vec<_>>();
        assert_eq!(patterns(&statement.actions), owned("Action"));
        assert_eq!(patterns(&statement.resources), owned("Resource"));
        let is_anyone = json["Principal"] == "*";
        assert!(!is_anyone || statement.principals.0 == [Principal::Anyone]);
        let tests = json["Condition"]
            .as_object()
            .map_or(0, |all| all.values().map(|tests| tests.as_object().map_or(0, Map::len)).sum());
        assert_eq!(statement.conditions.len(), tests);
    }
}

/// One, or all of a list.
fn list(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |list| list.iter().collect())
}

fn has_only(map: &Map<String, Value>, names: &[&str]) -> bool {
    map.keys().all(|name| names.contains(&&**name))
}

fn is_one_or_more(value: Option<&Value>, is_right: impl Fn(&Value) -> bool) -> bool {
    let Some(value) = value else { return false };
    let all = list(value);
    !all.is_empty() && all.into_iter().all(is_right)
}

fn is_text_if_any(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value.is_string() || value.is_null())
}

fn is_policy(json: &Value) -> bool {
    let Some(map) = json.as_object() else { return false };
    let version = map.get("Version");
    has_only(map, &["Version", "Id", "Statement"])
        && version.is_none_or(|it| it == "2008-10-17" || it == "2012-10-17")
        && is_text_if_any(map.get("Id"))
        && is_one_or_more(map.get("Statement"), is_statement)
}

fn is_statement(json: &Value) -> bool {
    let Some(map) = json.as_object() else { return false };
    let effect = map.get("Effect");
    has_only(map, &["Sid", "Effect", "Principal", "Action", "Resource", "Condition"])
        && is_text_if_any(map.get("Sid"))
        && effect.is_some_and(|it| it == "Allow" || it == "Deny")
        && map.get("Principal").is_some_and(are_principals)
        && is_one_or_more(map.get("Action"), Value::is_string)
        && is_one_or_more(map.get("Resource"), Value::is_string)
        && map.get("Condition").is_none_or(are_conditions)
}

fn are_principals(json: &Value) -> bool {
    let Some(map) = json.as_object() else { return json == "*" };
    let is_right = |(kind, value): (&String, &Value)| {
        is_one_or_more(Some(value), |text| {
            let Some(text) = text.as_str() else { return false };
            match kind.as_str() {
                "AWS" => text == "*" || is_account(text) || is_identity(text),
                "Service" => text.len() > 14 && text.ends_with(".amazonaws.com"),
                "Federated" => true,
                _ => false,
            }
        })
    };
    !map.is_empty() && map.iter().all(is_right)
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_identity(text: &str) -> bool {
    let parts: Vec<_> = text.split(':').collect();
    let ["arn", partition, service, "", account, name @ ..] = &parts[..] else { return false };
    let name = name.join(":");
    let is_of = |kind: &str| name.len() > kind.len() && name.starts_with(kind);
    partition.starts_with("aws")
        && is_account(account)
        && match *service {
            "iam" => name == "root" || is_of("user/") || is_of("role/"),
            "sts" => is_of("assumed-role/") || is_of("federated-user/"),
            _ => false,
        }
}

fn are_conditions(json: &Value) -> bool {
    let Some(map) = json.as_object() else { return false };
    map.iter().all(|(operator, tests)| {
        let is_scalar = |it: &Value| it.is_string() || it.is_number() || it.is_boolean();
        let are_tests = tests
            .as_object()
            .is_some_and(|tests| tests.values().all(|it| is_one_or_more(Some(it), is_scalar)));
        is_operator(operator) && are_tests
    })
}

fn is_operator(text: &str) -> bool {
    let families = [
        ("Arn", &["Equals", "Like", "NotEquals", "NotLike"][..]),
        ("Binary", &["Equals"]),
        ("Bool", &[""]),
        ("Date", &ORDERS),
        ("IpAddress", &[""]),
        ("NotIpAddress", &[""]),
        ("Null", &[""]),
        ("Numeric", &ORDERS),
        (
            "String",
            &["Equals", "EqualsIgnoreCase", "Like", "NotEquals", "NotEqualsIgnoreCase", "NotLike"],
        ),
    ];
    let all =
        families.iter().flat_map(|(kind, ways)| ways.iter().map(move |it| format!("{kind}{it}")));
    all.flat_map(|plain| {
        let suffixed = (plain != "Null").then(|| format!("{plain}IfExists"));
        [Some(plain), suffixed].into_iter().flatten()
    })
    .any(|plain| {
        ["", "ForAnyValue:", "ForAllValues:"].iter().any(|it| format!("{it}{plain}") == text)
    })
}

const ORDERS: [&str; 6] =
    ["Equals", "GreaterThan", "GreaterThanEquals", "LessThan", "LessThanEquals", "NotEquals"];

/// Policies of all forms, and patterns.
pub fn seeds() -> Vec<Seed> {
    let plain = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"kinesis:Get*","Resource":"*"}}"#;
    let full = r#"{"Id":"i","Statement":[{"Sid":"s","Effect":"Deny","Principal":{"AWS":["123456789012","arn:aws:iam::123456789012:role/r"],"Service":"a.amazonaws.com","Federated":"f"},"Action":["a","b"],"Resource":["r"],"Condition":{"ForAllValues:StringLikeIfExists":{"k":["v",1,true]},"Bool":{"b":false}}}]}"#;
    let session = r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws-cn:sts::123456789012:assumed-role/r/s"},"Action":"a","Resource":"r"}}"#;
    let pattern = [&[6][..], b"\x00\x02\x00\x03\x01\x00", b"\x02\x03\x04\x05\x02\x03"].concat();
    vec![
        ("plain", plain.into()),
        ("full", full.into()),
        ("session", session.into()),
        ("pattern", pattern),
    ]
}
