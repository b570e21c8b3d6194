//! Every constraint of every operation, on both sides of its bound, and every wrong type, at every
//! place of its input; nested ones included. What is violated and what the service says then comes
//! from `catalogue`, so a row that is missing, loosened or tightened in an operation's own table is
//! found, and an operation that is new is held to its row from its first day.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most tests are about one or two kinds of rule"
)]

mod catalogue;
mod samples;

use std::borrow::Cow;

use super::*;
use crate::aws::shape::{Shape, Structure};
use catalogue::{INPUTS, Rule, STRUCTURES, UNPRINTED, members, row, rule};
use samples::Sample;

const REFUSED: &str = "failed to satisfy constraint:";

/// A place in an input that has constraints.
#[derive(Clone, Debug)]
struct Place {
    steps: Vec<Step>,
    rule: Rule,
    is_required: bool,
    /// Whether messages leave out its value.
    is_unprinted: bool,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Member(&'static str),
    /// The second of two entries, so that a message that counts wrongly is found.
    Entry,
}

/// All places of the input or structure that has this row.
fn places(owner: &str, members_row: &'static str, within: &[Step]) -> Vec<Place> {
    let mut all = Vec::new();
    for (member, is_required) in members(members_row) {
        let steps = [within, &[Step::Member(member)]].concat();
        let rule = rule(owner, member);
        if let Some(name) = rule.structure() {
            let entry = matches!(rule, Rule::List(..)).then_some(Step::Entry);
            let within: Vec<_> = steps.iter().copied().chain(entry).collect();
            all.extend(places(name, row(STRUCTURES, name), &within));
        }
        let is_unprinted = UNPRINTED.contains(&member);
        all.push(Place { steps, rule, is_required, is_unprinted });
    }
    all
}

impl Place {
    /// As messages name it.
    fn path(&self) -> String {
        let steps = self.steps.iter().map(|step| match step {
            Step::Member(name) => format!("{}{}", name[..1].to_lowercase(), &name[1..]),
            Step::Entry => "2.member".to_owned(),
        });
        steps.collect::<Vec<_>>().join(".")
    }

    /// The shortest sound input of an operation, with `value` here.
    fn body(&self, operation: &str, value: Value<'static>) -> Value<'static> {
        let mut body = least(row(INPUTS, operation), operation);
        let mut at = &mut body;
        let mut owner = operation;
        for step in &self.steps {
            match step {
                Step::Member(name) => {
                    let Value::Map(members) = at else { panic!("{self:?}") };
                    let found = members.iter().position(|(member, _)| member == name);
                    let index = found.unwrap_or_else(|| {
                        members.push(((*name).into(), sample(rule(owner, name))));
                        members.len() - 1
                    });
                    at = &mut members[index].1;
                    owner = rule(owner, name).structure().unwrap_or(owner);
                }
                Step::Entry => {
                    let Value::List(entries) = at else { panic!("{self:?}") };
                    if entries.len() == 1 {
                        entries.push(entries[0].clone());
                    }
                    at = &mut entries[1];
                }
            }
        }
        *at = value;
        body
    }

    fn entry(&self, value: &str, rule: &str) -> String {
        let value = if self.is_unprinted { String::new() } else { format!(" {value}") };
        format!("Value{value} at '{}' {REFUSED} {rule}", self.path())
    }
}

/// The shortest sound value of a structure: its required members.
fn least(members_row: &'static str, owner: &str) -> Value<'static> {
    let required = members(members_row).filter(|(_, is_required)| *is_required);
    Value::Map(required.map(|(name, _)| (name.into(), sample(rule(owner, name)))).collect())
}

/// Some value that keeps its constraints.
fn sample(rule: Rule) -> Value<'static> {
    match rule {
        Rule::Structure(name) => least(row(STRUCTURES, name), name),
        Rule::List(of, _) => Value::List(vec![sample(*of)]),
        _ => samples::sound(rule).swap_remove(0),
    }
}

/// A service without streams, and the answers of one operation to whole inputs.
struct Bench {
    world: World,
    operation: Operation,
}

impl Bench {
    async fn answer(&self, encoding: Encoding, body: Value<'static>) -> Result<Bytes, Exception> {
        let World { context, principal, .. } = &self.world;
        self.operation.run(context, principal, encoding, body).await.map(whole)
    }

    /// Sends `body` in both encodings; both must be refused with just these entries.
    async fn violates(&self, body: &Value<'static>, mut expected: Vec<String>) {
        expected.sort_unstable();
        let noun = if expected.len() == 1 { "error" } else { "errors" };
        let beginning = format!("{} validation {noun} detected", expected.len());
        for encoding in [Encoding::Json, Encoding::Cbor] {
            let refused = self.answer(encoding, body.clone()).await;
            let refused = refused.expect_err(&format!("{:?}: {expected:?}", self.operation));
            assert_eq!(refused.kind, Kind::Validation, "{refused}: {expected:?}");
            assert_eq!(refused.kind.status(), 400);
            let message = refused.message.unwrap();
            let (found, entries) = message.split_once(": ").unwrap();
            let mut entries: Vec<_> = entries.split("; ").collect();
            entries.sort_unstable();
            assert_eq!((found, entries), (&*beginning, expected.iter().map(|it| &**it).collect()));
        }
    }

    /// Sends `body` in both encodings; neither may be refused for its form.
    async fn keeps(&self, place: &Place, body: &Value<'static>) {
        for encoding in [Encoding::Json, Encoding::Cbor] {
            if let Err(refused) = self.answer(encoding, body.clone()).await {
                let told = refused.message.as_deref().unwrap_or_default();
                let about_form = refused.kind == Kind::Serialization || told.contains(REFUSED);
                let named = format!("at '{}'", place.path());
                assert!(!about_form || !told.contains(&named), "{:?}: {told}", self.operation);
                assert_ne!(refused.kind, Kind::Serialization, "{:?} {place:?}", self.operation);
            }
        }
    }
}

/// Runs `check` for each place of each operation.
async fn for_each_place(check: impl AsyncFn(&Bench, &Place)) {
    for &operation in Operation::ALL {
        let bench = Bench { world: World::new(Limits::OFF).await, operation };
        let name = operation.name();
        for place in places(name, row(INPUTS, name), &[]) {
            check(&bench, &place).await;
        }
    }
}

#[tokio::test]
async fn every_required_member_is_missed() {
    for_each_place(async |bench, place| {
        let body = place.body(bench.operation.name(), Value::Null);
        if place.is_required {
            let expected = place.entry("null", "Member must not be null");
            bench.violates(&body, vec![expected]).await;
        } else {
            bench.keeps(place, &body).await;
        }
    })
    .await;
}

#[tokio::test]
async fn every_constraint_is_told_in_its_words() {
    for_each_place(async |bench, place| {
        for Sample { value, printed, violated } in samples::violating(place.rule) {
            let entries = violated.iter().map(|rule| place.entry(&format!("'{printed}'"), rule));
            let body = place.body(bench.operation.name(), value);
            bench.violates(&body, entries.collect()).await;
        }
    })
    .await;
}

#[tokio::test]
async fn nothing_is_refused_up_to_its_bounds() {
    for_each_place(async |bench, place| {
        for value in samples::sound(place.rule) {
            bench.keeps(place, &place.body(bench.operation.name(), value)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn nulls_inside_lists_and_maps_are_missed() {
    for_each_place(async |bench, place| {
        let (value, at) = match place.rule {
            Rule::List(of, _) => (Value::List(vec![sample(*of), Value::Null]), "2"),
            Rule::Tags => (Value::Map(vec![("k".into(), Value::Null)]), "k"),
            _ => return,
        };
        let value_printed = if place.is_unprinted { "" } else { " null" };
        let path = place.path();
        let expected = format!(
            "Value{value_printed} at '{path}.{at}.member' {REFUSED} Member must not be null"
        );
        let body = place.body(bench.operation.name(), value);
        bench.violates(&body, vec![expected]).await;
    })
    .await;
}

#[tokio::test]
async fn every_wrong_type_is_refused_in_its_words() {
    for_each_place(async |bench, place| {
        for encoding in [Encoding::Json, Encoding::Cbor] {
            for (value, words) in samples::of_wrong_type(place.rule, encoding) {
                let body = place.body(bench.operation.name(), value.clone());
                let refused = bench.answer(encoding, body).await;
                let expected = Err(Exception::new(Kind::Serialization, words));
                assert_eq!(refused, expected, "{:?} {place:?} {value:?}", bench.operation);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_can_be_converted_is() {
    for_each_place(async |bench, place| {
        for value in samples::convertible(place.rule) {
            bench.keeps(place, &place.body(bench.operation.name(), value)).await;
        }
    })
    .await;
}

/// Names and `required` of the members of a table, as the catalogue writes them.
fn table(shape: &'static Structure) -> Vec<(&'static str, bool)> {
    shape.members.iter().map(|member| (member.name, member.required)).collect()
}

fn assert_same_members(shape: &'static Structure, members_row: &'static str, name: &str) {
    let (mut found, mut expected) = (table(shape), members(members_row).collect::<Vec<_>>());
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected, "{name}");
    for member in shape.members {
        let inner = match &member.shape {
            Shape::List { of, .. } => of,
            other => other,
        };
        if let (Shape::Structure(inner), Some(name)) = (inner, rule(name, member.name).structure())
        {
            assert_same_members(inner, row(STRUCTURES, name), name);
        }
    }
}

#[test]
fn operations_have_just_the_members_of_the_catalogue() {
    for operation in Operation::ALL {
        let name = operation.name();
        assert_same_members(operation.shape(), row(INPUTS, name), name);
        assert_eq!(operation.shape().name, format!("{name}Request"));
    }
}

#[test]
fn the_catalogue_holds_the_forty_operations_of_streams() {
    assert_eq!(INPUTS.len(), 40);
    assert!(INPUTS.is_sorted_by_key(|(name, _)| *name));
}
