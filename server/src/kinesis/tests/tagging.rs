//! Tags of streams and consumers, by both families of operations.

use super::*;

const INVALID: &str = "Some tags contain invalid characters. Valid characters: Unicode letters, \
                       digits, white space, _ . / = + - % @.";
const CONSUMER: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/s/consumer/c:1764791334";

/// The operations of one family, and the member that names the stream `s` to them.
struct Family {
    add: Operation,
    remove: Operation,
    list: Operation,
    named: Json,
}

fn families() -> [Family; 3] {
    let by_stream = |named| Family {
        add: Operation::AddTagsToStream,
        remove: Operation::RemoveTagsFromStream,
        list: Operation::ListTagsForStream,
        named,
    };
    let by_resource = Family {
        add: Operation::TagResource,
        remove: Operation::UntagResource,
        list: Operation::ListTagsForResource,
        named: json!({"ResourceARN": arn("s")}),
    };
    let by_arn = by_stream(json!({"StreamARN": arn("s")}));
    [by_stream(json!({"StreamName": "s"})), by_arn, by_resource]
}

impl Family {
    fn body(&self, member: &str, value: Json) -> Json {
        let mut body = self.named.clone();
        body[member] = value;
        body
    }

    async fn add(&self, world: &World, tags: Json) {
        assert_eq!(world.ok(self.add, self.body("Tags", tags)).await, Json::Null);
    }

    async fn remove(&self, world: &World, keys: Json) {
        assert_eq!(world.ok(self.remove, self.body("TagKeys", keys)).await, Json::Null);
    }

    async fn tags(&self, world: &World) -> Vec<String> {
        let answer = world.ok(self.list, self.named.clone()).await;
        let tags = answer["Tags"].as_array().unwrap().iter();
        tags.map(|tag| {
            format!("{}={}", tag["Key"].as_str().unwrap(), tag["Value"].as_str().unwrap())
        })
        .collect()
    }
}

fn numbered(numbers: std::ops::Range<u32>) -> Json {
    numbers.map(|n| (format!("key-{n:02}"), json!("v"))).collect::<serde_json::Map<_, _>>().into()
}

#[tokio::test]
async fn tags_are_added_replaced_removed_and_listed_by_key() {
    for family in families() {
        let mut world = World::with_stream(1).await;
        assert!(family.tags(&world).await.is_empty());
        family.add(&world, json!({"b": "1", "a": "2", "Z": ""})).await;
        family.add(&world, json!({"b": "3", "_./=+-@: \u{fc}\u{4e2d}9": " "})).await;
        let all = ["Z=", "_./=+-@: \u{fc}\u{4e2d}9= ", "a=2", "b=3"];
        assert_eq!(family.tags(&world).await, all);
        family.remove(&world, json!(["a", "Z", "never there"])).await;
        world.restart().await;
        assert_eq!(family.tags(&world).await, [all[1], all[3]]);
    }
}

#[tokio::test]
async fn both_families_show_the_same_tags() {
    let world = World::new(Limits::OFF).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1, "Tags": {"made": "with it"}})).await;
    let [by_name, _, by_resource] = families();
    by_name.add(&world, json!({"added": "by name"})).await;
    by_resource.add(&world, json!({"tagged": "by ARN"})).await;
    for family in families() {
        assert_eq!(family.tags(&world).await, ["added=by name", "made=with it", "tagged=by ARN"]);
    }
}

#[tokio::test]
async fn characters_are_checked_in_two_steps() {
    let world = World::with_stream(1).await;
    let illegal = |doing: &str| {
        format!(
            "Failed to {doing} stream s under account 123456789012 because some tags contained \
             illegal characters. The allowed characters are Unicode letters, white-spaces, \
             '_',',','/','=','+','-','@'."
        )
    };
    for family in families() {
        for tags in [json!({"\u{1}": "v"}), json!({"k": "v!"}), json!({"ok": "", "%": "#"})] {
            let body = family.body("Tags", tags);
            world.refused(family.add, body, Kind::InvalidArgument, INVALID).await;
        }
        for tags in [json!({"%": "v"}), json!({"k": "50%"})] {
            let (body, text) = (family.body("Tags", tags), illegal("add tags to"));
            world.refused(family.add, body, Kind::InvalidArgument, &text).await;
        }
        let body = family.body("TagKeys", json!(["ok", "*"]));
        world.refused(family.remove, body, Kind::InvalidArgument, INVALID).await;
        let (body, text) =
            (family.body("TagKeys", json!(["ok", "%"])), illegal("remove tags from"));
        world.refused(family.remove, body, Kind::InvalidArgument, &text).await;
        assert!(family.tags(&world).await.is_empty());
    }
}

#[tokio::test]
async fn a_stream_has_fifty_tags_at_most() {
    for family in families() {
        let world = World::with_stream(1).await;
        family.add(&world, numbered(0..49)).await;
        let text = "Failed to add tags to stream s under account 123456789012 because a given \
                    stream cannot have more than 50 tags associated with it.";
        for tags in [numbered(48..51), numbered(0..51)] {
            let body = family.body("Tags", tags);
            world.refused(family.add, body, Kind::InvalidArgument, text).await;
        }
        assert_eq!(family.tags(&world).await.len(), 49);
        family.add(&world, numbered(48..50)).await;
        family.add(&world, json!({"key-00": "another value"})).await;
        assert_eq!(family.tags(&world).await.len(), 50);
    }
}

#[tokio::test]
async fn tags_of_a_stream_come_in_pages() {
    let world = World::with_stream(1).await;
    families()[0].add(&world, numbered(0..5)).await;
    for (after, limit, keys, more) in [
        (None, Some(2), "key-00 key-01", true),
        (Some("key-01"), Some(2), "key-02 key-03", true),
        (Some("key-03"), Some(2), "key-04", false),
        (Some("key-02"), None, "key-03 key-04", false),
        (Some("key-02x"), None, "key-03 key-04", false),
        (None, Some(5), "key-00 key-01 key-02 key-03 key-04", false),
        (Some("key-04"), Some(50), "", false),
    ] {
        let mut body = json!({"StreamName": "s"});
        if let Some(key) = after {
            body["ExclusiveStartTagKey"] = json!(key);
        }
        if let Some(limit) = limit {
            body["Limit"] = json!(limit);
        }
        let answer = world.ok(Operation::ListTagsForStream, body).await;
        assert_eq!(texts(&answer["Tags"], "Key").join(" "), keys, "{after:?} {limit:?}");
        assert_eq!(answer["HasMoreTags"], json!(more), "{after:?} {limit:?}");
    }
}

#[tokio::test]
async fn constraints_on_tags_are_told() {
    let world = World::with_stream(1).await;
    let told = |value: &str, place: &str, rule: &str| {
        format!(
            "1 validation error detected: Value {value} at '{place}' failed to satisfy \
             constraint: {rule}"
        )
    };
    let long = "k".repeat(129);
    let key_rule = "[Member must have length less than or equal to 128, \
                    Member must have length greater than or equal to 1]";
    for family in families() {
        for (operation, member, value, printed, rule) in [
            (
                family.add,
                "Tags",
                json!(null),
                "null".to_owned(),
                "Member must not be null".to_owned(),
            ),
            (
                family.add,
                "Tags",
                json!({}),
                "'{}'".to_owned(),
                "Member must have length greater than or equal to 1".to_owned(),
            ),
            (
                family.add,
                "Tags",
                json!({long.clone(): "v"}),
                format!("'{{{long}=v}}'"),
                format!("Map keys must satisfy constraint: {key_rule}"),
            ),
            (
                family.remove,
                "TagKeys",
                json!([long]),
                format!("'[{long}]'"),
                format!("Member must satisfy constraint: {key_rule}"),
            ),
            (
                family.remove,
                "TagKeys",
                json!([]),
                "'[]'".to_owned(),
                "Member must have length greater than or equal to 1".to_owned(),
            ),
        ] {
            let place = if member == "Tags" { "tags" } else { "tagKeys" };
            let text = told(&printed, place, &rule);
            world.refused(operation, family.body(member, value), Kind::Validation, &text).await;
        }
    }
    for (limit, bound) in [(0, "greater than or equal to 1"), (51, "less than or equal to 50")] {
        let rule = format!("Member must have value {bound}");
        let text = told(&format!("'{limit}'"), "limit", &rule);
        let body = json!({"StreamName": "s", "Limit": limit});
        world.refused(Operation::ListTagsForStream, body, Kind::Validation, &text).await;
    }
    let text = told(
        "'arn:aws:kinesis:us-east-1:123456789012:table/s'",
        "resourceARN",
        "Member must satisfy regular expression pattern: \
         arn:aws.*:kinesis:.*:\\d{12}:.*(stream|channel|queue)/\\S+",
    );
    let body = json!({"ResourceARN": "arn:aws:kinesis:us-east-1:123456789012:table/s"});
    world.refused(Operation::ListTagsForResource, body, Kind::Validation, &text).await;
}

#[tokio::test]
async fn tags_of_a_stream_in_the_making_cannot_be_changed() {
    let world = World::new(Limits::OFF).await;
    let body = json!({"StreamName": "s", "ShardCount": 1, "Tags": {"k": "v"}});
    world.ok(Operation::CreateStream, body).await;
    let text = "Stream s under account 123456789012 not ACTIVE, instead in state CREATING";
    for family in families() {
        assert_eq!(family.tags(&world).await, ["k=v"]);
        // The state comes before the characters.
        let body = family.body("Tags", json!({"!": "v"}));
        world.refused(family.add, body, Kind::ResourceInUse, text).await;
        let body = family.body("TagKeys", json!(["k"]));
        world.refused(family.remove, body, Kind::ResourceInUse, text).await;
    }
    world.clock.advance_ms(TRANSITION_MS);
    let body = json!({"StreamName": "s", "RetentionPeriodHours": 48});
    world.ok(Operation::IncreaseStreamRetentionPeriod, body).await;
    families()[0].add(&world, json!({"while": "updating"})).await;
}

#[tokio::test]
async fn tags_of_nothing_are_not_found() {
    let world = World::new(Limits::OFF).await;
    let calls = |family: &Family| {
        [
            (family.add, family.body("Tags", json!({"!": "v"}))),
            (family.remove, family.body("TagKeys", json!(["!"]))),
            (family.list, family.named.clone()),
        ]
    };
    let kind = Kind::ResourceNotFound;
    for (operation, body) in families().iter().flat_map(calls) {
        let text = "Stream s under account 123456789012 not found.";
        world.refused(operation, body, kind, text).await;
    }
    let head = "arn:aws:kinesis:us-east-1:123456789012";
    let foreign = "arn:aws:kinesis:us-east-1:999999999999:stream/s";
    let elsewhere = "arn:aws:kinesis:eu-west-1:123456789012:stream/s";
    for (arn, text) in [
        (format!("{head}:queue/q-1"), format!("Resource {head}:queue/q-1 not found.")),
        (format!("{head}:channel/c"), format!("Resource {head}:channel/c not found.")),
        (CONSUMER.to_owned(), "Stream s under account 123456789012 not found.".to_owned()),
        (foreign.to_owned(), "Stream s under account 999999999999 not found.".to_owned()),
        (elsewhere.to_owned(), "Stream s under account 123456789012 not found.".to_owned()),
    ] {
        let family =
            Family { named: json!({"ResourceARN": arn}), ..families().into_iter().last().unwrap() };
        for (operation, body) in calls(&family) {
            world.refused(operation, body, kind, &text).await;
        }
    }
}

#[tokio::test]
async fn consumers_have_tags_of_their_own() {
    let mut world = World::with_stream(1).await;
    let body = json!({"StreamARN": arn("s"), "ConsumerName": "c", "Tags": {"0": "given"}});
    let answer = world.ok(Operation::RegisterStreamConsumer, body).await;
    assert_eq!(answer["Consumer"]["ConsumerARN"], CONSUMER);
    let [by_name, _, mut consumer] = families();
    consumer.named = json!({"ResourceARN": CONSUMER});
    consumer.add(&world, json!({"k": "1", "l": "2"})).await;
    by_name.add(&world, json!({"of": "the stream"})).await;
    consumer.remove(&world, json!(["k"])).await;
    world.restart().await;
    assert_eq!(consumer.tags(&world).await, ["0=given", "l=2"]);
    assert_eq!(by_name.tags(&world).await, ["of=the stream"]);
    let text = "Failed to add tags to consumer c under stream s under account 123456789012 because \
                a given consumer cannot have more than 50 tags associated with it.";
    let body = consumer.body("Tags", numbered(0..50));
    world.refused(consumer.add, body, Kind::InvalidArgument, text).await;
    for (arn, name) in
        [(CONSUMER.replace("334", "335"), "c"), (CONSUMER.replace("/c:", "/d:"), "d")]
    {
        let text = format!("Consumer {name} under stream s under account 123456789012 not found.");
        let body = json!({"ResourceARN": arn});
        world.refused(Operation::ListTagsForResource, body, Kind::ResourceNotFound, &text).await;
    }
}
