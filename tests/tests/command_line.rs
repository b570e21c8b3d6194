//! The commands for people, as processes, against a server as a process.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]
#![expect(clippy::disallowed_methods, reason = "files are made and read as a user does")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::types::{ConsumerStatus, ScalingType, StreamStatus};
use kinelog_tests::Server;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_kinelog-under-test");
const STREAM: &str = "clicks";

/// A server with a stream, and a home without files.
struct World {
    server: Server,
    directory: TempDir,
}

impl World {
    fn new(flags: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(BINARY, &directory.path().join("data"), flags);
        Self { server, directory }
    }

    /// With a stream of so many shards, and without limits.
    async fn with_stream(shards: i32) -> Self {
        let world = Self::new(&["--limits", "off", "--transition-ms", "0"]);
        world.create(shards).await;
        world
    }

    async fn create(&self, shards: i32) {
        let client = self.server.client(50);
        client.create_stream().stream_name(STREAM).shard_count(shards).send().await.unwrap();
        active(&client).await;
    }

    fn kinelog(&self, arguments: &[&str]) -> Command {
        let mut command = bare(self.directory.path(), arguments);
        command.env("AWS_ENDPOINT_URL", format!("http://{}", self.server.address()));
        command
    }

    fn put(&self, input: impl AsRef<[u8]>, options: &[&str]) -> Output {
        let put = self.kinelog(&[&["put", STREAM], options].concat());
        fed(put, input.as_ref())
    }

    fn tail(&self, options: &[&str]) -> Output {
        self.kinelog(&[&["tail", STREAM], options].concat()).output().unwrap()
    }
}

/// The program in a clean environment.
fn bare(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(arguments).env_clear().env("HOME", home);
    command
}

fn fed(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    // A program that refuses does not read to the end.
    drop(process.stdin.take().unwrap().write_all(input));
    process.wait_with_output().unwrap()
}

async fn active(client: &Client) {
    loop {
        let answer = client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
        if answer.stream_description_summary.unwrap().stream_status == StreamStatus::Active {
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What standard error says, whatever it is that ends with this code.
fn told(output: &Output, code: i32) -> String {
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{told}");
    told
}

/// Standard output of a success.
fn printed(output: &Output) -> String {
    assert_eq!(told(output, 0), "", "messages come on standard error only");
    text(&output.stdout)
}

/// A command that goes on by itself. Killed when dropped.
struct Running {
    process: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let input = process.stdin.take();
        Self { process, input, lines }
    }

    fn write(&mut self, text: &str) {
        self.input.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn line(&mut self) -> String {
        self.lines.next().unwrap().unwrap()
    }

    /// Exit code once its input has ended.
    fn finished(mut self) -> Option<i32> {
        drop(self.input.take());
        self.process.wait().unwrap().code()
    }

    /// Exit code once it has been interrupted.
    fn interrupted(mut self) -> Option<i32> {
        let id = i32::try_from(self.process.id()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), Signal::INT).unwrap();
        self.process.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.process.kill().is_ok() {
            self.process.wait().unwrap();
        }
    }
}

fn numbered(range: std::ops::Range<u32>) -> String {
    range.map(|number| number.to_string() + "\n").collect()
}

#[tokio::test]
async fn what_is_put_is_tailed_back_byte_for_byte() {
    let world = World::with_stream(1).await;
    let binary = "aGk=\n//79\n\nAAo=\n";
    told(&world.put(binary, &["--base64", "--key", "k"]), 0);
    let from_start = ["--from", "horizon", "--count", "4"];
    assert_eq!(printed(&world.tail(&[&from_start[..], &["--base64"]].concat())), binary);
    let raw = world.tail(&[&from_start[..], &["--null"]].concat());
    assert_eq!(raw.stdout, b"hi\0\xff\xfe\xfd\0\0\0\n\0");
    let objects = printed(&world.tail(&[&from_start[..], &["--json"]].concat()));
    let objects: Vec<Value> =
        objects.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects[0]["data"], "hi");
    assert_eq!(objects[1]["base64"], "//79");
    assert!(objects.iter().all(|object| object["key"] == "k"));
    assert!(objects.iter().all(|object| object["shard"] == "shardId-000000000000"));
}

#[tokio::test]
async fn lines_survive_a_kill_of_the_server_while_they_are_put() {
    let mut world = World::with_stream(4).await;
    let mut put = Running::start(world.kinelog(&["put", STREAM]));
    put.write(&numbered(0..1000));
    let half = world.tail(&["--from", "horizon", "--count", "1000"]);
    assert_eq!(printed(&half).lines().collect::<BTreeSet<_>>().len(), 1000);
    world.server.kill();
    put.write(&numbered(1000..2000));
    world.server.start_again();
    assert_eq!(put.finished(), Some(0));
    // A call whose answer was lost may have stored its records before it was repeated.
    let mut tail = Running::start(world.kinelog(&["tail", STREAM, "--from", "horizon"]));
    let mut seen = BTreeSet::new();
    while seen.len() < 2000 {
        seen.insert(tail.line().parse::<u32>().unwrap());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), (0..2000).collect::<Vec<_>>());
    assert_eq!(tail.interrupted(), Some(0));
}

#[tokio::test]
async fn records_of_a_key_are_tailed_in_order_across_reshards() {
    let world = World::with_stream(2).await;
    let client = world.server.client(50);
    let count = ["--from", "horizon", "--json", "--count", "4000"];
    let tail =
        world.kinelog(&[&["tail", STREAM], &count[..]].concat()).stdout(Stdio::piped()).spawn();
    for (round, target) in [3, 4, 2, 1].into_iter().enumerate() {
        let lines: String = (0..1000)
            .map(|place| {
                format!(r#"{{"user":{{"id":{}}},"n":{}}}"#, place % 37, round * 1000 + place)
            })
            .map(|line| line + "\n")
            .collect();
        told(&world.put(lines, &["--key-field", "user.id"]), 0);
        let update = client.update_shard_count().stream_name(STREAM).target_shard_count(target);
        update.scaling_type(ScalingType::UniformScaling).send().await.unwrap();
        active(&client).await;
    }
    let output = tail.unwrap().wait_with_output().unwrap();
    let (mut last_of_key, mut shards, mut numbers) =
        (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
    for line in text(&output.stdout).lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let data: Value = serde_json::from_str(record["data"].as_str().unwrap()).unwrap();
        let (key, number) = (record["key"].to_string(), data["n"].as_u64().unwrap());
        assert_eq!(record["key"], data["user"]["id"].to_string());
        let before = last_of_key.insert(key, number);
        assert!(before.is_none_or(|before| before < number), "{line}");
        shards.insert(record["shard"].to_string());
        numbers.insert(number);
    }
    assert_eq!(numbers.len(), 4000);
    assert!(shards.len() > 4, "{shards:?}");
}

#[tokio::test]
async fn a_tail_from_now_prints_what_comes_and_nothing_older() {
    let world = World::with_stream(2).await;
    told(&world.put("old\n", &[]), 0);
    let mut tail = Running::start(world.kinelog(&["tail", STREAM]));
    let (send, lines) = std::sync::mpsc::channel();
    let first = std::thread::spawn(move || {
        let line = tail.line();
        send.send(()).unwrap();
        (line, tail.interrupted())
    });
    while lines.try_recv().is_err() {
        told(&world.put("new\n", &[]), 0);
    }
    assert_eq!(first.join().unwrap(), ("new".to_owned(), Some(0)));
}

#[tokio::test]
async fn a_tail_whose_reader_goes_away_ends_quietly() {
    let world = World::with_stream(1).await;
    told(&world.put("a\nb\n", &["--key", "k"]), 0);
    let mut command = world.kinelog(&["tail", STREAM, "--from", "horizon"]);
    let mut tail = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "a");
    drop(lines);
    assert_eq!(told(&tail.wait_with_output().unwrap(), 0), "");
}

#[tokio::test]
async fn what_a_shard_refuses_is_put_again_until_all_is_stored() {
    let world = World::new(&["--limits", "aws"]);
    world.create(1).await;
    let output = world.put(numbered(0..1500), &["--key", "k", "--ordered"]);
    told(&output, 0);
    let output = world.put(numbered(1500..3500), &["--key", "k"]);
    let summary = told(&output, 0);
    assert!(summary.contains("2,000 records (8.00 kB) put into clicks in "), "{summary}");
    assert!(summary.contains(" throttled"), "{summary}");
    let printed = printed(&world.tail(&["--from", "horizon", "--count", "3500"]));
    let numbers: Vec<u32> = printed.lines().map(|line| line.parse().unwrap()).collect();
    assert!(numbers[..1500].is_sorted(), "--ordered keeps the order of a key");
    assert_eq!(numbers.into_iter().collect::<BTreeSet<_>>().len(), 3500);
}

#[tokio::test]
async fn faults_of_the_endpoint_cost_and_double_no_record() {
    let faults = [
        "PutRecords:p=0.3:partial=0.4",
        "PutRecords:p=0.2:cut",
        "PutRecords:p=0.2:error=InternalFailure",
        "GetRecords:p=0.3:expire",
        "GetRecords:p=0.2:throttle",
        "GetShardIterator:count=2:error=InternalFailure",
        "SubscribeToShard:count=1:in-stream=InternalFailure",
    ];
    let faults = faults.map(|fault| format!("--fault={fault}"));
    let mut flags = vec!["--limits", "off", "--transition-ms", "0", "--fault-seed", "7"];
    flags.extend(faults.iter().map(String::as_str));
    let world = World::new(&flags);
    world.create(1).await;
    let lines: String = (0..200).map(|n| format!(r#"{{"k":{},"n":{n}}}"#, n % 20) + "\n").collect();
    let summary = told(&world.put(&lines, &["--key-field", "k", "--ordered"]), 0);
    assert!(summary.contains("200 records") && summary.contains(" sent again"), "{summary}");
    for options in [&[][..], &["--fan-out"]] {
        let tail = [&["--from", "horizon", "--count", "200"], options].concat();
        let mut of_key = BTreeMap::<u64, Vec<u64>>::new();
        for line in printed(&world.tail(&tail)).lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            let [key, number] = ["k", "n"].map(|name| record[name].as_u64().unwrap());
            of_key.entry(key).or_default().push(number);
        }
        let expected = (0..20).map(|key| (key, (key..200).step_by(20).collect()));
        assert_eq!(of_key, expected.collect(), "{options:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_put_is_told_with_the_place_to_go_on_from() {
    let world = World::with_stream(1).await;
    let output = world.put("{\"u\":1}\n{\"u\":2}\n{}\n{\"u\":4}\n", &["--key-field", "u"]);
    let sentence = told(&output, 1);
    let last = sentence.lines().last().unwrap();
    assert_eq!(last, "kinelog: record 3 has no u; the records before it are stored");
    let tailed = world.tail(&["--from", "horizon", "--count", "2"]);
    assert_eq!(printed(&tailed), "{\"u\":1}\n{\"u\":2}\n");

    let long = "x".repeat((1 << 20) + 1);
    let output = world.put(format!("a\n{long}\nb\n"), &["--key", "k"]);
    let sentence = told(&output, 1);
    assert!(sentence.contains("record 2 is refused: ValidationException: 1 validation error"));

    let nowhere = fed(world.kinelog(&["put", "nowhere"]), b"a\n");
    let last = "kinelog: ResourceNotFoundException: Stream nowhere under account 000000000000 not \
                found.\n";
    assert!(told(&nowhere, 1).ends_with(last));
    let nowhere = world.kinelog(&["tail", "nowhere"]).output().unwrap();
    assert_eq!(told(&nowhere, 1), last);
}

#[tokio::test]
async fn an_interrupted_put_has_stored_what_it_read() {
    let world = World::with_stream(1).await;
    let mut put = Running::start(world.kinelog(&["put", STREAM]));
    put.write("a\nb\n");
    assert_eq!(printed(&world.tail(&["--from", "horizon", "--count", "2"])).lines().count(), 2);
    assert_eq!(put.interrupted(), Some(130));
}

#[test]
fn an_endpoint_that_is_not_there_is_told_at_once() {
    let home = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{nobody}");
    let output = fed(bare(home.path(), &["put", "s", "--endpoint", &endpoint]), b"a\n");
    let sentence = told(&output, 1);
    assert!(sentence.contains(&format!("{endpoint} cannot be reached: ")), "{sentence}");
    let output = bare(home.path(), &["tail", "s", "--endpoint=aws"]).output().unwrap();
    let expected = "kinelog: the region of AWS is not known; give --region or set AWS_REGION\n";
    assert_eq!(told(&output, 1), expected);
    for (arguments, words) in [
        (["tail", "s", "--from=soon"], "a position is `latest`, `horizon`, a time"),
        (["put", "s", "--rate=0"], "a rate is a number above 0"),
        (["put", "s", "--endpoint=x:1"], "an endpoint is a URL such as http://127.0.0.1:4567"),
    ] {
        let sentence = told(&bare(home.path(), &arguments).output().unwrap(), 2);
        assert!(sentence.contains(words) && sentence.lines().count() == 1, "{sentence}");
    }
}

#[tokio::test]
async fn certificates_are_checked_unless_told_otherwise() {
    let world = World::new(&["--tls", "self-signed", "--limits", "off", "--transition-ms", "0"]);
    let client = world.server.tls_client(50);
    client.create_stream().stream_name(STREAM).shard_count(1).send().await.unwrap();
    active(&client).await;
    let endpoint = format!("https://localhost:{}", world.server.address().port());
    let authority = world.directory.path().join("data/tls/ca.pem");
    let put = |options: &[&str]| {
        let arguments = [&["put", STREAM, "--endpoint", &endpoint], options].concat();
        fed(bare(world.directory.path(), &arguments), b"a\n")
    };
    told(&put(&["--ca-cert", authority.to_str().unwrap()]), 0);
    told(&put(&["--insecure"]), 0);
    let other = world.directory.path().join("other.pem");
    std::fs::write(&other, "").unwrap();
    let sentence = told(&put(&["--ca-cert", other.to_str().unwrap()]), 1);
    assert!(sentence.contains("holds no usable certificate"), "{sentence}");
    let stranger = World::new(&["--tls", "self-signed"]);
    let strangers = stranger.directory.path().join("data/tls/ca.pem");
    let sentence = told(&put(&["--ca-cert", strangers.to_str().unwrap()]), 1);
    assert!(sentence.contains("invalid peer certificate"), "{sentence}");
}

#[tokio::test]
async fn a_tail_by_fan_out_follows_reshards_and_leaves_no_consumer() {
    let world = World::with_stream(2).await;
    let client = world.server.client(50);
    told(&world.put(numbered(0..500), &[]), 0);
    let mut tail =
        Running::start(world.kinelog(&["tail", STREAM, "--from", "horizon", "--fan-out"]));
    let mut seen: BTreeSet<u32> = (0..500).map(|_| tail.line().parse().unwrap()).collect();
    let update = client.update_shard_count().stream_name(STREAM).target_shard_count(4);
    update.scaling_type(ScalingType::UniformScaling).send().await.unwrap();
    active(&client).await;
    told(&world.put(numbered(500..1000), &[]), 0);
    seen.extend((0..500).map(|_| tail.line().parse::<u32>().unwrap()));
    assert_eq!(seen.len(), 1000);
    assert_eq!(consumers(&client).await, 1);
    assert_eq!(tail.interrupted(), Some(0));
    assert_eq!(consumers(&client).await, 0);
}

#[tokio::test]
async fn a_consumer_that_was_there_before_stays() {
    let world = World::with_stream(1).await;
    let client = world.server.client(50);
    told(&world.put("a\n", &[]), 0);
    let summary = client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
    let arn = summary.stream_description_summary.unwrap().stream_arn;
    let register = client.register_stream_consumer().stream_arn(arn).consumer_name("mine");
    register.send().await.unwrap();
    for name in ["mine", "other"] {
        let name = format!("--fan-out={name}");
        let tailed = world.tail(&["--from", "horizon", "--count", "1", &name]);
        assert_eq!(printed(&tailed), "a\n");
    }
    assert_eq!(consumers(&client).await, 1);
}

/// Registered consumers, once none is on its way out.
async fn consumers(client: &Client) -> usize {
    let summary = client.describe_stream_summary().stream_name(STREAM).send().await.unwrap();
    let arn = summary.stream_description_summary.unwrap().stream_arn;
    loop {
        let list = client.list_stream_consumers().stream_arn(&arn).send().await.unwrap();
        let consumers = list.consumers.unwrap_or_default();
        if consumers.iter().all(|consumer| consumer.consumer_status != ConsumerStatus::Deleting) {
            return consumers.len();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_stream_that_is_still_being_made_is_waited_for() {
    let world = World::new(&["--limits", "off", "--transition-ms", "300"]);
    told(&world.kinelog(&["streams", "create", STREAM, "--shards", "1"]).output().unwrap(), 0);
    let tail = world.kinelog(&["tail", STREAM, "--from", "horizon", "--count", "1"]);
    let mut tail = Running::start(tail);
    told(&world.put("a\n", &[]), 0);
    assert_eq!(tail.line(), "a");
    assert_eq!(tail.finished(), Some(0));
}

#[tokio::test]
async fn streams_are_made_listed_shown_and_deleted() {
    let world = World::new(&["--limits", "off"]);
    let streams =
        |arguments: &[&str]| world.kinelog(&[&["streams"], arguments].concat()).output().unwrap();
    let output = streams(&["create", STREAM, "--shards", "2", "--wait"]);
    assert_eq!(
        (told(&output, 0).as_str(), text(&output.stdout)),
        ("kinelog: clicks can be used\n", String::new())
    );
    told(&streams(&["create", "more", "--wait"]), 0);
    let list = printed(&streams(&[]));
    assert_eq!(printed(&streams(&["list"])), list);
    let lines: Vec<_> = list.lines().map(|line| line.split("  ").next().unwrap()).collect();
    assert_eq!(lines, ["NAME", "clicks", "more"]);
    assert!(list.contains("  ACTIVE  ON_DEMAND    2"), "{list}");

    let client = world.server.client(50);
    let merge = client.merge_shards().stream_name(STREAM).shard_to_merge("shardId-000000000000");
    merge.adjacent_shard_to_merge("shardId-000000000001").send().await.unwrap();
    active(&client).await;
    let shown = printed(&streams(&["describe", STREAM]));
    let (facts, shards) = shown.split_once("\n\n").unwrap();
    assert!(facts.contains("Shards      1 open, 2 closed\n"), "{facts}");
    let shards: Vec<Vec<_>> = shards
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|entry| !entry.is_empty()).collect())
        .collect();
    assert_eq!(
        shards[0],
        ["SHARD", "STATE", "SHARE", "PARENTS", "AGE", "STARTING SEQUENCE NUMBER"]
    );
    assert_eq!(shards[1][..4], ["shardId-000000000000", "closed", "50.0 %", "-"]);
    assert_eq!(shards[3][..4], ["shardId-000000000002", "open", "100.0 %", "0 + 1"]);

    told(&streams(&["delete", STREAM, "--wait"]), 0);
    assert!(!printed(&streams(&[])).contains(STREAM));
    let gone = "kinelog: ResourceNotFoundException: Stream clicks under account 000000000000 not \
                found.\n";
    assert_eq!(told(&streams(&["describe", STREAM]), 1), gone);
    assert_eq!(told(&streams(&["delete", STREAM]), 1), gone);
}
