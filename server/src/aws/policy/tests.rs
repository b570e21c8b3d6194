use super::*;

const FULL: &str = r#"{
    "Version": "2012-10-17",
    "Id": "sharing",
    "Statement": [
        {
            "Sid": "readers",
            "Effect": "Allow",
            "Principal": {
                "AWS": ["111122223333", "arn:aws:iam::111122223333:role/path/reader", "*"],
                "Service": "lambda.amazonaws.com"
            },
            "Action": ["kinesis:GetRecords", "kinesis:List*"],
            "Resource": "arn:aws:kinesis:us-east-1:123456789012:stream/s",
            "Condition": {
                "Bool": {"aws:SecureTransport": true},
                "ForAnyValue:StringLikeIfExists": {"aws:PrincipalTag/team": ["a*", "b"]}
            }
        },
        {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": ["x"]}
    ]
}"#;

fn texts(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern((*text).to_owned())).collect()
}

#[test]
fn a_policy_is_read_whole() {
    let policy = Policy::parse(FULL).unwrap();
    let condition = |operator: &str, key: &str, values: &[&str]| Condition {
        operator: operator.to_owned(),
        key: key.to_owned(),
        values: values.iter().map(|&value| value.to_owned()).collect(),
    };
    let readers = Statement {
        sid: Some("readers".to_owned()),
        effect: Effect::Allow,
        principals: Principals(vec![
            Principal::Account("111122223333".to_owned()),
            Principal::Identity("arn:aws:iam::111122223333:role/path/reader".to_owned()),
            Principal::Anyone,
            Principal::Service("lambda.amazonaws.com".to_owned()),
        ]),
        actions: texts(&["kinesis:GetRecords", "kinesis:List*"]),
        resources: texts(&["arn:aws:kinesis:us-east-1:123456789012:stream/s"]),
        conditions: vec![
            condition("Bool", "aws:SecureTransport", &["true"]),
            condition("ForAnyValue:StringLikeIfExists", "aws:PrincipalTag/team", &["a*", "b"]),
        ],
    };
    let others = Statement {
        sid: None,
        effect: Effect::Deny,
        principals: Principals(vec![Principal::Anyone]),
        actions: texts(&["*"]),
        resources: texts(&["x"]),
        conditions: Vec::new(),
    };
    assert_eq!(policy.version, Version::V2012);
    assert_eq!(policy.id.as_deref(), Some("sharing"));
    assert_eq!(policy.statements, [readers, others]);
}

#[test]
fn one_statement_stands_for_a_list_and_the_older_version_for_none() {
    let text = r#"{"Statement": {"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": "kinesis:*", "Resource": "r"}}"#;
    let policy = Policy::parse(text).unwrap();
    assert_eq!(policy.version, Version::V2008);
    let account = Principal::Account("111122223333".to_owned());
    assert_eq!(policy.statements[0].principals, Principals(vec![account]));
}

/// `FULL` with one text in it replaced.
fn altered(from: &str, to: &str) -> String {
    assert!(FULL.contains(from), "{from}");
    Policy::parse(&FULL.replacen(from, to, 1)).map(drop).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (from, to, told) in [
        ("\"Id\"", "Id", "key must be a string at line 3 column 5"),
        ("2012-10-17", "2012", "unknown variant `2012`, expected `2008-10-17` or `2012-10-17`"),
        ("\"Id\"", "\"Ident\"", "unknown field `Ident`, expected one of"),
        ("\"Effect\": \"Allow\",", "", "missing field `Effect`"),
        ("\"Allow\"", "\"allow\"", "unknown variant `allow`, expected `Allow` or `Deny`"),
        ("\"Principal\"", "\"NotPrincipal\"", "unknown field `NotPrincipal`"),
        ("\"Sid\"", "\"Effect\"", "unknown variant `readers`"),
        ("\"Sid\": \"readers\"", "\"Effect\": \"Deny\"", "duplicate field `Effect`"),
        ("\"111122223333\"", "\"11112222333\"", "`11112222333` is no AWS principal"),
        ("role/path/reader", "group/g", "`arn:aws:iam::111122223333:group/g` is no AWS principal"),
        ("role/path/reader", "role/", "`arn:aws:iam::111122223333:role/` is no AWS principal"),
        ("lambda.amazonaws.com", "lambda", "`lambda` is no Service principal"),
        (
            "\"Service\"",
            "\"Group\"",
            "unknown field `Group`, expected one of `AWS`, `Service`, `Federated`",
        ),
        (
            "[\"kinesis:GetRecords\", \"kinesis:List*\"]",
            "[]",
            "invalid length 0, expected one, or a list of at least one",
        ),
        (
            "[\"kinesis:GetRecords\", \"kinesis:List*\"]",
            "7",
            "invalid type: integer `7`, expected one, or a list of at least one",
        ),
        ("\"Bool\"", "\"Boolean\"", "`Boolean` is no operator of a condition"),
        ("ForAnyValue:", "ForNoValue:", "`ForNoValue:StringLikeIfExists` is no operator"),
        (
            "[\"a*\", \"b\"]",
            "[]",
            "`aws:PrincipalTag/team` is compared with no text, number or truth",
        ),
        (
            "[\"a*\", \"b\"]",
            "null",
            "`aws:PrincipalTag/team` is compared with no text, number or truth",
        ),
        (
            "\"Principal\": \"*\"",
            "\"Principal\": \"me\"",
            "invalid value: string \"me\", expected `*`, or a map",
        ),
        ("\"Principal\": \"*\"", "\"Principal\": {}", "invalid length 0, expected `*`, or a map"),
    ] {
        let error = altered(from, to);
        assert!(error.starts_with(told), "{error}, not {told}");
        assert!(error.contains(" at line "), "{error}");
    }
}

#[test]
fn other_texts_are_no_policies() {
    for text in ["", "{}", "[]", "null", "{\"Statement\": []}", "{\"Statement\": 1}", "{} x"] {
        assert!(Policy::parse(text).is_err(), "{text}");
    }
    let deep = format!("{{\"Statement\": {}", "[".repeat(100_000));
    assert!(Policy::parse(&deep).is_err());
}

#[test]
fn operators_have_a_prefix_and_a_suffix() {
    for known in ["Null", "StringLike", "DateLessThanEqualsIfExists", "ForAllValues:ArnLike"] {
        assert!(is_operator(known), "{known}");
    }
    for other in ["", "NullIfExists", "stringlike", "IfExists", "ForAllValues:", "StringLike:"] {
        assert!(!is_operator(other), "{other}");
    }
}

#[test]
fn patterns_stand_for_texts() {
    for (pattern, text) in [
        ("", ""),
        ("*", ""),
        ("**", "any"),
        ("kinesis:Get*", "kinesis:GetRecords"),
        ("KINESIS:getrecords", "kinesis:GetRecords"),
        ("kinesis:*Shard*", "kinesis:GetShardIterator"),
        ("kinesis:PutRecor?", "kinesis:PutRecord"),
        ("*a*b", "aabab"),
        ("a*?", "ab"),
    ] {
        assert!(Pattern(pattern.to_owned()).matches(text), "{pattern} {text}");
    }
    for (pattern, text) in [
        ("", "a"),
        ("a", ""),
        ("?", ""),
        ("kinesis:Get", "kinesis:GetRecords"),
        ("kinesis:Put*", "kinesis:GetRecords"),
        ("*a*b", "aaba"),
        ("a*?", "a"),
    ] {
        assert!(!Pattern(pattern.to_owned()).matches(text), "{pattern} {text}");
    }
}
