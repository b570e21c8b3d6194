//! `docs/operations.md` against the server: all 57 operations of the model, each as it answers, and
//! every choice made in the code.

use std::collections::BTreeSet;

use kinelog::kinesis::Operation;
use kinelog::throttle::Limits;
use serde_json::json;

use crate::service::{Answer, Encoding, Service};

const PAGE: &str = include_str!("../../../docs/operations.md");
const CHOICES: &str = include_str!("../../../server/src/kinesis/unconfirmed.rs");

/// Operations of the model.
const OPERATIONS: usize = 57;

/// The cells of all rows of tables, but for heads and the lines below them.
fn rows() -> Vec<Vec<&'static str>> {
    let lines = PAGE.lines().filter(|line| line.starts_with("| "));
    let rows = lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect());
    rows.filter(|row: &Vec<&str>| !["operation", "choice"].contains(&row[0])).collect()
}

#[test]
fn the_page_has_every_operation_once_and_as_it_answers() {
    let served: BTreeSet<_> = Operation::ALL.iter().map(|operation| operation.name()).collect();
    let operations = rows().into_iter().filter(|row| !row[0].starts_with('`'));
    let (unknown, known): (Vec<_>, Vec<_>) =
        operations.partition(|row| row[1] == "UnknownOperationException");
    let known: Vec<_> = known.into_iter().map(|row| row[0]).collect();
    assert_eq!(known.iter().copied().collect::<BTreeSet<_>>(), served);
    assert_eq!((known.len(), known.len() + unknown.len()), (served.len(), OPERATIONS));
    let service = Service::new(Limits::OFF);
    let refused = json!({"__type": "UnknownOperationException"});
    for row in unknown {
        for encoding in Encoding::BOTH {
            let answer = service.call_in(encoding, row[0], &json!({}));
            assert_eq!(answer, Answer { status: 400, body: refused.clone() }, "{row:?}");
        }
    }
}

#[test]
fn the_page_has_every_choice_of_the_code() {
    let declared = CHOICES.lines().filter_map(|line| line.strip_prefix("pub(super) "));
    let name = |rest: &'static str| {
        let words = rest.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.into_iter().find(|word| !["const", "fn", ""].contains(word)).unwrap()
    };
    let declared: BTreeSet<_> = declared.map(name).collect();
    let rows = rows().into_iter().filter(|row| row[0].starts_with('`'));
    let told: Vec<_> = rows.flat_map(|row| row[0].split(", ")).collect();
    let told: BTreeSet<_> = told.iter().map(|choice| choice.trim_matches('`')).collect();
    assert_eq!(told, declared);
}
