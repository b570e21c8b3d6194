//! Rules as people write them: a line of text, a table of TOML or JSON, and sets of either.
//!
//! ```text
//! OPERATION[:stream=NAME][:p=0.1][:count=3]:EFFECT
//! ```

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::rule::{Effect, Manner, Rule, SUBSCRIBE, Stage};
use crate::aws::exception::{Exception, Kind};
use crate::limits;

/// What is wrong with a rule, and what would be right.
type Sentence = String;

/// A set of rules, and the seed of its random numbers if it brings one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSet {
    pub(super) seed: Option<u64>,
    pub(super) rules: Vec<Rule>,
}

impl RuleSet {
    /// No rules, with this seed.
    pub const fn new(seed: Option<u64>) -> Self {
        Self { seed, rules: Vec::new() }
    }

    /// True when it holds no rule.
    pub const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Adds a rule.
    ///
    /// # Errors
    ///
    /// One sentence when there are too many.
    pub fn add(&mut self, rule: Rule) -> Result<(), Sentence> {
        if self.rules.len() >= limits::FAULT_RULES_MAX {
            return Err(format!("there may be {} fault rules", limits::FAULT_RULES_MAX));
        }
        self.rules.push(rule);
        Ok(())
    }

    /// Adds all of another set; its seed counts where this one has none.
    ///
    /// # Errors
    ///
    /// One sentence when there are too many rules.
    pub fn extend(&mut self, other: Self) -> Result<(), Sentence> {
        self.seed = self.seed.or(other.seed);
        other.rules.into_iter().try_for_each(|rule| self.add(rule))
    }

    /// From JSON: `{"seed": 7, "rules": [...]}`, each rule a text or an object. `operations` are
    /// those there are.
    ///
    /// # Errors
    ///
    /// One sentence.
    pub fn from_json(text: &[u8], operations: &[&'static str]) -> Result<Self, Sentence> {
        let form = serde_json::from_slice(text);
        Self::from_form(form.map_err(|error| format!("not a set of rules: {error}"))?, operations)
    }

    /// From TOML: `seed = 7` and `[[rules]]`, or `rules = ["..."]`.
    ///
    /// # Errors
    ///
    /// One sentence.
    pub fn from_toml(text: &str, operations: &[&'static str]) -> Result<Self, Sentence> {
        let form = toml::from_str(text);
        let form = form.map_err(|error: toml::de::Error| {
            format!("not a set of rules: {}", error.message().replace('\n', " "))
        });
        Self::from_form(form?, operations)
    }

    fn from_form(form: SetForm, operations: &[&'static str]) -> Result<Self, Sentence> {
        let mut set = Self::new(form.seed);
        for entry in form.rules {
            set.add(match entry {
                Entry::Text(text) => Rule::parse(&text, operations)?,
                Entry::Table(form) => form.rule(operations)?,
            })?;
        }
        Ok(set)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetForm {
    seed: Option<u64>,
    #[serde(default)]
    rules: Vec<Entry>,
}

enum Entry {
    Text(String),
    Table(Box<Form>),
}

/// By hand, so that what is wrong with a table is told.
impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rule as text or as a table")
            }

            fn visit_str<E>(self, text: &str) -> Result<Entry, E> {
                Ok(Entry::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                let form = Form::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Entry::Table(Box::new(form)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// A rule as written, not judged yet.
#[expect(clippy::struct_excessive_bools, reason = "each is a word a rule may have")]
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
struct Form {
    operation: String,
    stream: Option<String>,
    p: Option<f64>,
    count: Option<u64>,
    throttle: bool,
    expire: bool,
    error: Option<String>,
    message: Option<String>,
    partial: Option<f64>,
    latency: Option<Latency>,
    cut: bool,
    in_stream: Option<String>,
    after: bool,
}

/// Milliseconds, or a range of them as text.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Latency {
    Ms(u64),
    Text(String),
}

impl Rule {
    /// From a line of text. `operations` are those there are.
    ///
    /// # Errors
    ///
    /// One sentence that names the rule.
    pub fn parse(text: &str, operations: &[&'static str]) -> Result<Self, Sentence> {
        let form = Form::parse(text).and_then(|form| form.rule(operations));
        form.map_err(|sentence| format!("fault rule `{text}`: {sentence}"))
    }
}

impl Form {
    fn parse(text: &str) -> Result<Self, Sentence> {
        let (operation, mut rest) = text.split_once(':').unwrap_or((text, ""));
        let mut form = Self { operation: operation.to_owned(), ..Self::default() };
        while !rest.is_empty() {
            if let Some(message) = rest.strip_prefix("message=") {
                form.message = Some(message.to_owned()); // It may hold colons and ends the rule.
                break;
            }
            let (word, after) = rest.split_once(':').unwrap_or((rest, ""));
            rest = after;
            match word.split_once('=') {
                Some((key, value)) => form.set(key, value)?,
                None => form.switch_on(word)?,
            }
        }
        Ok(form)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Sentence> {
        let number = || value.parse().map_err(|_| format!("{key} is a number"));
        let text = || Some(value.to_owned());
        match key {
            "stream" => self.stream = text(),
            "p" => self.p = Some(number()?),
            "partial" => self.partial = Some(number()?),
            "count" => {
                self.count = Some(value.parse().map_err(|_| "count is a whole number".to_owned())?);
            }
            "error" => self.error = text(),
            "latency" => self.latency = text().map(Latency::Text),
            "in-stream" => self.in_stream = text(),
            _ => return Err(unknown(key)),
        }
        Ok(())
    }

    fn switch_on(&mut self, word: &str) -> Result<(), Sentence> {
        match word {
            "throttle" => self.throttle = true,
            "expire" => self.expire = true,
            "cut" => self.cut = true,
            "after" => self.after = true,
            _ => return Err(unknown(word)),
        }
        Ok(())
    }

    /// The rule, if it makes sense.
    fn rule(self, operations: &[&'static str]) -> Result<Rule, Sentence> {
        let any = |text: &str| text == "*";
        let operation = match self.operation.as_str() {
            "*" => None,
            "" => return Err("it begins with an operation, or * for all".to_owned()),
            name => {
                let known = operations.iter().copied().find(|known| *known == name);
                Some(known.ok_or_else(|| format!("there is no operation {name}"))?)
            }
        };
        Ok(Rule {
            probability: within(self.p.unwrap_or(1.0), "p is a probability")?,
            effect: self.effect(operation)?,
            stream: self.stream.filter(|stream| !any(stream)),
            count: self.count,
            operation,
        })
    }

    /// The one effect that is given.
    fn effect(&self, operation: Option<&str>) -> Result<Effect, Sentence> {
        let stage = if self.after { Stage::After } else { Stage::Before };
        let only = |allowed: &str, word: &str| {
            let is_allowed = operation == Some(allowed);
            is_allowed.then_some(()).ok_or_else(|| format!("{word} is for {allowed} only"))
        };
        let mut effects = Vec::new();
        if self.throttle {
            effects.push(Effect::End(Manner::Throttle, stage));
        }
        if self.expire {
            only("GetRecords", "expire")?;
            effects.push(Effect::End(Manner::Expire, stage));
        }
        if self.cut {
            effects.push(Effect::End(Manner::Cut, stage));
        }
        if let Some(latency) = &self.latency {
            effects.push(latency.effect()?);
        }
        if let Some(name) = &self.in_stream {
            only(SUBSCRIBE, "in-stream")?;
            effects.push(Effect::InStream(self.exception(name)?));
        }
        match (self.partial, &self.error) {
            (Some(fraction), error) => {
                only("PutRecords", "partial")?;
                let fraction = within(fraction, "partial is a fraction")?;
                effects.push(Effect::Partial(fraction, record_error(error.as_deref())?));
            }
            (None, Some(name)) => {
                let exception = self.exception(name)?;
                effects.push(Effect::End(Manner::Exception(exception), stage));
            }
            (None, None) => {}
        }
        let effect = effects.pop().filter(|_| effects.is_empty());
        let effect = effect.ok_or(
            "it has one effect: throttle, error=NAME, partial=FRACTION, latency=MS, expire, cut or \
             in-stream=NAME",
        )?;
        if self.after && !matches!(effect, Effect::End(..)) {
            return Err("after goes with throttle, error, expire and cut only".to_owned());
        }
        Ok(effect)
    }

    fn exception(&self, name: &str) -> Result<Exception, Sentence> {
        let kind = Kind::of_name(name).ok_or_else(|| format!("there is no exception {name}"))?;
        Ok(match &self.message {
            Some(message) => Exception::new(kind, message.clone()),
            None => Exception::bare(kind),
        })
    }
}

fn unknown(word: &str) -> Sentence {
    format!(
        "it knows no {word}; it knows stream=NAME, p=PROBABILITY, count=NUMBER, throttle, \
         error=NAME, partial=FRACTION, latency=MS, expire, cut, in-stream=NAME, after, message=TEXT"
    )
}

/// A number above 0 and up to 1.
fn within(number: f64, what: &str) -> Result<f64, Sentence> {
    let is_within = number > 0.0 && number <= 1.0;
    is_within.then_some(number).ok_or_else(|| format!("{what} above 0 and up to 1"))
}

/// What a record that fails is told.
fn record_error(name: Option<&str>) -> Result<Kind, Sentence> {
    match name.map(Kind::of_name) {
        None => Ok(Kind::ProvisionedThroughputExceeded),
        Some(Some(kind @ (Kind::ProvisionedThroughputExceeded | Kind::InternalFailure))) => {
            Ok(kind)
        }
        Some(_) => Err("a record fails with ProvisionedThroughputExceededException or \
                        InternalFailure"
            .to_owned()),
    }
}

impl Latency {
    fn effect(&self) -> Result<Effect, Sentence> {
        let range = match self {
            Self::Ms(ms) => Some((*ms, *ms)),
            Self::Text(text) => {
                let (least, most) = text.split_once('-').unwrap_or((text, text));
                least.parse().ok().zip(most.parse().ok())
            }
        };
        let range =
            range.filter(|(least, most)| least <= most && *most <= limits::FAULT_LATENCY_MS_MAX);
        let (least, most) = range.ok_or_else(|| {
            let most = limits::FAULT_LATENCY_MS_MAX;
            format!("latency is a number of milliseconds up to {most}, or a range such as 50-200")
        })?;
        Ok(Effect::Delay(least, most))
    }
}
