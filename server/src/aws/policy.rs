//! Resource policies in the language of AWS's access control, as values an evaluator can work with.
//! Reading checks the language; what a service allows to be said in it is the service's business.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

/// A whole policy.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Policy {
    /// Version of the language.
    #[serde(default)]
    pub version: Version,
    /// The author's name for it.
    pub id: Option<String>,
    /// What it says, one thing after the other; at least one.
    #[serde(rename = "Statement", deserialize_with = "one_or_more")]
    pub statements: Vec<Statement>,
}

/// Version of the language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub enum Version {
    /// The older one, which knows no variables; meant where none is given.
    #[default]
    #[serde(rename = "2008-10-17")]
    V2008,
    /// The current one.
    #[serde(rename = "2012-10-17")]
    V2012,
}

/// One statement: somebody may, or must not, do something to something, under conditions.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub struct Statement {
    /// The author's name for it.
    pub sid: Option<String>,
    /// Whether it allows.
    pub effect: Effect,
    /// Who; at least one.
    #[serde(rename = "Principal")]
    pub principals: Principals,
    /// What is done; at least one.
    #[serde(rename = "Action", deserialize_with = "one_or_more")]
    pub actions: Vec<Pattern>,
    /// What it is done to; at least one.
    #[serde(rename = "Resource", deserialize_with = "one_or_more")]
    pub resources: Vec<Pattern>,
    /// All of them must hold.
    #[serde(rename = "Condition", default, deserialize_with = "conditions")]
    pub conditions: Vec<Condition>,
}

/// Whether a statement allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
pub enum Effect {
    /// It does.
    Allow,
    /// It forbids, whatever others allow.
    Deny,
}

/// Who a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principals(pub Vec<Principal>);

/// One of those a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Everybody.
    Anyone,
    /// Whoever an account, 12 digits, lets act.
    Account(String),
    /// A user, a role or a session, by ARN.
    Identity(String),
    /// A service, by its host name.
    Service(String),
    /// Whoever this provider of identities vouches for.
    Federated(String),
}

/// A text in which `*` stands for any number of characters and `?` for one.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Pattern(pub String);

/// One condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// One of the language's operators, with its prefix and suffix.
    pub operator: String,
    /// Key of the request's context.
    pub key: String,
    /// What its value is compared with; at least one.
    pub values: Vec<String>,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    ///
    /// What is wrong, and where.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

impl Pattern {
    /// Whether `text` is one of the texts it stands for; ASCII letters in either case are the same.
    pub fn matches(&self, text: &str) -> bool {
        let (pattern, text) = (self.0.as_bytes(), text.as_bytes());
        let (mut p, mut t) = (0, 0);
        // Where to go on when what follows the last `*` does not fit: the star takes one more.
        let mut retry = None;
        while t < text.len() {
            match pattern.get(p) {
                Some(b'*') => {
                    retry = Some((p + 1, t));
                    p += 1;
                }
                Some(b'?') => (p, t) = (p + 1, t + 1),
                Some(byte) if byte.eq_ignore_ascii_case(&text[t]) => (p, t) = (p + 1, t + 1),
                Some(_) | None => {
                    let Some((after, taken)) = retry else { return false };
                    retry = Some((after, taken + 1));
                    (p, t) = (after, taken + 1);
                }
            }
        }
        pattern[p..].iter().all(|&byte| byte == b'*')
    }
}

impl Principal {
    /// Reads an entry of `AWS`: `*`, an account, or an ARN.
    fn of_aws(text: &str) -> Option<Self> {
        let is_account =
            |text: &str| text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        if text == "*" {
            return Some(Self::Anyone);
        }
        if is_account(text) {
            return Some(Self::Account(text.to_owned()));
        }
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().unwrap_or_default();
        let (head, partition, service, region, account) = (next(), next(), next(), next(), next());
        let name = next();
        let is_arn = head == "arn" && partition.starts_with("aws") && region.is_empty();
        if !is_arn || !is_account(account) {
            return None;
        }
        let has_name = |prefixes: &[&str]| {
            prefixes.iter().any(|prefix| name.strip_prefix(prefix).is_some_and(|it| !it.is_empty()))
        };
        match service {
            "iam" if name == "root" => Some(Self::Account(account.to_owned())),
            "iam" if has_name(&["user/", "role/"]) => Some(Self::Identity(text.to_owned())),
            "sts" if has_name(&["assumed-role/", "federated-user/"]) => {
                Some(Self::Identity(text.to_owned()))
            }
            _ => None,
        }
    }

    fn of_service(text: &str) -> Option<Self> {
        let name = text.strip_suffix(".amazonaws.com")?;
        (!name.is_empty()).then(|| Self::Service(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Principals {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PrincipalsVisitor)
    }
}

struct PrincipalsVisitor;

impl<'de> Visitor<'de> for PrincipalsVisitor {
    type Value = Principals;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`*`, or a map of AWS, Service and Federated")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Principals, E> {
        match text {
            "*" => Ok(Principals(vec![Principal::Anyone])),
            other => Err(E::invalid_value(de::Unexpected::Str(other), &self)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Principals, A::Error> {
        let mut all = Vec::new();
        while let Some(kind) = map.next_key::<String>()? {
            let read: fn(&str) -> Option<Principal> = match kind.as_str() {
                "AWS" => Principal::of_aws,
                "Service" => Principal::of_service,
                "Federated" => |text| Some(Principal::Federated(text.to_owned())),
                other => {
                    return Err(de::Error::unknown_field(other, &["AWS", "Service", "Federated"]));
                }
            };
            for text in map.next_value::<OneOrMore<String>>()?.0 {
                let wrong = || de::Error::custom(format_args!("`{text}` is no {kind} principal"));
                all.push(read(&text).ok_or_else(wrong)?);
            }
        }
        if all.is_empty() {
            return Err(de::Error::invalid_length(0, &self));
        }
        Ok(Principals(all))
    }
}

/// Operators without their prefix (`ForAllValues:`, `ForAnyValue:`) and suffix (`IfExists`).
const OPERATORS: &[&str] = &[
    "ArnEquals",
    "ArnLike",
    "ArnNotEquals",
    "ArnNotLike",
    "BinaryEquals",
    "Bool",
    "DateEquals",
    "DateGreaterThan",
    "DateGreaterThanEquals",
    "DateLessThan",
    "DateLessThanEquals",
    "DateNotEquals",
    "IpAddress",
    "NotIpAddress",
    "Null",
    "NumericEquals",
    "NumericGreaterThan",
    "NumericGreaterThanEquals",
    "NumericLessThan",
    "NumericLessThanEquals",
    "NumericNotEquals",
    "StringEquals",
    "StringEqualsIgnoreCase",
    "StringLike",
    "StringNotEquals",
    "StringNotEqualsIgnoreCase",
    "StringNotLike",
];

fn is_operator(text: &str) -> bool {
    let (quantifier, test) = text.split_once(':').unwrap_or(("ForAnyValue", text));
    let test = match test.strip_suffix("IfExists") {
        Some("Null") | None => test,
        Some(test) => test,
    };
    matches!(quantifier, "ForAnyValue" | "ForAllValues") && OPERATORS.contains(&test)
}

fn conditions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Condition>, D::Error> {
    type Tests = BTreeMap<String, serde_json::Value>;
    let mut all = Vec::new();
    for (operator, tests) in BTreeMap::<String, Tests>::deserialize(deserializer)? {
        if !is_operator(&operator) {
            let message = format_args!("`{operator}` is no operator of a condition");
            return Err(de::Error::custom(message));
        }
        for (key, values) in tests {
            let values = scalars(values).ok_or_else(|| {
                de::Error::custom(format_args!("`{key}` is compared with no text, number or truth"))
            })?;
            all.push(Condition { operator: operator.clone(), key, values });
        }
    }
    Ok(all)
}

/// A scalar, or a list of at least one, as texts.
fn scalars(value: serde_json::Value) -> Option<Vec<String>> {
    let list = if let serde_json::Value::Array(list) = value { list } else { vec![value] };
    if list.is_empty() { None } else { list.into_iter().map(scalar).collect() }
}

fn scalar(value: serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Bool(truth) => Some(truth.to_string()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
            None
        }
    }
}

/// A text or a map, or a list of at least one.
struct OneOrMore<T>(Vec<T>);

fn one_or_more<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    OneOrMore::deserialize(deserializer).map(|all| all.0)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMore<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrMoreVisitor(PhantomData))
    }
}

struct OneOrMoreVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMoreVisitor<T> {
    type Value = OneOrMore<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one, or a list of at least one")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<OneOrMore<T>, E> {
        Ok(OneOrMore(vec![T::deserialize(text.into_deserializer())?]))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<OneOrMore<T>, A::Error> {
        Ok(OneOrMore(vec![T::deserialize(MapAccessDeserializer::new(map))?]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<OneOrMore<T>, A::Error> {
        let all = Vec::deserialize(SeqAccessDeserializer::new(list))?;
        if all.is_empty() { Err(de::Error::invalid_length(0, &self)) } else { Ok(OneOrMore(all)) }
    }
}
