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
    let text = "NextToken and StreamName cannot be provided together.";
    for stream in [json!({"StreamName": "s"}), json!({"StreamARN": arn("s")})] {
        let mut body = stream;
        body["NextToken"] = listed["NextToken"].clone();
        service.refused("ListShards", &body, INVALID, text);
    }
}
