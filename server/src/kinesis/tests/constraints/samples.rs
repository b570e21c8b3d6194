//! Values for a rule of the catalogue: sound ones up to its bounds, ones just outside of it with
//! what they violate, and ones of a wrong type with what is said of them.

use super::*;
use catalogue::{Pattern, TAG_KEY_LENGTH, TAG_VALUE_LENGTH, TAGS_LENGTH};

const LIST: &str = "Start of list found where not expected";
const MAP: &str = "Start of structure or map found where not expected.";

/// A value that violates these rules, and how messages print it.
pub(super) struct Sample {
    pub(super) value: Value<'static>,
    pub(super) printed: String,
    pub(super) violated: Vec<String>,
}

fn at_most(max: impl std::fmt::Display) -> String {
    format!("Member must have length less than or equal to {max}")
}

fn at_least(min: impl std::fmt::Display) -> String {
    format!("Member must have length greater than or equal to {min}")
}

fn between((min, max): (usize, usize)) -> String {
    format!("[{}, {}]", at_most(max), at_least(min))
}

fn one_of(words: &[&str]) -> String {
    format!("Member must satisfy enum value set: [{}]", words.join(", "))
}

fn text(text: impl Into<Cow<'static, str>>) -> Value<'static> {
    Value::Text(text.into())
}

/// A text of so many UTF-16 units; of characters that take two where there is no pattern.
fn of_length(units: usize, pattern: Option<&Pattern>) -> String {
    match pattern {
        Some(pattern) => (pattern.text)(units),
        None => "a".repeat(units % 2) + &"\u{1f600}".repeat(units / 2),
    }
}

/// So many tags, in the order of their keys; keys and values have these lengths.
fn tags(count: usize, key: usize, value: usize) -> (Value<'static>, String) {
    let entries = (0..count).map(|n| (format!("{n:0>key$}"), "v".repeat(value)));
    let entries: Vec<_> = entries.collect();
    let printed: Vec<_> = entries.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let map = entries.into_iter().map(|(key, value)| (key.into(), text(value))).collect();
    (Value::Map(map), format!("{{{}}}", printed.join(", ")))
}

/// Values that keep the rule, a small one first, then those at its bounds.
pub(super) fn sound(rule: Rule) -> Vec<Value<'static>> {
    match rule {
        Rule::Text(length, pattern) => {
            let more = pattern.map_or(&["a"][..], |pattern| pattern.more);
            let (min, max) = length.unwrap_or((1, 1000));
            let bounds = [of_length(min, pattern), of_length(max, pattern)];
            let bounds = bounds.into_iter().filter(|_| !pattern.is_some_and(|it| it.is_fixed));
            more.iter().copied().map(text).chain(bounds.map(text)).collect()
        }
        Rule::Word(words) => words.iter().copied().map(text).collect(),
        Rule::Number(min, max) => {
            let bounds = [min.unwrap_or(i32::MIN.into()), max.unwrap_or(i32::MAX.into())];
            bounds.map(Value::Integer).to_vec()
        }
        Rule::Flag => vec![Value::Bool(true), Value::Bool(false)],
        Rule::Time => vec![Value::Integer(1), Value::Float(1.5), Value::Millis(1)],
        Rule::Bytes(max) => [0, max].map(|length| Value::Bytes(vec![0; length].into())).to_vec(),
        Rule::List(of, (min, max)) => {
            let lengths = [min.max(1), max].into_iter();
            let lists = lengths.map(|length| Value::List(vec![sample(*of); length]));
            let inner = if let Rule::Structure(_) = of { Vec::new() } else { sound(*of) };
            lists.chain(inner.into_iter().map(|entry| Value::List(vec![entry]))).collect()
        }
        Rule::Tags => {
            let ((fewest, most), (_, key), (shortest, longest)) =
                (TAGS_LENGTH, TAG_KEY_LENGTH, TAG_VALUE_LENGTH);
            [(fewest, 1, 1), (most, 3, 1), (1, key, shortest), (1, 1, longest)]
                .map(|(count, key, value)| tags(count, key, value).0)
                .to_vec()
        }
        Rule::Structure(name) => vec![least(row(STRUCTURES, name), name)],
    }
}

/// Values just outside of the rule.
pub(super) fn violating(rule: Rule) -> Vec<Sample> {
    match rule {
        Rule::Text(length, pattern) => violating_texts(length, pattern),
        Rule::Word(words) => {
            let others = [String::new(), "x".to_owned(), words[0].to_lowercase()];
            let sample = |other: String| Sample {
                value: text(other.clone()),
                printed: other,
                violated: vec![one_of(words)],
            };
            others.map(sample).into()
        }
        Rule::Number(min, max) => violating_numbers(min, max),
        Rule::Bytes(max) => vec![Sample {
            value: Value::Bytes(vec![0; max + 1].into()),
            printed: format!("java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]", max + 1),
            violated: vec![at_most(max)],
        }],
        Rule::List(of, length) => violating_lists(*of, length),
        Rule::Tags => violating_tags(),
        Rule::Flag | Rule::Time | Rule::Structure(_) => Vec::new(),
    }
}

fn violating_texts(length: Option<(usize, usize)>, pattern: Option<&Pattern>) -> Vec<Sample> {
    let fits = pattern.map(|pattern| {
        format!("Member must satisfy regular expression pattern: {}", pattern.printed)
    });
    let sample = |given: String, violated: Vec<String>| Sample {
        value: text(given.clone()),
        printed: given,
        violated,
    };
    let mut all = Vec::new();
    if let Some((min, max)) = length {
        let too_short = [at_least(min)].into_iter().chain(fits.clone());
        all.push(sample(String::new(), too_short.collect()));
        let too_long = fits.clone().filter(|_| pattern.is_some_and(|it| it.is_fixed));
        let too_long = [at_most(max)].into_iter().chain(too_long);
        all.push(sample(of_length(max + 1, pattern), too_long.collect()));
    }
    for other in pattern.map_or(&[][..], |pattern| pattern.others) {
        all.push(sample((*other).to_owned(), fits.clone().into_iter().collect()));
    }
    all
}

/// Numbers with a fraction are rounded down, and those that are too large taken for the largest.
fn violating_numbers(min: Option<i64>, max: Option<i64>) -> Vec<Sample> {
    let mut all = Vec::new();
    let mut add = |value: Value<'static>, printed: i64, rule: String| {
        all.push(Sample { value, printed: printed.to_string(), violated: vec![rule] });
    };
    if let Some(min) = min {
        let rule = format!("Member must have value greater than or equal to {min}");
        let just_below = f64::from(i32::try_from(min).unwrap()) - 0.1;
        add(Value::Integer(min - 1), min - 1, rule.clone());
        add(Value::Float(just_below), min - 1, rule.clone());
        add(Value::Integer(i64::MIN), i32::MIN.into(), rule);
    }
    if let Some(max) = max {
        let rule = format!("Member must have value less than or equal to {max}");
        let above = f64::from(i32::try_from(max).unwrap()) + 1.9;
        add(Value::Integer(max + 1), max + 1, rule.clone());
        add(Value::Float(above), max + 1, rule.clone());
        add(Value::Integer(1 << 40), i32::MAX.into(), rule);
    }
    all
}

fn violating_lists(of: Rule, (min, max): (usize, usize)) -> Vec<Sample> {
    let printed = |entries: &[Value<'static>]| {
        let texts = entries.iter().map(|entry| match entry {
            Value::Text(text) => text.to_string(),
            _ => "never printed".to_owned(),
        });
        format!("[{}]", texts.collect::<Vec<_>>().join(", "))
    };
    let sample = |entries: Vec<Value<'static>>, rule: String| Sample {
        printed: printed(&entries),
        value: Value::List(entries),
        violated: vec![rule],
    };
    let mut all = vec![
        sample(Vec::new(), at_least(min)),
        sample(vec![super::sample(of); max + 1], at_most(max)),
    ];
    let rules = match of {
        Rule::Text(Some(length), None) => between(length),
        Rule::Word(words) => format!("[{}]", one_of(words)),
        _ => return all,
    };
    for Sample { value, .. } in violating(of) {
        let rule = format!("Member must satisfy constraint: {rules}");
        all.push(sample(vec![super::sample(of), value], rule));
    }
    all
}

fn violating_tags() -> Vec<Sample> {
    let keys = format!("Map keys must satisfy constraint: {}", between(TAG_KEY_LENGTH));
    let values = format!("Map value must satisfy constraint: {}", between(TAG_VALUE_LENGTH));
    let sample = |(value, printed), violated| Sample { value, printed, violated };
    let (fewest, most) = TAGS_LENGTH;
    let nameless = Value::Map(vec![("".into(), text("v"))]);
    vec![
        sample((Value::Map(Vec::new()), "{}".to_owned()), vec![at_least(fewest)]),
        sample(tags(most + 1, 3, 1), vec![at_most(most)]),
        sample((nameless, "{=v}".to_owned()), vec![keys.clone()]),
        sample(tags(1, TAG_KEY_LENGTH.1 + 1, 1), vec![keys]),
        sample(tags(1, 1, TAG_VALUE_LENGTH.1 + 1), vec![values]),
    ]
}

/// Values that cannot become one of the rule's kind, and what is said of them.
pub(super) fn of_wrong_type(rule: Rule, encoding: Encoding) -> Vec<(Value<'static>, String)> {
    match rule {
        Rule::Text(..) | Rule::Word(_) => scalars("an String", "nby", encoding),
        Rule::Number(..) => scalars("an Integer", "bty", encoding),
        Rule::Flag => {
            let mut all = scalars("an Boolean", "ny", encoding);
            all.push((text("maybe"), "'MAYBE' can not be converted to an Boolean".to_owned()));
            all
        }
        Rule::Time => scalars("milliseconds since epoch", "bty", encoding),
        Rule::Bytes(_) => {
            let mut all = scalars("a Blob", "nb", encoding);
            for (given, reason) in [
                ("abc", "Base64 encoded length is expected a multiple of 4 bytes but found: 3"),
                ("abc-", "Invalid Base64 character: '-'"),
                ("ab==", "Invalid last non-pad Base64 character dectected"),
            ] {
                all.push((
                    text(given),
                    format!("'{given}' can not be converted to a Blob: {reason}"),
                ));
            }
            all
        }
        Rule::List(of, _) => {
            let mut all = nested("Expected list or null", Value::Map(Vec::new()), MAP);
            all.extend(
                of_wrong_type(*of, encoding)
                    .into_iter()
                    .map(|(entry, words)| (Value::List(vec![sample(*of), entry]), words)),
            );
            all
        }
        Rule::Tags => {
            let mut all = nested("Expected map or null", Value::List(Vec::new()), LIST);
            let values = of_wrong_type(Rule::Text(None, None), encoding).into_iter();
            all.extend(values.map(|(value, words)| (Value::Map(vec![("k".into(), value)]), words)));
            all
        }
        Rule::Structure(_) => nested("Expected null", Value::List(Vec::new()), LIST),
    }
}

/// What is said of scalars of another kind: `n` numbers, `b` booleans, `t` texts, `y` byte
/// strings, which exist in CBOR only; and of lists and maps.
fn scalars(target: &str, kinds: &str, encoding: Encoding) -> Vec<(Value<'static>, String)> {
    const NUMBER: &str = "com.amazon.coral.value.json.numbers.TruncatingBigNumber";
    let mut all =
        vec![(Value::List(Vec::new()), LIST.to_owned()), (Value::Map(Vec::new()), MAP.to_owned())];
    let mut add = |value, class: &str| {
        all.push((value, format!("class {class} can not be converted to {target}")));
    };
    for kind in kinds.chars() {
        match (kind, encoding) {
            ('n', _) => {
                add(Value::Integer(1), NUMBER);
                add(Value::Float(1.5), NUMBER);
            }
            ('b', _) => add(Value::Bool(true), "java.lang.Boolean"),
            ('t', _) => add(text("1"), "java.lang.String"),
            ('y', Encoding::Cbor) => {
                add(Value::Bytes(vec![1].into()), "java.nio.HeapByteBuffer");
            }
            _ => {}
        }
    }
    all
}

fn nested(
    words_for_scalars: &str,
    other: Value<'static>,
    words_for_other: &str,
) -> Vec<(Value<'static>, String)> {
    let scalars = [text("a"), Value::Integer(1), Value::Float(0.5), Value::Bool(false)];
    let scalars = scalars.map(|scalar| (scalar, words_for_scalars.to_owned()));
    scalars.into_iter().chain([(other, words_for_other.to_owned())]).collect()
}

/// Values of another type that are taken for one of the rule's kind.
pub(super) fn convertible(rule: Rule) -> Vec<Value<'static>> {
    match rule {
        Rule::Number(_, None) => vec![Value::Integer(1 << 40), Value::Float(5000.9)],
        Rule::Number(min, Some(_)) => {
            vec![Value::Float(f64::from(i32::try_from(min.unwrap_or(0)).unwrap()) + 0.9)]
        }
        Rule::Flag => ["true", "FALSE", "1", "0", "Yes", "nO"].map(text).to_vec(),
        Rule::Bytes(_) => vec![text(""), text("YQ==")],
        _ => Vec::new(),
    }
}
