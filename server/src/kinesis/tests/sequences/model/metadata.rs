//! Everything a stream carries besides its records.

use super::*;

/// States in which tags and policies can be changed.
const TAKES_TAGS: &[State] = &[State::Active, State::Updating];
const METRICS: [&str; 7] = [
    "IncomingBytes",
    "IncomingRecords",
    "IteratorAgeMilliseconds",
    "OutgoingBytes",
    "OutgoingRecords",
    "ReadProvisionedThroughputExceeded",
    "WriteProvisionedThroughputExceeded",
];
const DAY_MS: u64 = 24 * HOUR_MS;

impl Carried {
    pub(super) fn add_tags(&mut self, tags: &Json) {
        for (key, value) in tags.as_object().into_iter().flatten() {
            self.tags.insert(key.clone(), value.as_str().unwrap().to_owned());
        }
    }

    fn tag_list(&self, after: &str) -> Vec<Json> {
        let tags = self.tags.iter().filter(|(key, _)| key.as_str() > after);
        tags.map(|(key, value)| json!({"Key": key, "Value": value})).collect()
    }
}

impl Consumer {
    fn describe(&self, stream: &str, name: &str) -> Json {
        let created = self.created_seconds;
        json!({
            "ConsumerName": name, "ConsumerARN": format!("{}/consumer/{name}:{created}", arn(stream)),
            "ConsumerStatus": self.state.name(),
            "ConsumerCreationTimestamp": seconds(created * 1000),
        })
    }
}

/// The consumer a request is about: its name, and the second it was registered in, if told.
fn consumer_named(body: &Json) -> (String, Option<u64>) {
    let mut arn = ["ConsumerARN", "ResourceARN"].iter().map(|name| text(body, name));
    match arn.find_map(|arn| arn.split_once("/consumer/")) {
        Some((_, consumer)) => {
            let (name, created) = consumer.split_once(':').unwrap();
            (name.to_owned(), created.parse().ok())
        }
        None => (text(body, "ConsumerName").to_owned(), None),
    }
}

impl Stream {
    pub(super) fn consumer(&mut self, body: &Json) -> Result<&mut Consumer, &'static str> {
        let (name, created) = consumer_named(body);
        let found = self.consumers.get_mut(&name);
        let is_meant =
            |it: &&mut Consumer| created.is_none_or(|created| created == it.created_seconds);
        found.filter(is_meant).ok_or(NOT_FOUND)
    }

    /// What the stream or consumer a request is about carries.
    fn carried(&mut self, body: &Json) -> Result<&mut Carried, &'static str> {
        if text(body, "ResourceARN").contains("/consumer/") {
            Ok(&mut self.consumer(body)?.carried)
        } else {
            Ok(&mut self.carried)
        }
    }

    /// Whether records are encrypted.
    pub(super) const fn encrypts(&self) -> bool {
        self.key.is_some()
    }

    pub(super) fn update(&mut self, now: u64) {
        (self.state, self.due) = (State::Updating, now + TRANSITION_MS);
    }
}

impl Model {
    pub(super) fn is_committed(&self) -> bool {
        self.commitment.is_some_and(|(_, end)| end.is_none_or(|end| self.now < end))
    }

    /// Calls about consumers, and about what streams and consumers carry.
    pub(super) fn call_about_resource(&mut self, operation: &str, body: &Json) -> Answer {
        let now = self.now;
        match operation {
            "RegisterStreamConsumer" => return self.register(body),
            "DescribeStreamConsumer" => {
                let stream = self.stream(body)?;
                let consumer = stream.consumer(body)?;
                let mut described = consumer.describe(&named(body), &consumer_named(body).0);
                described["StreamARN"] = json!(arn(&named(body)));
                return Ok(json!({"ConsumerDescription": described}));
            }
            "DeregisterStreamConsumer" => {
                let consumer = self.stream(body)?.consumer(body)?;
                if consumer.state != State::Deleting {
                    (consumer.state, consumer.due) = (State::Deleting, now + TRANSITION_MS);
                }
            }
            "ListStreamConsumers" => return self.list_consumers(body),
            "AddTagsToStream" | "TagResource" => {
                self.stream_in(TAKES_TAGS, body)?.carried(body)?.add_tags(&body["Tags"]);
            }
            "RemoveTagsFromStream" | "UntagResource" => {
                let tags = &mut self.stream_in(TAKES_TAGS, body)?.carried(body)?.tags;
                tags.retain(|key, _| !body["TagKeys"].as_array().unwrap().contains(&json!(key)));
            }
            "ListTagsForStream" => {
                let all = self.stream(body)?.carried.tag_list(text(body, "ExclusiveStartTagKey"));
                let (shown, has_more) = page(all, &body["Limit"], 50);
                return Ok(json!({"Tags": shown, "HasMoreTags": has_more}));
            }
            "ListTagsForResource" => {
                return Ok(json!({"Tags": self.stream(body)?.carried(body)?.tag_list("")}));
            }
            "PutResourcePolicy" | "DeleteResourcePolicy" => {
                let stream = self.stream_in(TAKES_TAGS, body)?;
                let of_consumer = text(body, "ResourceARN").contains("/consumer/");
                if of_consumer && stream.consumer(body)?.state != State::Active {
                    return Err(IN_USE);
                }
                let policy = &mut stream.carried(body)?.policy;
                let put = body["Policy"].as_str().map(str::to_owned);
                if put.is_none() && policy.is_none() {
                    return Err(NOT_FOUND);
                }
                *policy = put;
            }
            "GetResourcePolicy" => {
                let policy = self.stream(body)?.carried(body)?.policy.clone();
                return Ok(json!({"Policy": policy.as_deref().unwrap_or("{}")}));
            }
            _ => return self.call_about_settings(operation, body),
        }
        Ok(Json::Null)
    }

    /// Calls about the settings of streams and of the account.
    fn call_about_settings(&mut self, operation: &str, body: &Json) -> Answer {
        let now = self.now;
        match operation {
            "IncreaseStreamRetentionPeriod" => return self.change_retention(body, true),
            "DecreaseStreamRetentionPeriod" => return self.change_retention(body, false),
            "UpdateMaxRecordSize" => {
                let (stream, asked) =
                    (self.stream_in(&[State::Active], body)?, body["MaxRecordSizeInKiB"].as_u64());
                if stream.record_kib != asked.unwrap() {
                    stream.record_kib = asked.unwrap();
                    stream.update(now);
                }
            }
            "EnableEnhancedMonitoring" => return self.change_metrics(body, true),
            "DisableEnhancedMonitoring" => return self.change_metrics(body, false),
            "SplitShard" | "MergeShards" => return self.reshard(body),
            "UpdateShardCount" => return self.update_shard_count(body),
            "UpdateStreamMode" => return self.change_mode(body),
            "UpdateStreamRecordDistributionStrategy" => {
                let stream = self.stream_in(&[State::Active], body)?;
                let auto = text(body, "RecordDistributionStrategy") == "AUTO";
                if auto && !stream.on_demand {
                    return Err(INVALID);
                }
                stream.auto = auto;
            }
            "StartStreamEncryption" | "StopStreamEncryption" => {
                let stream = self.stream_in(&[State::Active], body)?;
                let starts = operation == "StartStreamEncryption";
                stream.next_key = starts.then(|| text(body, "KeyId").to_owned());
                stream.update(now);
            }
            "UpdateStreamWarmThroughput" => return self.warm_up(body),
            "DescribeLimits" => return Ok(self.limits()),
            "DescribeAccountSettings" => return Ok(self.account_settings()),
            "UpdateAccountSettings" => {
                let enable = body["MinimumThroughputBillingCommitment"]["Status"] == "ENABLED";
                match (&mut self.commitment, enable) {
                    (Some((_, end)), true) if end.is_none_or(|end| now < end) => *end = None,
                    (commitment, true) => *commitment = Some((now, None)),
                    (Some((begin, end @ None)), false) => *end = Some(now.max(*begin + DAY_MS)),
                    (_, false) => {}
                }
                return Ok(self.account_settings());
            }
            _ => panic!("the model knows nothing of {operation}"),
        }
        Ok(Json::Null)
    }
}

impl Model {
    fn register(&mut self, body: &Json) -> Answer {
        let now = self.now;
        let stream = self.stream_in(TAKES_TAGS, body)?;
        let name = text(body, "ConsumerName");
        if stream.consumers.contains_key(name) {
            return Err(IN_USE);
        }
        let mut carried = Carried::default();
        carried.add_tags(&body["Tags"]);
        let (created_seconds, state, due) = (now / 1000, State::Creating, now + TRANSITION_MS);
        let consumer = Consumer { created_seconds, state, due, carried };
        let described = consumer.describe(&named(body), name);
        stream.consumers.insert(name.to_owned(), consumer);
        Ok(json!({"Consumer": described}))
    }

    fn list_consumers(&mut self, body: &Json) -> Answer {
        let name = named(body);
        let page_asked = self.redeem("ListStreamConsumers", body)?;
        let after = page_asked.map_or_else(String::new, |page| page.after.clone());
        let of = page_asked.map(|page| page.stream);
        let stream = self.stream(body)?;
        if of.is_some_and(|of| of != stream.id) {
            return Err(INVALID);
        }
        let all = stream.consumers.iter().filter(|(name, _)| **name > after);
        let (shown, has_more) = page(all.collect(), &body["MaxResults"], 100);
        let last = shown.last().map(|(name, _)| (*name).clone());
        let items: Vec<_> =
            shown.iter().map(|(consumer, it)| it.describe(&name, consumer)).collect();
        let of = stream.id;
        let mut answer = json!({"Consumers": items});
        if let Some(last) = last.filter(|_| has_more) {
            answer["NextToken"] = self.issue("ListStreamConsumers", of, &last, None, &Json::Null);
        }
        Ok(answer)
    }

    /// The ARN of a consumer, whether there is one or not.
    pub(in super::super) fn consumer_arn(&self, stream: &str, consumer: &str) -> String {
        let found = self.streams.get(stream).and_then(|stream| stream.consumers.get(consumer));
        let created = found.map_or(1, |consumer| consumer.created_seconds);
        format!("{}/consumer/{consumer}:{created}", arn(stream))
    }

    fn change_retention(&mut self, body: &Json, increase: bool) -> Answer {
        let now = self.now;
        let asked = body["RetentionPeriodHours"].as_u64().unwrap();
        let stream = self.stream_in(&[State::Active], body)?;
        let existing = stream.retention_hours;
        let fits = if increase { asked >= existing } else { asked <= existing };
        if !fits || !(24..=8760).contains(&asked) {
            return Err(INVALID);
        }
        if asked != existing {
            // What is trimmed does not come back.
            stream.trimmed = stream.horizon(now);
            stream.retention_hours = asked;
            stream.update(now);
        }
        Ok(Json::Null)
    }

    fn change_metrics(&mut self, body: &Json, enable: bool) -> Answer {
        let (name, now) = (named(body), self.now);
        let asked = body["ShardLevelMetrics"].as_array().unwrap();
        let is_asked =
            |metric: &&str| asked.contains(&json!(metric)) || asked.contains(&json!("ALL"));
        let stream = self.stream_in(&[State::Active], body)?;
        let before = stream.metrics.clone();
        let stays = |metric: &&str| if is_asked(metric) { enable } else { before.contains(metric) };
        stream.metrics = METRICS.iter().copied().filter(stays).collect();
        let answer = json!({
            "StreamName": name, "StreamARN": arn(&name), "CurrentShardLevelMetrics": before,
            "DesiredShardLevelMetrics": stream.metrics,
        });
        if stream.metrics != before {
            stream.update(now);
        }
        Ok(answer)
    }

    fn change_mode(&mut self, body: &Json) -> Answer {
        let now = self.now;
        let stream = self.stream_in(&[State::Active], body)?;
        let on_demand = body["StreamModeDetails"]["StreamMode"] == "ON_DEMAND";
        if stream.on_demand != on_demand {
            stream.on_demand = on_demand;
            stream.auto &= on_demand;
            stream.warm_mibps = stream.warm_mibps.filter(|_| on_demand);
            stream.update(now);
        }
        Ok(Json::Null)
    }

    fn warm_up(&mut self, body: &Json) -> Answer {
        let (name, now, committed) = (named(body), self.now, self.is_committed());
        let target = body["WarmThroughputMiBps"].as_u64().unwrap();
        let stream = self.stream_in(&[State::Active], body)?;
        if !stream.on_demand || !committed {
            return Err(INVALID);
        }
        let open = stream.open().count();
        if stream.warm_mibps != Some(target) {
            stream.warm_mibps = Some(target);
            stream.update(now);
        }
        let warm = warm_throughput(target, open);
        Ok(json!({"StreamName": name, "StreamARN": arn(&name), "WarmThroughput": warm}))
    }

    /// With limits off, the limits are the server's own.
    fn limits(&self) -> Json {
        let open: usize = self.streams.values().map(|stream| stream.open().count()).sum();
        let on_demand = self.streams.values().filter(|stream| stream.on_demand).count();
        json!({
            "ShardLimit": 100_000, "OpenShardCount": open, "OnDemandStreamCount": on_demand,
            "OnDemandStreamCountLimit": 25_000, "ChannelCount": 0, "ChannelCountLimit": 0,
        })
    }

    fn account_settings(&self) -> Json {
        let status = match self.commitment {
            Some((_, None)) => "ENABLED",
            Some((_, Some(_))) if self.is_committed() => "ENABLED_UNTIL_EARLIEST_ALLOWED_END",
            _ => "DISABLED",
        };
        let mut commitment = json!({"Status": status});
        if let Some((begin, end)) = self.commitment {
            commitment["StartedAt"] = seconds(begin);
            match end.filter(|_| status == "DISABLED") {
                Some(end) => commitment["EndedAt"] = seconds(end),
                None => commitment["EarliestAllowedEndAt"] = seconds(begin + DAY_MS),
            }
        }
        json!({"MinimumThroughputBillingCommitment": commitment})
    }
}
