//! Rules as texts and tables, and what they do to calls.

use super::*;
use crate::aws::exception::Kind;
use crate::limits;

const OPERATIONS: &[&str] =
    &["GetRecords", "ListStreams", "PutRecord", "PutRecords", rule::SUBSCRIBE];

fn faults(rules: &[&str]) -> Faults {
    let faults = Faults::new(1);
    faults.replace(set(rules));
    faults
}

fn set(rules: &[&str]) -> RuleSet {
    let mut set = RuleSet::new(None);
    for rule in rules {
        set.add(Rule::parse(rule, OPERATIONS).unwrap()).unwrap();
    }
    set
}

fn end(manner: Manner, stage: Stage) -> End {
    End { manner, stage }
}

#[test]
fn rules_print_as_they_are_written() {
    for text in [
        "PutRecord:throttle",
        "PutRecord:stream=orders:p=0.25:count=3:throttle:after",
        "*:error=ResourceInUseException",
        "*:stream=orders:error=KMSOptInRequired:after:message=no: not today",
        "GetRecords:expire",
        "*:cut",
        "*:cut:after",
        "PutRecords:p=0.1:partial=0.3:error=ProvisionedThroughputExceededException",
        "PutRecords:partial=1:error=InternalFailure",
        "ListStreams:latency=100",
        "*:latency=50-200",
        "SubscribeToShard:in-stream=InternalFailure",
    ] {
        assert_eq!(Rule::parse(text, OPERATIONS).unwrap().to_string(), text);
    }
}

#[test]
fn what_may_be_left_out_has_a_meaning() {
    for (text, full) in [
        ("PutRecord:stream=*:p=1:throttle", "PutRecord:throttle"),
        ("PutRecord:throttle:stream=s", "PutRecord:stream=s:throttle"),
        ("*:error=KMSDisabled", "*:error=KMSDisabledException"),
        (
            "PutRecords:partial=0.5",
            "PutRecords:partial=0.5:error=ProvisionedThroughputExceededException",
        ),
        ("*:latency=7-7", "*:latency=7"),
    ] {
        assert_eq!(Rule::parse(text, OPERATIONS).unwrap().to_string(), full);
    }
}

#[test]
fn rules_that_make_no_sense_are_told_in_one_sentence() {
    for (text, words) in [
        ("", "it begins with an operation, or * for all"),
        ("PutRecord", "it has one effect: throttle, error=NAME"),
        ("PutRecord:throttle:cut", "it has one effect: throttle, error=NAME"),
        ("PutRecrod:throttle", "there is no operation PutRecrod"),
        ("PutRecord:error=Nonsense", "there is no exception Nonsense"),
        ("PutRecord:frequently", "it knows no frequently; it knows stream=NAME"),
        ("PutRecord:often=1", "it knows no often; it knows stream=NAME"),
        ("PutRecord:p=0:throttle", "p is a probability above 0 and up to 1"),
        ("PutRecord:p=1.5:throttle", "p is a probability above 0 and up to 1"),
        ("PutRecord:p=NaN:throttle", "p is a probability above 0 and up to 1"),
        ("PutRecord:p=x:throttle", "p is a number"),
        ("PutRecord:count=-1:throttle", "count is a whole number"),
        ("PutRecord:partial=0.5", "partial is for PutRecords only"),
        ("*:partial=0.5", "partial is for PutRecords only"),
        ("PutRecords:partial=2", "partial is a fraction above 0 and up to 1"),
        ("PutRecords:partial=1:error=LimitExceeded", "a record fails with Provisioned"),
        ("PutRecord:expire", "expire is for GetRecords only"),
        ("*:in-stream=ResourceInUse", "in-stream is for SubscribeToShard only"),
        ("*:latency=5-1", "latency is a number of milliseconds up to 600000"),
        ("*:latency=600001", "latency is a number of milliseconds up to 600000"),
        ("*:latency=soon", "latency is a number of milliseconds up to 600000"),
        ("*:latency=5:after", "after goes with throttle, error, expire and cut only"),
    ] {
        let sentence = Rule::parse(text, OPERATIONS).unwrap_err();
        assert!(sentence.starts_with(&format!("fault rule `{text}`: {words}")), "{sentence}");
        assert!(!sentence.contains('\n'), "{sentence}");
    }
}

#[test]
fn sets_of_rules_are_read_from_toml_and_json() {
    let toml = r#"
        seed = 7
        rules = [
            "PutRecord:throttle",
            { operation = "PutRecords", stream = "orders", p = 0.1, partial = 0.3 },
            { operation = "*", latency = 20, count = 2 },
            { operation = "*", latency = "20-30" },
            { operation = "SubscribeToShard", in-stream = "ResourceInUse", message = "busy" },
        ]"#;
    let json = r#"{"seed": 7, "rules": ["PutRecord:throttle",
        {"operation": "PutRecords", "stream": "orders", "p": 0.1, "partial": 0.3},
        {"operation": "*", "latency": 20, "count": 2},
        {"operation": "*", "latency": "20-30"},
        {"operation": "SubscribeToShard", "in-stream": "ResourceInUse", "message": "busy"}]}"#;
    let mut expected = set(&[
        "PutRecord:throttle",
        "PutRecords:stream=orders:p=0.1:partial=0.3",
        "*:count=2:latency=20",
        "*:latency=20-30",
        "SubscribeToShard:in-stream=ResourceInUse:message=busy",
    ]);
    expected.seed = Some(7);
    assert_eq!(RuleSet::from_toml(toml, OPERATIONS).unwrap(), expected);
    assert_eq!(RuleSet::from_json(json.as_bytes(), OPERATIONS).unwrap(), expected);
    assert_eq!(RuleSet::from_json(b"{}", OPERATIONS).unwrap(), RuleSet::default());
}

#[test]
fn sets_that_make_no_sense_are_told_in_one_sentence() {
    for (json, words) in [
        ("", "not a set of rules: EOF"),
        ("[]", "not a set of rules: "),
        (r#"{"rule": []}"#, "unknown field `rule`"),
        (r#"{"rules": [7]}"#, "a rule as text or as a table"),
        (r#"{"rules": [{"operation": "*", "often": true}]}"#, "unknown field `often`"),
        (r#"{"rules": [{"throttle": true}]}"#, "it begins with an operation"),
        (r#"{"rules": ["*:never"]}"#, "fault rule `*:never`: it knows no never"),
    ] {
        let sentence = RuleSet::from_json(json.as_bytes(), OPERATIONS).unwrap_err();
        assert!(sentence.contains(words) && !sentence.contains('\n'), "{sentence}");
    }
    let sentence = RuleSet::from_toml("rules = 3", OPERATIONS).unwrap_err();
    assert!(sentence.starts_with("not a set of rules: ") && !sentence.contains('\n'), "{sentence}");
    let many = vec!["\"*:cut\""; limits::FAULT_RULES_MAX + 1].join(",");
    let sentence = RuleSet::from_json(format!("{{\"rules\": [{many}]}}").as_bytes(), OPERATIONS);
    assert_eq!(sentence.unwrap_err(), "there may be 100 fault rules");
}

#[test]
fn rules_strike_the_calls_they_name() {
    let faults = faults(&["PutRecord:stream=orders:throttle", "ListStreams:cut:after"]);
    let throttled = Some(end(Manner::Throttle, Stage::Before));
    for (operation, stream, expected) in [
        ("PutRecord", Some("orders"), throttled),
        ("PutRecord", Some("order"), None),
        ("PutRecord", None, None),
        ("PutRecords", Some("orders"), None),
        ("ListStreams", None, Some(end(Manner::Cut, Stage::After))),
    ] {
        let expected = Strikes { end: expected, ..Strikes::default() };
        assert_eq!(faults.strike(operation, stream), expected, "{operation} {stream:?}");
    }
}

#[test]
fn any_operation_and_stream_are_struck_by_a_star() {
    let faults = faults(&["*:error=KMSDisabled"]);
    let expected = end(Manner::Exception(Exception::bare(Kind::KmsDisabled)), Stage::Before);
    for stream in [None, Some("a")] {
        assert_eq!(faults.strike("PutRecord", stream).end.unwrap(), expected);
    }
}

#[test]
fn a_rule_strikes_as_often_as_it_may() {
    let faults = faults(&["*:count=2:throttle", "*:cut"]);
    let ends: Vec<_> =
        (0..4).map(|_| faults.strike("PutRecord", None).end.unwrap().manner).collect();
    assert_eq!(ends, [Manner::Throttle, Manner::Throttle, Manner::Cut, Manner::Cut]);
    let shown = faults.shown().into_iter().map(|shown| (shown.rule, shown.struck));
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [("*:count=2:throttle".to_owned(), 2), ("*:cut".to_owned(), 2)]
    );
}

#[test]
fn probability_is_kept_and_one_seed_strikes_alike() {
    let strikes = |seed| {
        let faults = Faults::new(0);
        faults.replace(RuleSet { seed: Some(seed), ..set(&["*:p=0.25:cut"]) });
        (0..1000).map(|_| faults.strike("PutRecord", None).end.is_some()).collect::<Vec<_>>()
    };
    assert_eq!(strikes(5), strikes(5));
    assert_ne!(strikes(5), strikes(6));
    let struck = strikes(5).into_iter().filter(|struck| *struck).count();
    assert!((200..300).contains(&struck), "{struck} of 1000");
}

#[test]
fn delays_add_up_and_stay_in_their_range() {
    let faults = faults(&["*:latency=100", "*:latency=5-8", "*:throttle", "*:latency=1000"]);
    let mut delays: Vec<_> = (0..200)
        .map(|_| {
            let strikes = faults.strike("PutRecord", None);
            assert_eq!(strikes.end.unwrap(), end(Manner::Throttle, Stage::Before));
            strikes.delay_ms
        })
        .collect();
    delays.sort_unstable();
    delays.dedup();
    assert_eq!(delays, [105, 106, 107, 108]);
}

#[test]
fn a_fraction_of_the_records_fails_others_each_time() {
    let faults = faults(&["PutRecords:partial=0.3"]);
    let choose = |count| {
        let partial = faults.strike("PutRecords", None).partial.unwrap();
        assert_eq!(partial.kind(), Kind::ProvisionedThroughputExceeded);
        let failed = partial.choose(count);
        assert_eq!(failed, partial.choose(count));
        failed
    };
    for (count, failing) in [(0, 0), (1, 1), (10, 3), (11, 4), (500, 150)] {
        let failed = choose(count);
        assert_eq!(failed.len(), count);
        assert_eq!(failed.into_iter().filter(|failed| *failed).count(), failing);
    }
    assert_ne!(choose(500), choose(500));
}

#[test]
fn streams_under_way_are_ended_by_rules_of_their_own() {
    let faults = faults(&["SubscribeToShard:stream=a:count=1:in-stream=ResourceInUse", "*:cut"]);
    assert_eq!(faults.in_stream("b"), None);
    let expected = Exception::new(Kind::ResourceInUse, "Injected by a fault rule.");
    assert_eq!(faults.in_stream("a"), Some(expected));
    assert_eq!(faults.in_stream("a"), None);
    assert_eq!(
        faults.strike(rule::SUBSCRIBE, Some("a")).end.unwrap(),
        end(Manner::Cut, Stage::Before)
    );
}

#[test]
fn faults_are_on_while_there_are_rules() {
    let faults = Faults::new(1);
    assert!(!faults.are_on() && faults.in_stream("a").is_none());
    faults.replace(set(&["*:cut"]));
    assert!(faults.are_on());
    faults.replace(RuleSet::default());
    assert!(!faults.are_on() && faults.shown().is_empty());
}

#[test]
fn what_was_struck_is_exported_and_outlives_its_rule() {
    let faults = Faults::new(1);
    let export = |faults: &Faults| {
        prometheus::TextEncoder::new().encode_to_string(&faults.collect()).unwrap()
    };
    assert!(export(&faults).ends_with("kinelog_fault_rules 0\n"));
    faults.replace(set(&["*:count=1:latency=3", "PutRecord:throttle"]));
    faults.strike("PutRecord", None);
    faults.strike("PutRecord", None);
    let text = export(&faults);
    for line in [
        r#"kinelog_injected_faults_total{effect="latency",operation="PutRecord"} 1"#,
        r#"kinelog_injected_faults_total{effect="throttle",operation="PutRecord"} 2"#,
        "kinelog_fault_rules 2",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
    }
    faults.replace(RuleSet::default());
    let text = export(&faults);
    assert!(text.contains("kinelog_fault_rules 0") && text.contains("} 2"), "{text}");
}
