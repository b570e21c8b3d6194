//! Faults on purpose, by option, file and operator.

use super::*;

/// Asks the admin address with a body.
fn ask(server: &Server, method: &str, body: &str) -> String {
    let length = body.len();
    let head = format!("{method} /faults HTTP/1.1\r\nHost: localhost\r\n");
    exchange(server.admin, format!("{head}Content-Length: {length}\r\n\r\n{body}").as_bytes())
}

#[test]
fn faults_are_seen_wherever_operators_look() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("faults.toml");
    std::fs::write(&file, "rules = ['DescribeLimits:throttle']").unwrap();
    let options = [
        "--fault=ListStreams:error=KMSDisabled:message=not today",
        &*format!("--fault-file={}", file.display()),
        ANY_DATE,
    ];
    let server = Server::with(&directory.path().join("data"), &options);
    let told = "faults are injected on purpose rule=DescribeLimits:throttle";
    assert!(server.lines.contains(told), "{}", server.lines);
    let answer = server.call("ListStreams", "{}");
    let exception = r#"{"__type":"KMSDisabledException","message":"not today"}"#;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with(exception), "{answer}");
    let health = server.get("/health");
    let rules = r#""faults":["ListStreams:error=KMSDisabledException:message=not today","DescribeLimits:throttle"]"#;
    assert!(health.contains(rules), "{health}");
    let metrics = server.get("/metrics");
    for line in [
        "kinelog_fault_rules 2",
        r#"kinelog_injected_faults_total{effect="error",operation="ListStreams"} 1"#,
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in {metrics}");
    }

    let put = ask(&server, "PUT", r#"{"rules": ["ListStreams:count=1:throttle"]}"#);
    assert!(put.ends_with(r#"{"rules":[{"rule":"ListStreams:count=1:throttle","struck":0}]}"#));
    let refused = server.call("ListStreams", "{}");
    assert!(refused.contains("LimitExceededException"), "{refused}");
    assert!(server.call("ListStreams", "{}").starts_with("HTTP/1.1 200 "));
    assert!(ask(&server, "DELETE", "").ends_with(r#"{"rules":[]}"#));
    assert!(server.get("/health").contains(r#""faults":[]"#));
}

#[test]
fn faults_of_the_configuration_file_are_a_list_of_rules() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kinelog.toml");
    std::fs::write(&file, "fault = ['*:cut', 'GetRecords:p=0.5:expire']\nfault-seed = 7").unwrap();
    let config = format!("--config={}", file.display());
    let server = Server::with(&directory.path().join("data"), &[&config]);
    assert!(server.get("/health").contains(r#""faults":["*:cut","GetRecords:p=0.5:expire"]"#));
}

#[test]
fn wrong_faults_are_refused_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("f.toml"), "rules = ['*:never']").unwrap();
    for (option, code, words) in [
        ("--fault=PutRecrod:cut", 2, "there is no operation PutRecrod"),
        ("--fault-file=f.toml", 1, "f.toml: fault rule `*:never`: it knows no never"),
        ("--fault-file=missing.toml", 1, "check --fault-file"),
    ] {
        let output = kinelog().current_dir(directory.path()).arg(option).output().unwrap();
        let sentence = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{sentence}");
        assert!(sentence.contains(words) && sentence.lines().count() == 1, "{sentence}");
    }
}
