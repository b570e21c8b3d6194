//! Fault rules: what is read prints as a text that reads the same, from lines, JSON and TOML.

use kinelog::faults::{Faults, Rule, RuleSet};
use kinelog::kinesis::Operation;

use crate::Seed;

/// The target: one text, read as a line, as JSON and as TOML.
pub fn run(data: &[u8]) {
    if let Ok(set) = RuleSet::from_json(data, Operation::NAMES) {
        check(&set);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(set) = RuleSet::from_toml(text, Operation::NAMES) {
        check(&set);
    }
    match Rule::parse(text, Operation::NAMES) {
        Ok(rule) => assert_eq!(Rule::parse(&rule.to_string(), Operation::NAMES), Ok(rule)),
        Err(sentence) => assert!(sentence.contains("fault rule"), "{sentence}"),
    }
}

/// The rules in force are shown as texts that make the same rules.
fn check(set: &RuleSet) {
    let faults = Faults::new(1);
    faults.replace(set.clone());
    let mut again = RuleSet::new(None);
    let shown: Vec<_> = faults.shown().into_iter().map(|shown| shown.rule).collect();
    for rule in &shown {
        let rule = Rule::parse(rule, Operation::NAMES).expect("a rule that is shown is a rule");
        again.add(rule).expect("there are as many as before");
    }
    let others = Faults::new(1);
    others.replace(again);
    let again: Vec<_> = others.shown().into_iter().map(|shown| shown.rule).collect();
    assert_eq!(shown, again);
    for operation in Operation::NAMES {
        drop((faults.strike(operation, Some("s")), others.strike(operation, Some("s"))));
    }
    let struck = |faults: &Faults| faults.shown().iter().map(|it| it.struck).collect::<Vec<_>>();
    assert_eq!(struck(&faults), struck(&others), "the same rules strike the same calls");
}

/// Rules of all effects, in all forms.
pub fn seeds() -> Vec<Seed> {
    let lines = [
        ("throttle", "PutRecord:stream=orders:p=0.25:count=3:throttle:after"),
        ("error", "*:error=KMSOptInRequired:after:message=no: not today"),
        ("partial", "PutRecords:p=0.1:partial=0.3:error=InternalFailure"),
        ("latency", "*:latency=50-200"),
        ("in-stream", "SubscribeToShard:in-stream=InternalFailure"),
        (
            "json",
            r#"{"seed":7,"rules":["*:cut",{"operation":"GetRecords","stream":"s","expire":true,"p":0.5}]}"#,
        ),
        ("toml", "seed = 7\nrules = ['*:cut']"),
        (
            "tables",
            "[[rules]]\noperation = '*'\nlatency = 7\n[[rules]]\noperation = 'PutRecord'\nerror = 'LimitExceeded'\nmessage = 'm'",
        ),
    ];
    lines.map(|(name, text)| (name, text.into())).to_vec()
}
