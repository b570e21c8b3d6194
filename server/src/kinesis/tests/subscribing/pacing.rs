//! When events come: signs of life, the rate of a consumer and a shard, and where the next
//! subscription goes on.

use super::*;

const MIB: usize = 1 << 20;
/// With its key the largest record that a call may have.
const LARGEST: usize = 10 * MIB - 1;

#[tokio::test]
async fn silence_never_lasts_five_seconds() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let mut subscriber = world.subscribe(&consumer, latest()).await;
    assert!(is_empty(&subscriber.event().await));
    for _ in 0..20 {
        world.clock.advance_ms(limits::EVENT_IDLE_MS - limits::EVENT_IDLE_JITTER_MS - 1);
        assert!(subscriber.is_silent());
        world.clock.advance_ms(limits::EVENT_IDLE_JITTER_MS + 1);
        assert!(is_empty(&subscriber.event().await));
    }
}

#[tokio::test]
async fn records_put_off_the_sign_of_life() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let mut subscriber = world.subscribe(&consumer, latest()).await;
    subscriber.event().await;
    world.clock.advance_ms(4_000);
    world.put("k", "x").await;
    assert_eq!(data(&subscriber.event().await), ["x"]);
    world.clock.advance_ms(4_000);
    assert!(subscriber.is_silent());
    world.clock.advance_ms(1_000);
    assert!(is_empty(&subscriber.event().await));
}

#[tokio::test]
async fn a_clock_set_back_delays_a_sign_of_life_but_does_not_stop_them() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let mut subscriber = world.subscribe(&consumer, latest()).await;
    subscriber.event().await;
    let now = world.context.engine.now();
    world.clock.set(Timestamp(now.0 - 3_600_000));
    assert!(subscriber.is_silent());
    world.clock.advance_ms(limits::EVENT_IDLE_MS);
    assert!(is_empty(&subscriber.event().await));
}

#[tokio::test]
async fn a_way_on_is_in_every_event_and_moves_with_time() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let mut subscriber = world.subscribe(&consumer, latest()).await;
    let mut last = String::new();
    for n in 0..4 {
        let event = subscriber.event().await;
        assert!(continuation(&event) > last.as_str(), "all have 56 digits");
        last = continuation(&event).to_owned();
        if n % 2 == 0 {
            let put = world.put("k", "x").await;
            assert!(put["SequenceNumber"].as_str().unwrap() > last.as_str());
        }
        world.clock.advance_ms(limits::EVENT_IDLE_MS);
    }
}

#[tokio::test]
async fn a_subscription_goes_on_where_the_one_before_ended() {
    let mut world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    let mut subscriber = world.subscribe(&consumer, latest()).await;
    let mut event = subscriber.event().await;
    assert!(is_empty(&event));
    let (mut put, mut seen) = (0, 0);
    for kind in ["AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"].into_iter().cycle().take(6) {
        // One that nobody has seen yet, in the very millisecond of the event.
        world.put("k", &put.to_string()).await;
        put += 1;
        let iterator = json!({"StartingSequenceNumber": continuation(&event)});
        let iterator = world.iterator("0", kind, iterator).await;
        let read = world.read(&iterator).await;
        assert_eq!(texts(&read["Records"], "Data"), [base64(seen.to_string().as_bytes())]);
        if put == 3 {
            world.restart().await;
        }
        world.clock.advance_ms(limits::TAKE_OVER_AFTER_MS);
        let from = json!({"Type": kind, "SequenceNumber": continuation(&event)});
        subscriber = world.subscribe(&consumer, from).await;
        event = subscriber.event().await;
        assert_eq!(data(&event), [seen.to_string()]);
        seen += 1;
    }
}

#[tokio::test]
async fn a_consumer_gets_two_mebibytes_a_second_of_a_shard() {
    let world = World::new(Limits::OFF).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1})).await;
    let consumer = consumer(&world, "c").await;
    for _ in 0..8 {
        world.put_large(&[MIB - 1]).await.unwrap();
    }
    let world = world.with_limits(Limits::AWS);
    let mut subscriber = world.subscribe(&consumer, horizon()).await;
    let mut sent = Vec::new();
    let mut now_ms = 0;
    while sent.len() < 8 {
        match subscriber.poll() {
            Poll::Ready(message) => {
                let event: Json = serde_json::from_slice(&message.unwrap().payload).unwrap();
                assert_eq!(data(&event).len(), 1);
                sent.push(now_ms);
            }
            Poll::Pending => {
                world.clock.advance_ms(1);
                now_ms += 1;
            }
        }
    }
    // A second's worth is there from the start, and one event goes on credit.
    assert_eq!(sent, [0, 0, 1, 501, 1001, 1501, 2001, 2501]);
}

#[tokio::test]
async fn the_credit_of_a_consumer_outlives_its_subscription() {
    let world = World::new(Limits::OFF).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1, "MaxRecordSizeInKiB": 10240})).await;
    let (one, two) = (consumer(&world, "c").await, consumer(&world, "d").await);
    world.put_large(&[LARGEST]).await.unwrap();
    world.put_large(&[LARGEST]).await.unwrap();
    let world = world.with_limits(Limits::AWS);
    let mut subscriber = world.subscribe(&one, horizon()).await;
    let first = subscriber.event().await;
    assert_eq!(first["Records"].as_array().unwrap().len(), 1);
    drop(subscriber);
    let from = json!({"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": continuation(&first)});
    world.clock.advance_ms(limits::TAKE_OVER_AFTER_MS);
    let mut subscriber = world.subscribe(&one, from.clone()).await;
    assert_eq!(subscriber.event().await["Records"].as_array().unwrap().len(), 1);
    drop(subscriber);
    let mut other = world.subscribe(&two, horizon()).await;
    assert!(!is_empty(&other.event().await), "consumers do not share it");
}

#[tokio::test]
async fn a_consumer_that_waits_for_credit_still_gets_signs_of_life() {
    let world = World::new(Limits::OFF).await;
    world.create(json!({"StreamName": "s", "ShardCount": 1, "MaxRecordSizeInKiB": 10240})).await;
    let consumer = consumer(&world, "c").await;
    for _ in 0..3 {
        world.put_large(&[LARGEST]).await.unwrap();
    }
    let world = world.with_limits("0.5".parse().unwrap());
    let mut subscriber = world.subscribe(&consumer, horizon()).await;
    assert!(!is_empty(&subscriber.event().await));
    world.clock.advance_ms(limits::EVENT_IDLE_MS);
    let event = subscriber.event().await;
    assert!(is_empty(&event) && event["MillisBehindLatest"] == limits::EVENT_IDLE_MS);
    world.clock.advance_ms(4_200);
    assert!(!is_empty(&subscriber.event().await));
}

#[tokio::test]
async fn without_limits_nothing_waits() {
    let world = World::with_stream(1).await;
    let consumer = consumer(&world, "c").await;
    for _ in 0..8 {
        world.put_large(&[MIB - 1]).await.unwrap();
    }
    let mut subscriber = world.subscribe(&consumer, horizon()).await;
    assert_eq!(subscriber.data(8).await.len(), 8);
}
