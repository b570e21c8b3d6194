//! Rows about retention, tags and policies.

use super::*;

const INCREASE: &str = "IncreaseStreamRetentionPeriod";
const DECREASE: &str = "DecreaseStreamRetentionPeriod";

fn hours(hours: i64) -> Json {
    json!({"StreamName": "s", "RetentionPeriodHours": hours})
}

#[test]
fn e25_retention_too_short() {
    let service = Service::with_stream(1);
    for (operation, asked) in [(DECREASE, 23), (INCREASE, 0), (DECREASE, -1)] {
        let text = format!(
            "Minimum allowed retention period is 24 hours. Requested retention period ({asked} \
             hours) is too short."
        );
        service.refused(operation, &hours(asked), INVALID, &text);
    }
}

#[test]
fn e26_retention_too_long() {
    let service = Service::with_stream(1);
    for operation in [INCREASE, DECREASE] {
        let text = "Maximum allowed retention period is 8760 hours. Requested retention period \
                    (8761 hours) is too long.";
        service.refused(operation, &hours(8761), INVALID, text);
    }
    service.ok(INCREASE, &hours(8760));
}

#[test]
fn e27_increase_to_less() {
    let service = Service::with_stream(1);
    service.ok(INCREASE, &hours(48));
    service.advance_ms(TRANSITION_MS);
    let text = "Requested retention period (47 hours) for stream s can not be shorter than \
                existing retention period (48 hours). Use DecreaseRetentionPeriod API.";
    service.refused(INCREASE, &hours(47), INVALID, text);
    service.ok(INCREASE, &hours(48));
}

#[test]
fn e28_decrease_to_more() {
    let service = Service::with_stream(1);
    let text = "Requested retention period (25 hours) for stream s can not be longer than \
                existing retention period (24 hours). Use IncreaseRetentionPeriod API.";
    service.refused(DECREASE, &hours(25), INVALID, text);
    service.ok(DECREASE, &hours(24));
}

/// The calls that add tags to stream `s`, and the one that would make it.
fn add(tags: &Json) -> Vec<(&'static str, Json)> {
    vec![
        ("AddTagsToStream", json!({"StreamName": "s", "Tags": tags})),
        ("TagResource", json!({"ResourceARN": arn("s"), "Tags": tags})),
    ]
}

/// The calls that remove a tag from stream `s`.
fn remove(key: &str) -> Vec<(&'static str, Json)> {
    vec![
        ("RemoveTagsFromStream", json!({"StreamName": "s", "TagKeys": [key]})),
        ("UntagResource", json!({"ResourceARN": arn("s"), "TagKeys": [key]})),
    ]
}

#[test]
fn e31_characters_of_tags() {
    let service = Service::with_stream(1);
    let text = "Some tags contain invalid characters. Valid characters: Unicode letters, digits, \
                white space, _ . / = + - % @.";
    for odd in ["a;", "a!", "<a>", "a\u{7}", "\u{1f600}"] {
        let calls = [add(&json!({odd: "v"})), add(&json!({"k": odd})), remove(odd)];
        for (operation, body) in calls.concat() {
            service.refused(operation, &body, INVALID, text);
        }
    }
    for (operation, body) in add(&json!({"\u{fc} 1_./=+-@": "\u{5b57}"})) {
        service.ok(operation, &body);
    }
}

#[test]
fn e32_percent_sign_in_a_tag() {
    let service = Service::with_stream(1);
    let text = |doing: &str| {
        format!(
            "Failed to {doing} stream s under account 123456789012 because some tags contained \
             illegal characters. The allowed characters are Unicode letters, white-spaces, \
             '_',',','/','=','+','-','@'."
        )
    };
    for (operation, body) in [add(&json!({"%": "v"})), add(&json!({"k": "5%"}))].concat() {
        service.refused(operation, &body, INVALID, &text("add tags to"));
    }
    for (operation, body) in remove("%") {
        service.refused(operation, &body, INVALID, &text("remove tags from"));
    }
}

#[test]
fn e33_too_many_tags() {
    let service = Service::with_stream(1);
    let tags = |from: u32, to: u32| -> Json {
        let tags = (from..to).map(|n| (n.to_string(), json!("v")));
        Json::Object(tags.collect())
    };
    let text = "Failed to add tags to stream s under account 123456789012 because a given stream \
                cannot have more than 50 tags associated with it.";
    for (operation, body) in add(&tags(0, 51)) {
        service.refused(operation, &body, INVALID, text);
    }
    service.ok("AddTagsToStream", &json!({"StreamName": "s", "Tags": tags(0, 30)}));
    for (operation, body) in add(&tags(20, 51)) {
        service.refused(operation, &body, INVALID, text);
    }
    for (operation, body) in add(&tags(20, 50)) {
        service.ok(operation, &body);
    }
}

#[test]
fn e39_no_policy_to_delete() {
    let service = Service::with_stream(1);
    let text = format!("No resource policy found for resource ARN {}", arn("s"));
    let body = json!({"ResourceARN": arn("s")});
    service.refused("DeleteResourcePolicy", &body, NOT_FOUND, &text);
    service.ok("PutResourcePolicy", &json!({"ResourceARN": arn("s"), "Policy": policy("s")}));
    service.ok("DeleteResourcePolicy", &body);
    assert_eq!(service.ok("GetResourcePolicy", &body), json!({"Policy": "{}"}));
    service.refused("DeleteResourcePolicy", &body, NOT_FOUND, &text);
}
