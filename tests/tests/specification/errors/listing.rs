//! Rows about lists.

use super::*;

#[test]
fn e29_neither_stream_nor_token() {
    let service = Service::new(Limits::OFF);
    let text = "Either NextToken or StreamName should be provided.";
    service.refused("ListShards", &json!({}), INVALID, text);
    service.refused("ListShards", &json!({"MaxResults": 1}), INVALID, text);
}

#[test]
fn e30_both_stream_and_token() {
    let service = Service::with_stream(2);
    let listed = service.ok("ListShards", &json!({"StreamName": "s", "MaxResults": 1}));
    for (member, stream) in [("StreamName", json!("s")), ("StreamARN", json!(arn("s")))] {
        let body = json!({"NextToken": listed["NextToken"], member: stream});
        let text = format!("NextToken and {member} cannot be provided together.");
        service.refused("ListShards", &body, INVALID, &text);
    }
}
