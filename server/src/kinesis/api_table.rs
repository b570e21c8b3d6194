//! The operations and the shapes of their input as JSON, in the words of the published service
//! model, so that a program can lay the two side by side.

use serde_json::{Map, Value, json};

use super::Operation;
use crate::aws::shape::{Shape, Structure};

/// Each operation by its name, with its input.
pub fn api_table() -> Value {
    let input = |operation: &Operation| structure(operation.shape());
    Operation::ALL.iter().map(|it| (it.name().to_owned(), input(it))).collect::<Map<_, _>>().into()
}

fn structure(shape: &Structure) -> Value {
    let members: Map<_, _> =
        shape.members.iter().map(|it| (it.name.to_owned(), described(&it.shape))).collect();
    let required: Vec<_> =
        shape.members.iter().filter(|it| it.required).map(|it| it.name).collect();
    json!({ "type": "structure", "members": members, "required": required })
}

fn described(shape: &Shape) -> Value {
    match shape {
        Shape::Text { length, pattern, one_of } => {
            let mut text = bounded("string", *length);
            if let Some((printed, _)) = pattern {
                text["pattern"] = json!(printed);
            }
            if let Some(words) = one_of {
                text["enum"] = json!(words);
            }
            text
        }
        Shape::Integer { min, max } => with_bounds(json!({ "type": "integer" }), *min, *max),
        Shape::Boolean => json!({ "type": "boolean" }),
        Shape::Blob { max } => json!({ "type": "blob", "max": max }),
        Shape::Timestamp => json!({ "type": "timestamp" }),
        Shape::List { of, length } => {
            let mut list = bounded("list", *length);
            list["member"] = described(of);
            list
        }
        Shape::TextMap { length, key, value } => {
            let mut map = bounded("map", *length);
            map["key"] = bounded("string", Some(*key));
            map["value"] = bounded("string", Some(*value));
            map
        }
        Shape::Structure(nested) => structure(nested),
    }
}

fn bounded(kind: &str, length: Option<(usize, usize)>) -> Value {
    with_bounds(json!({ "type": kind }), length.map(|it| it.0), length.map(|it| it.1))
}

fn with_bounds<T: Into<Value>>(mut shape: Value, min: Option<T>, max: Option<T>) -> Value {
    if let Some(min) = min {
        shape["min"] = min.into();
    }
    if let Some(max) = max {
        shape["max"] = max.into();
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_is_told_in_the_words_of_the_model() {
        let table = api_table();
        let input = &table["ListShards"];
        assert_eq!(input["required"], json!([]));
        assert_eq!(
            input["members"]["StreamName"],
            json!({ "type": "string", "min": 1, "max": 128, "pattern": "[a-zA-Z0-9_.-]+" })
        );
        assert_eq!(
            input["members"]["MaxResults"],
            json!({ "type": "integer", "min": 1, "max": 10_000 })
        );
        assert_eq!(input["members"]["ShardFilter"]["required"], json!(["Type"]));
        let records = &table["PutRecords"]["members"]["Records"];
        assert_eq!((&records["min"], &records["max"]), (&json!(1), &json!(500)));
        assert_eq!(
            records["member"]["members"]["Data"],
            json!({ "type": "blob", "max": 10_485_760 })
        );
        assert_eq!(
            table["CreateStream"]["members"]["Tags"],
            json!({
                "type": "map", "min": 1, "max": 200,
                "key": { "type": "string", "min": 1, "max": 128 },
                "value": { "type": "string", "min": 0, "max": 256 },
            })
        );
    }
}
