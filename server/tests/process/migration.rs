//! Options and variables of other programs.

use super::*;

#[test]
fn variables_of_kinesis_mock_start_the_same_service() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = kinelog();
    // Ports cannot be known to be free: 0 picks some.
    command.env("KINESIS_MOCK_TLS_PORT", "0").env("KINESIS_MOCK_PLAIN_PORT", "0");
    command.env("INITIALIZE_STREAMS", "one:1,two::eu-west-1").env("AWS_ACCOUNT_ID", "123456789012");
    command.args(["--admin-listen=127.0.0.1:0", ANY_DATE, "--data-dir"]).arg(directory.path());
    let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(process.stderr.take().unwrap());
    let nowhere = ([127, 0, 0, 1], 0).into();
    let mut server =
        Server { process, log, lines: String::new(), service: nowhere, admin: nowhere };
    let ports = [(); 2].map(|()| server.wait_for("listening on ").parse::<SocketAddr>().unwrap());
    assert_ne!(ports[0], ports[1]);
    let told = "AWS_ACCOUNT_ID=123456789012 is taken for --account-id=123456789012";
    assert!(server.lines.contains(told), "{}", server.lines);
    for port in ports {
        server.service = port;
        let answer = server.call("DescribeStreamSummary", r#"{"StreamName": "one"}"#);
        let arn = "arn:aws:kinesis:us-east-1:123456789012:stream/one";
        assert!(answer.contains(arn), "{answer}");
        let elsewhere = server.call("DescribeStreamSummary", r#"{"StreamName": "two"}"#);
        assert!(elsewhere.contains("ResourceNotFoundException"), "{elsewhere}");
    }
}

#[test]
fn options_of_kinesalite_start_the_same_service() {
    let directory = tempfile::tempdir().unwrap();
    let command = &mut kinelog();
    command.args(["--createStreamMs", "1", "--shardLimit", "2", "--admin-listen=127.0.0.1:0"]);
    command.arg(ANY_DATE);
    let server = Server::start(directory.path(), command);
    assert!(server.lines.contains("--shardLimit is taken for --shard-quota=2"), "{}", server.lines);
    let answer = server.call("CreateStream", r#"{"StreamName": "s", "ShardCount": 3}"#);
    assert!(answer.contains("Current shard count for the account: 0. Limit: 2."), "{answer}");
}
