//! `NextToken`: only tokens that were issued for this operation, this caller and this listing go on,
//! and whatever stands under a right seal, nothing answers 500.

use kinelog::aws::exception::Kind;
use kinelog::kinesis::Operation;
use kinelog::seal::{SEAL_BYTES, SealKey};
use serde_json::{Value as Json, json};

use crate::Seed;
use crate::choices::Choices;
use crate::world::{ACCOUNT, REGION, World, arn};
use crate::{block_on, with_world};

const OPERATIONS: [Operation; 3] =
    [Operation::ListStreams, Operation::ListShards, Operation::ListStreamConsumers];

/// The target: a token of anybody's, the content of one under a right seal, and a change of one that
/// was issued.
pub fn run(data: &[u8]) {
    with_world(|world| {
        block_on(async {
            let text = String::from_utf8_lossy(data);
            if (1..=1_048_576).contains(&text.encode_utf16().count()) {
                // A fuzzer that sees what is compared comes to make right seals.
                for operation in OPERATIONS.into_iter().filter(|it| !is_sealed(world, *it, &text)) {
                    refuses(world, operation, &text).await;
                }
            }
            let mut choices = Choices::new(data);
            check_changed(world, &mut choices).await;
            check_content(world, choices).await;
        });
    });
}

/// True for a text under the seal that an issued token has.
fn is_sealed(world: &World, operation: Operation, text: &str) -> bool {
    let Ok(bytes) = base64_simd::STANDARD.decode_to_vec(text) else { return false };
    let Some((sealed, seal)) = bytes.split_last_chunk::<SEAL_BYTES>() else { return false };
    let key = SealKey::new(world.context.engine.store_id());
    key.seal(operation.name(), &format!("{ACCOUNT}/{REGION}"), sealed) == *seal
}

fn body(operation: Operation, token: &str) -> Json {
    match operation {
        Operation::ListStreamConsumers => json!({"StreamARN": arn("s"), "NextToken": token}),
        _ => json!({"NextToken": token}),
    }
}

async fn refuses(world: &World, operation: Operation, token: &str) {
    let refused = world.run(operation, body(operation, token)).await;
    assert_eq!(refused.map_err(|it| it.kind), Err(Kind::InvalidArgument), "{operation:?} {token}");
}

/// A token that was issued, changed at one place, is none; nor is it one elsewhere.
async fn check_changed(world: &World, choices: &mut Choices<'_>) {
    let asked = [json!({"Limit": 1}), json!({"StreamName": "s", "MaxResults": 1})];
    let at = choices.below(2);
    let answer = world.ok(OPERATIONS[at], asked[at].clone()).await;
    let token = answer["NextToken"].as_str().expect("there is more than one of each");
    for operation in OPERATIONS.into_iter().filter(|it| *it != OPERATIONS[at]) {
        refuses(world, operation, token).await;
    }
    let mut changed = token.to_owned().into_bytes();
    let place = usize::from(choices.short()) % changed.len();
    changed[place] = b' ' + choices.byte() % 95;
    let changed = String::from_utf8(changed).expect("it is printable");
    if changed != token {
        refuses(world, OPERATIONS[at], &changed).await;
    }
    world.ok(OPERATIONS[at], body(OPERATIONS[at], token)).await;
}

async fn check_content(world: &World, mut choices: Choices<'_>) {
    let operation = OPERATIONS[choices.below(OPERATIONS.len())];
    let ago = u64::from(choices.short()) * 10;
    let mut bytes = (world.context.engine.now().0 - ago).to_be_bytes().to_vec();
    bytes.extend_from_slice(choices.rest());
    let key = SealKey::new(world.context.engine.store_id());
    let owner = format!("{ACCOUNT}/{REGION}");
    bytes.extend(key.seal(operation.name(), &owner, &bytes));
    let token = base64_simd::STANDARD.encode_to_string(&bytes);
    let answer = world.run(operation, body(operation, &token)).await;
    if let Err(refused) = answer {
        assert_eq!(refused.kind.status(), 400, "{refused}");
        let expired = refused.kind == Kind::ExpiredNextToken;
        assert!(!expired || ago > 300_000, "{refused}");
    }
}

/// Contents of tokens, right and wrong.
pub fn seeds() -> Vec<Seed> {
    let content =
        |operation: u8, text: &str| [&[0, 1, 0, 7, operation, 0, 0], text.as_bytes()].concat();
    vec![
        ("streams", content(0, "\"s\"")),
        ("shards", content(1, r#"{"stream":1,"after":0,"filter":null}"#)),
        ("consumers", content(2, r#"{"stream":1,"after":"c"}"#)),
        ("broken", content(1, "{")),
        ("nobody", b"AAAAAAAAAAEC".to_vec()),
    ]
}
