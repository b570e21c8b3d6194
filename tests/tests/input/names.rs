//! Names of users in the directory of the store: there are none.

use std::path::{Path, PathBuf};

use kinelog_tests::raw::{self, Answer, Connection};
use serde_json::json;

use super::{start, store};

/// In all names, whatever else they are.
const MARK: &str = "hostile";

/// Names that mean something to a file system, a shell or a format.
fn names() -> Vec<String> {
    let mut names: Vec<_> = [
        "../../../hostile",
        "..",
        ".",
        "hostile/..",
        "/hostile",
        "hostile/",
        "./hostile",
        "....hostile",
        "hostile.seg",
        ".hostile",
        "-hostile",
        "--data-dir=hostile",
        "hostile\0",
        "hostile\n",
        "hostile\\..\\x",
        "%2e%2e%2fhostile",
        "..%00hostile",
        "hostile;rm",
        "$(hostile)",
        "`hostile`",
        "~hostile",
        "hostile*",
        "hostile?",
        "|hostile",
        "hostile&",
        "hostile\u{202e}",
        "\u{ff0e}\u{ff0e}\u{ff0f}hostile",
        "CONhostile",
        "hostile:stream",
        "hostile lock",
        "hostile\u{1f4a3}",
        "LOCK",
        "catalog",
        "segments",
        "tls",
    ]
    .map(str::to_owned)
    .into();
    names.push(format!("hostile{}", "x".repeat(121)));
    names.push(format!("hostile{}", "x".repeat(5_000)));
    names
}

/// A call with a name in each place that takes one. It may be refused, and is answered.
fn calls(name: &str) -> Vec<(&'static str, serde_json::Value)> {
    let arn = format!("arn:aws:kinesis:us-east-1:000000000000:stream/{name}");
    let s_arn = "arn:aws:kinesis:us-east-1:000000000000:stream/s";
    vec![
        ("CreateStream", json!({"StreamName": name, "ShardCount": 1, "Tags": {name: name}})),
        ("PutRecord", json!({"StreamName": name, "PartitionKey": name, "Data": "aG9zdGlsZQ=="})),
        ("PutRecord", json!({"StreamName": "s", "PartitionKey": name, "Data": "aG9zdGlsZQ=="})),
        ("PutRecord", json!({"StreamARN": arn, "PartitionKey": name, "Data": "aG9zdGlsZQ=="})),
        ("RegisterStreamConsumer", json!({"StreamARN": s_arn, "ConsumerName": name})),
        ("RegisterStreamConsumer", json!({"StreamARN": arn, "ConsumerName": name})),
        ("AddTagsToStream", json!({"StreamName": "s", "Tags": {name: name}})),
        ("TagResource", json!({"ResourceARN": s_arn, "Tags": {name: name}})),
        (
            "StartStreamEncryption",
            json!({"StreamName": "s", "EncryptionType": "KMS", "KeyId": name}),
        ),
        ("PutResourcePolicy", json!({"ResourceARN": s_arn, "Policy": name})),
        (
            "GetShardIterator",
            json!({"StreamName": "s", "ShardId": name, "ShardIteratorType": "TRIM_HORIZON"}),
        ),
        ("GetRecords", json!({"ShardIterator": name})),
        ("ListShards", json!({"NextToken": name})),
        (
            "SplitShard",
            json!({"StreamName": "s", "ShardToSplit": name, "NewStartingHashKey": name}),
        ),
        ("DescribeStream", json!({"StreamName": name})),
        (
            "SubscribeToShard",
            json!({"ConsumerARN": name, "ShardId": name, "StartingPosition": {"Type": "LATEST"}}),
        ),
    ]
}

/// Everything below a directory.
fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(walk(&path));
        }
        found.push(path);
    }
    found
}

/// Paths the server has open, but for what is no file.
fn open_paths(process: u32) -> Vec<PathBuf> {
    let links = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let paths = links.filter_map(|link| std::fs::read_link(link.unwrap().path()).ok());
    paths.filter(|path| path.is_absolute() && !path.starts_with("/dev")).collect()
}

#[test]
fn names_never_reach_paths() {
    let outer = tempfile::tempdir().unwrap();
    // Room above it, so that a way up ends in the test's own directory.
    let parent = outer.path().join("a/b/c");
    for directory in ["a", "a/b", "a/b/c"] {
        std::fs::create_dir(outer.path().join(directory)).unwrap();
    }
    let server = start(&parent);
    let mut connection = Connection::open(server.address());
    let (mut taken, mut refused) = (0, 0);
    let mut open = Vec::new();
    for name in names() {
        for (operation, body) in calls(&name) {
            let mut other = Connection::open(server.address());
            let answer = other.exchange(raw::call(operation, body.to_string()));
            let Answer { status, .. } = answer.unwrap();
            assert!(status < 500, "{operation} {name:?}: {status}");
            *if status == 200 { &mut taken } else { &mut refused } += 1;
        }
        open.extend(open_paths(server.id()));
        store(&mut connection, "good");
    }
    eprintln!("{taken} calls with hostile names were taken, {refused} refused");
    assert!(taken > 50 && refused > 50, "{taken} {refused}");
    let data = parent.join("data");
    let outside: Vec<_> =
        walk(outer.path()).into_iter().filter(|path| !path.starts_with(&data)).collect();
    assert_eq!(outside, [parent.clone(), outer.path().join("a/b"), outer.path().join("a")]);
    let inside = walk(&data);
    assert!(inside.len() > 3, "{inside:?}");
    for path in &inside {
        let name = path.strip_prefix(&data).unwrap().to_str().unwrap();
        assert!(!name.contains(MARK) && name.is_ascii(), "{name}");
    }
    assert!(open.iter().any(|path| path.starts_with(&data)));
    for path in &open {
        assert!(path.starts_with(&data), "{} is open", path.display());
    }
}
