// The steps of scenario.md through the AWS SDK for JavaScript v3: JSON over HTTP/2, one connection a
// call, in clear text by prior knowledge.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import * as sdk from "@aws-sdk/client-kinesis";

const ACCOUNT = "000000000000";
const QUARTER = 1n << 126n;
const HALF = 1n << 127n;
const MOST = (1n << 128n) - 1n;
const AGGREGATED = Buffer.from(
  "f3899ac20a06757365722d310a06757365722d321a0708001a036f6e651a0708011a0374776f" +
    "739579e92e3431b6e6d0e006dcba4a78",
  "hex",
);
const ALL_BYTES = Buffer.from([...Array(256).keys()]);
const METRICS = [
  "IncomingBytes",
  "IncomingRecords",
  "IteratorAgeMilliseconds",
  "OutgoingBytes",
  "OutgoingRecords",
  "ReadProvisionedThroughputExceeded",
  "WriteProvisionedThroughputExceeded",
];
const POLICY =
  '{"Version":"2012-10-17","Statement":[{"Sid":"Read","Effect":"Allow",' +
  '"Principal":{"AWS":"arn:aws:iam::111122223333:root"},' +
  '"Action":["kinesis:DescribeStreamSummary","kinesis:GetRecords"],' +
  `"Resource":"arn:aws:kinesis:us-east-1:${ACCOUNT}:stream/clicks"}]}`;

const kinesis = new sdk.Kinesis({ maxAttempts: 15 });
const withoutRetries = new sdk.Kinesis({ maxAttempts: 1 });

const steps = [];

function step(number, name, run) {
  assert.equal(number, steps.length + 1, name);
  steps.push({ name, run });
}

const equal = assert.deepEqual;

/** The call raises the SDK's own exception of that name, with that text unless null. */
async function refused(error, text, call) {
  await assert.rejects(call, (raised) => {
    equal(raised.name, error);
    equal(raised.$metadata.httpStatusCode, 400);
    const typed = sdk[error] ?? sdk.KinesisServiceException;
    assert(raised instanceof typed, `${raised.constructor.name} is not typed`);
    if (text !== null) equal(raised.message, text);
    return true;
  });
}

const arn = (stream) => `arn:aws:kinesis:us-east-1:${ACCOUNT}:stream/${stream}`;
const shardId = (number) => `shardId-${String(number).padStart(12, "0")}`;
const bytes = (text) => Buffer.from(text, "utf8");
const textOf = (records) => records.map((record) => Buffer.from(record.Data).toString("utf8"));

async function summary(stream) {
  const answer = await kinesis.describeStreamSummary({ StreamName: stream });
  return answer.StreamDescriptionSummary;
}

async function untilActive(stream) {
  for (;;) {
    const found = await summary(stream);
    if (found.StreamStatus === "ACTIVE") return found;
    await pause(100);
  }
}

const put = (stream, data, more = {}) =>
  kinesis.putRecord({ StreamName: stream, PartitionKey: "a", Data: bytes(data), ...more });

/** Puts `word 1`, `word 2`, ... until one lands in the shard; [shard, data] of each. */
async function putUntil(stream, shard, word) {
  const landed = [];
  for (let number = 1; landed.at(-1)?.[0] !== shard; number += 1) {
    const answer = await put(stream, `${word} ${number}`, { ExplicitHashKey: "0" });
    landed.push([answer.ShardId, `${word} ${number}`]);
  }
  return landed;
}

async function iterator(stream, shard, type = "TRIM_HORIZON", more = {}) {
  const answer = await kinesis.getShardIterator({
    StreamName: stream,
    ShardId: shard,
    ShardIteratorType: type,
    ...more,
  });
  return answer.ShardIterator;
}

/** Records up to the tip. */
async function read(at, reader = kinesis) {
  const records = [];
  for (;;) {
    const answer = await reader.getRecords({ ShardIterator: at });
    records.push(...answer.Records);
    equal(answer.ChildShards, undefined);
    if (answer.Records.length === 0 && answer.MillisBehindLatest === 0) return records;
    at = answer.NextShardIterator;
  }
}

/** Records up to the end, and the children told there. */
async function drain(at) {
  const records = [];
  for (;;) {
    const answer = await kinesis.getRecords({ ShardIterator: at });
    records.push(...answer.Records);
    if (answer.NextShardIterator === undefined) return { records, children: answer.ChildShards };
    equal(answer.ChildShards, undefined);
    at = answer.NextShardIterator;
    await pause(200);
  }
}

async function shardsOf(stream, more = {}) {
  const answer = await kinesis.listShards({ StreamName: stream, ...more });
  return answer.Shards;
}

const idsOf = (shards) => shards.map((shard) => shard.ShardId);

async function shardPages(stream, size) {
  const pages = [];
  let answer = await kinesis.listShards({ StreamName: stream, MaxResults: size });
  for (;;) {
    pages.push(idsOf(answer.Shards));
    if (answer.NextToken === undefined) return pages;
    answer = await kinesis.listShards({ NextToken: answer.NextToken, MaxResults: size });
  }
}

function hashRange(shard) {
  const { StartingHashKey, EndingHashKey } = shard.HashKeyRange;
  return [BigInt(StartingHashKey), BigInt(EndingHashKey)];
}

/** The shards cover the key space without hole or overlap. */
function tiles(shards) {
  let expected = 0n;
  const ranges = shards.map(hashRange).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [start, end] of ranges) {
    equal(start, expected);
    expected = end + 1n;
  }
  equal(expected, MOST + 1n);
}

const isRecent = (time) => assert(Math.abs(Date.now() - time.getTime()) < 3_600_000, `${time}`);

const waiting = { client: kinesis, maxWaitTime: 60, minDelay: 1, maxDelay: 1 };

// Life cycle

const written = []; // [shard, number, key, data as base64] of what steps 8 to 11 put
let createdAt;

step(1, "create", async () => {
  await kinesis.createStream({ StreamName: "clicks", ShardCount: 2, Tags: { team: "web" } });
  await sdk.waitUntilStreamExists(waiting, { StreamName: "clicks" });
});

step(2, "name taken", async () => {
  const text = `Stream clicks under account ${ACCOUNT} already exists.`;
  const again = () => kinesis.createStream({ StreamName: "clicks", ShardCount: 2 });
  await refused("ResourceInUseException", text, again);
});

step(3, "describe", async () => {
  const answer = await kinesis.describeStream({ StreamName: "clicks" });
  const found = answer.StreamDescription;
  equal(found.StreamARN, arn("clicks"));
  equal(found.StreamStatus, "ACTIVE");
  equal(found.StreamModeDetails, { StreamMode: "PROVISIONED" });
  equal(found.RetentionPeriodHours, 24);
  equal(found.EncryptionType, "NONE");
  equal(found.EnhancedMonitoring, [{ ShardLevelMetrics: [] }]);
  equal(found.HasMoreShards, false);
  equal(idsOf(found.Shards), [shardId(0), shardId(1)]);
  equal(found.Shards.map(hashRange), [
    [0n, HALF - 1n],
    [HALF, MOST],
  ]);
  for (const shard of found.Shards) {
    equal(shard.SequenceNumberRange.StartingSequenceNumber.length, 56);
    equal(Object.keys(shard).sort(), ["HashKeyRange", "SequenceNumberRange", "ShardId"]);
    equal(Object.keys(shard.SequenceNumberRange), ["StartingSequenceNumber"]);
  }
  createdAt = found.StreamCreationTimestamp;
  isRecent(createdAt);
});

step(4, "summary", async () => {
  const answer = await kinesis.describeStreamSummary({ StreamARN: arn("clicks") });
  const found = answer.StreamDescriptionSummary;
  equal(found.StreamName, "clicks");
  equal(found.OpenShardCount, 2);
  equal(found.ConsumerCount, 0);
  equal(found.MaxRecordSizeInKiB, 1024);
  equal(found.StreamCreationTimestamp, createdAt);
  equal(found.StreamId, undefined);
});

step(5, "list", async () => {
  await kinesis.createStream({ StreamName: "archive", ShardCount: 1 });
  await untilActive("archive");
  const pages = [];
  for await (const page of sdk.paginateListStreams({ client: kinesis, pageSize: 1 }, {})) {
    pages.push(page.StreamNames);
  }
  equal(pages, [["archive"], ["clicks"]]);
});

step(6, "delete", async () => {
  await kinesis.deleteStream({ StreamName: "archive" });
  await sdk.waitUntilStreamNotExists(waiting, { StreamName: "archive" });
  const text = `Stream archive under account ${ACCOUNT} not found.`;
  const describe = () => kinesis.describeStream({ StreamName: "archive" });
  await refused("ResourceNotFoundException", text, describe);
});

step(7, "pages", async () => {
  equal(await shardPages("clicks", 1), [[shardId(0)], [shardId(1)]]);
  const first = await kinesis.listShards({ StreamName: "clicks", MaxResults: 1 });
  const text = "NextToken and StreamName cannot be provided together.";
  const both = { StreamName: "clicks", NextToken: first.NextToken };
  await refused("InvalidArgumentException", text, () => kinesis.listShards(both));
  const answer = await kinesis.describeStream({ StreamName: "clicks", Limit: 1 });
  equal(answer.StreamDescription.Shards.length, 1);
  equal(answer.StreamDescription.HasMoreShards, true);
});

// Writing

function remember(answer, shard, key, data) {
  equal(answer.ShardId, shard);
  equal([answer.EncryptionType, answer.ErrorCode], [undefined, undefined]);
  written.push([shard, answer.SequenceNumber, key, data.toString("base64")]);
}

step(8, "put", async () => {
  const [shard] = await shardsOf("clicks");
  const answer = await put("clicks", "first");
  remember(answer, shardId(0), "a", bytes("first"));
  const start = shard.SequenceNumberRange.StartingSequenceNumber;
  assert(BigInt(answer.SequenceNumber) > BigInt(start));
});

step(9, "explicit hash key", async () => {
  const answer = await put("clicks", "last", { ExplicitHashKey: String(MOST) });
  remember(answer, shardId(1), "a", bytes("last"));
});

step(10, "put many", async () => {
  const entries = [
    ["pk", undefined, bytes("plain"), 0],
    ["ü", undefined, Buffer.alloc(0), 1],
    ["🦆 duck", undefined, bytes("quack 🦆"), 1],
    ["日本", undefined, ALL_BYTES, 0],
    ["a", "0", AGGREGATED, 0],
  ];
  const answer = await kinesis.putRecords({
    StreamName: "clicks",
    Records: entries.map(([PartitionKey, ExplicitHashKey, Data]) => ({
      PartitionKey,
      ExplicitHashKey,
      Data,
    })),
  });
  equal(answer.FailedRecordCount, 0);
  equal(answer.EncryptionType, undefined);
  equal(answer.Records.length, entries.length);
  entries.forEach(([key, , data, shard], place) => {
    remember(answer.Records[place], shardId(shard), key, data);
  });
});

step(11, "ordering", async () => {
  const plain = written[2][1];
  const ordered = { PartitionKey: "pk", SequenceNumberForOrdering: plain };
  const answer = await put("clicks", "later", ordered);
  assert(BigInt(answer.SequenceNumber) > BigInt(plain));
  remember(answer, shardId(0), "pk", bytes("later"));
});

// Reading

let inShard0;

step(12, "trim horizon", async () => {
  for (const shard of [shardId(1), shardId(0)]) {
    const records = await read(await iterator("clicks", shard));
    const found = records.map((record) => [
      shard,
      record.SequenceNumber,
      record.PartitionKey,
      Buffer.from(record.Data).toString("base64"),
    ]);
    equal(
      found,
      written.filter((record) => record[0] === shard),
    );
    const times = records.map((record) => record.ApproximateArrivalTimestamp.getTime());
    equal(times, times.toSorted());
    isRecent(records[0].ApproximateArrivalTimestamp);
    for (const record of records) equal(record.EncryptionType, undefined);
    inShard0 = records;
  }
});

async function readFrom(type, more) {
  const records = await read(await iterator("clicks", shardId(0), type, more));
  return records;
}

step(13, "at number", async () => {
  const number = { StartingSequenceNumber: inShard0[1].SequenceNumber };
  equal(await readFrom("AT_SEQUENCE_NUMBER", number), inShard0.slice(1));
});

step(14, "after number", async () => {
  const number = { StartingSequenceNumber: inShard0[1].SequenceNumber };
  equal(await readFrom("AFTER_SEQUENCE_NUMBER", number), inShard0.slice(2));
});

step(15, "at time", async () => {
  const time = inShard0.at(-1).ApproximateArrivalTimestamp;
  const late = inShard0.filter((record) => record.ApproximateArrivalTimestamp >= time);
  equal(await readFrom("AT_TIMESTAMP", { Timestamp: time }), late);
});

step(16, "latest", async () => {
  const at = await iterator("clicks", shardId(0), "LATEST");
  await put("clicks", "new");
  const records = await read(at);
  equal(textOf(records), ["new"]);
});

step(17, "iterator again", async () => {
  const at = await iterator("clicks", shardId(0));
  const first = await kinesis.getRecords({ ShardIterator: at, Limit: 1 });
  const again = await kinesis.getRecords({ ShardIterator: at, Limit: 1 });
  equal(textOf(first.Records), ["first"]);
  equal(again.Records, first.Records);
  assert.notEqual(first.NextShardIterator, at);
  const next = await kinesis.getRecords({ ShardIterator: first.NextShardIterator, Limit: 1 });
  equal(textOf(next.Records), ["plain"]);
});

// Resharding

const isClosed = (shard) => shard.SequenceNumberRange.EndingSequenceNumber !== undefined;

const split = (stream, shard, key) =>
  kinesis.splitShard({ StreamName: stream, ShardToSplit: shard, NewStartingHashKey: String(key) });

step(18, "split refused", async () => {
  const text =
    `NewStartingHashKey 1 used in SplitShard() on shard ${shardId(0)} in stream clicks under` +
    ` account ${ACCOUNT} is not both greater than one plus the shard's StartingHashKey 0 and` +
    ` less than the shard's EndingHashKey ${HALF - 1n}.`;
  await refused("InvalidArgumentException", text, () => split("clicks", shardId(0), 1n));
});

step(19, "split", async () => {
  await split("clicks", shardId(0), QUARTER);
  await untilActive("clicks");
  const shards = await shardsOf("clicks");
  equal(idsOf(shards), [0, 1, 2, 3].map(shardId));
  equal(shards.map(isClosed), [true, false, false, false]);
  equal(shards.slice(2).map(hashRange), [
    [0n, QUARTER - 1n],
    [QUARTER, HALF - 1n],
  ]);
  for (const child of shards.slice(2)) {
    equal([child.ParentShardId, child.AdjacentParentShardId], [shardId(0), undefined]);
  }
});

step(20, "closed", async () => {
  const text =
    `Shard ${shardId(0)} in stream clicks under account ${ACCOUNT} has already been merged or` +
    " split, and thus is not eligible for merging or splitting.";
  await refused("InvalidArgumentException", text, () => split("clicks", shardId(0), QUARTER));
});

let moved;

step(21, "move over", async () => {
  moved = await putUntil("clicks", shardId(2), "move");
  for (const [shard] of moved.slice(0, -1)) equal(shard, shardId(0));
});

step(22, "drain", async () => {
  const { records, children } = await drain(await iterator("clicks", shardId(0)));
  equal(idsOf(children), [shardId(2), shardId(3)]);
  for (const child of children) equal(child.ParentShards, [shardId(0)]);
  equal(children.map(hashRange), [
    [0n, QUARTER - 1n],
    [QUARTER, HALF - 1n],
  ]);
  const child = await read(await iterator("clicks", shardId(2)));
  const found = textOf([...records, ...child]).filter((data) => data.startsWith("move"));
  equal(
    found,
    moved.map(([, data]) => data),
  );
});

const merge = (shard, adjacent) =>
  kinesis.mergeShards({
    StreamName: "clicks",
    ShardToMerge: shard,
    AdjacentShardToMerge: adjacent,
  });

step(23, "merge refused", async () => {
  const text =
    `Shards ${shardId(3)} and ${shardId(2)} in stream clicks under account ${ACCOUNT} are not` +
    " an adjacent pair of shards eligible for merging";
  await refused("InvalidArgumentException", text, () => merge(shardId(3), shardId(2)));
});

step(24, "merge", async () => {
  await merge(shardId(2), shardId(3));
  await untilActive("clicks");
  const shards = await shardsOf("clicks");
  equal(idsOf(shards.slice(4)), [shardId(4)]);
  equal(hashRange(shards[4]), [0n, HALF - 1n]);
  equal(shards[4].ParentShardId, shardId(2));
  equal(shards[4].AdjacentParentShardId, shardId(3));
  for (const parent of [shardId(2), shardId(3)]) {
    const { children } = await drain(await iterator("clicks", parent));
    equal(idsOf(children), [shardId(4)]);
    equal(children[0].ParentShards, [shardId(2), shardId(3)]);
  }
});

step(25, "latest of a closed shard", async () => {
  const at = await iterator("clicks", shardId(2), "LATEST");
  const answer = await kinesis.getRecords({ ShardIterator: at });
  equal(answer.NextShardIterator, undefined);
  equal(idsOf(answer.ChildShards), [shardId(4)]);
});

const numbers = (count) => [...Array(count).keys()];
const extra = [];

step(26, "update shard count", async () => {
  await kinesis.createStream({ StreamName: "growing", ShardCount: 2 });
  await untilActive("growing");
  const records = numbers(200).map((n) => ({ PartitionKey: `key-${n}`, Data: bytes(`${n}`) }));
  const stored = await kinesis.putRecords({ StreamName: "growing", Records: records });
  equal(stored.FailedRecordCount, 0);
  const answer = await kinesis.updateShardCount({
    StreamName: "growing",
    TargetShardCount: 3,
    ScalingType: "UNIFORM_SCALING",
  });
  equal([answer.CurrentShardCount, answer.TargetShardCount], [2, 3]);
  equal([answer.StreamName, answer.StreamARN], ["growing", arn("growing")]);
  const found = await untilActive("growing");
  equal(found.OpenShardCount, 3);
  const shards = await shardsOf("growing");
  equal(shards.length, 7);
  const open = idsOf(shards.filter((shard) => !isClosed(shard)));
  for (let number = 200, landed; !open.includes(landed); number += 1) {
    const answer = await put("growing", `${number}`, { PartitionKey: "key-0" });
    landed = answer.ShardId;
    extra.push(number);
  }
});

step(27, "drain the lineage", async () => {
  const shards = await shardsOf("growing");
  const roots = shards.filter((shard) => shard.ParentShardId === undefined);
  const found = [];
  const met = [];
  for (const next = idsOf(roots); next.length > 0; ) {
    const shard = next.shift();
    met.push(shard);
    const at = await iterator("growing", shard);
    const isOpen = !isClosed(shards.find((known) => known.ShardId === shard));
    const { records, children } = isOpen
      ? { records: await read(at), children: [] }
      : await drain(at);
    found.push(...records);
    const ready = (child) => child.ParentShards.every((parent) => met.includes(parent));
    next.push(...idsOf(children.filter(ready)));
  }
  equal(met.toSorted(), idsOf(shards));
  const all = textOf(found).map(Number);
  equal(
    all.toSorted((a, b) => a - b),
    [...numbers(200), ...extra],
  );
  const ofKey0 = textOf(found.filter((record) => record.PartitionKey === "key-0"));
  equal(ofKey0.map(Number), [0, ...extra]);
});

step(28, "filters", async () => {
  const filtered = (ShardFilter) => shardsOf("growing", { ShardFilter });
  const latest = await filtered({ Type: "AT_LATEST" });
  equal(latest.length, 3);
  tiles(latest);
  tiles(await filtered({ Type: "AT_TRIM_HORIZON" }));
  const after = await filtered({ Type: "AFTER_SHARD_ID", ShardId: shardId(3) });
  equal(idsOf(after), [4, 5, 6].map(shardId));
  const pages = await shardPages("growing", 2);
  equal(
    pages.map((page) => page.length),
    [2, 2, 2, 1],
  );
});

step(29, "too many at once", async () => {
  const resize = { StreamName: "growing", TargetShardCount: 7, ScalingType: "UNIFORM_SCALING" };
  const call = () => withoutRetries.updateShardCount(resize);
  await refused("LimitExceededException", null, call);
});

// Fan-out

const consumers = {};

async function describeConsumer(name) {
  const answer = await kinesis.describeStreamConsumer({ ConsumerARN: consumers[name] });
  return answer.ConsumerDescription;
}

const register = (name) =>
  kinesis.registerStreamConsumer({ StreamARN: arn("fan"), ConsumerName: name });

step(30, "register", async () => {
  await kinesis.createStream({ StreamName: "fan", ShardCount: 1 });
  await untilActive("fan");
  for (const name of ["reader", "late"]) {
    const { Consumer: consumer } = await register(name);
    equal([consumer.ConsumerName, consumer.ConsumerStatus], [name, "CREATING"]);
    assert(consumer.ConsumerARN.startsWith(`${arn("fan")}/consumer/${name}:`));
    assert.match(consumer.ConsumerARN, /:[0-9]+$/);
    consumers[name] = consumer.ConsumerARN;
    let found = await describeConsumer(name);
    while (found.ConsumerStatus !== "ACTIVE") {
      await pause(100);
      found = await describeConsumer(name);
    }
    equal(found.StreamARN, arn("fan"));
  }
  const found = await summary("fan");
  equal(found.ConsumerCount, 2);
});

step(31, "registered twice", async () => {
  await refused("ResourceInUseException", null, () => register("reader"));
  const names = [];
  const paginator = sdk.paginateListStreamConsumers(
    { client: kinesis, pageSize: 1 },
    { StreamARN: arn("fan") },
  );
  for await (const page of paginator) {
    equal(page.Consumers.length, 1);
    names.push(page.Consumers[0].ConsumerName);
  }
  equal(names.toSorted(), ["late", "reader"]);
});

async function subscribe(shard, type = "TRIM_HORIZON", more = {}) {
  const answer = await kinesis.subscribeToShard({
    ConsumerARN: consumers.reader,
    ShardId: shard,
    StartingPosition: { Type: type, ...more },
  });
  return answer.EventStream[Symbol.asyncIterator]();
}

/** The next records of a subscription, and the last event's continuation number. */
async function nextRecords(events, count) {
  const records = [];
  let event;
  while (records.length < count) {
    const next = await events.next();
    assert(!next.done, "the subscription ended");
    event = next.value.SubscribeToShardEvent;
    records.push(...event.Records);
    assert(event.MillisBehindLatest >= 0 && event.ContinuationSequenceNumber);
    equal(event.ChildShards, undefined);
  }
  return { data: textOf(records), continuation: event.ContinuationSequenceNumber };
}

/** The remaining records of a subscription to a shard that ends. */
async function toTheEnd(events) {
  const records = [];
  let last;
  for (let next = await events.next(); !next.done; next = await events.next()) {
    equal(last?.ChildShards, undefined);
    last = next.value.SubscribeToShardEvent;
    records.push(...last.Records);
  }
  equal(last.ContinuationSequenceNumber, undefined);
  equal(idsOf(last.ChildShards), [shardId(1), shardId(2)]);
  for (const child of last.ChildShards) equal(child.ParentShards, [shardId(0)]);
  return textOf(records);
}

let subscription;
let continuation;

step(32, "subscribe", async () => {
  for (const data of ["one", "two", "three"]) await put("fan", data);
  subscription = await subscribe(shardId(0));
  const found = await nextRecords(subscription, 3);
  equal(found.data, ["one", "two", "three"]);
  continuation = found.continuation;
  await put("fan", "pushed");
  const pushed = await nextRecords(subscription, 1);
  equal(pushed.data, ["pushed"]);
});

step(33, "one subscription", async () => {
  const text =
    "Another active subscription exists for this consumer:" +
    ` ${ACCOUNT}:fan:${shardId(0)}:reader`;
  await refused("ResourceInUseException", text, () => subscribe(shardId(0)));
});

let more;

step(34, "end of the shard", async () => {
  await split("fan", shardId(0), HALF);
  more = await putUntil("fan", shardId(1), "more");
  equal(
    await toTheEnd(subscription),
    more.slice(0, -1).map(([, data]) => data),
  );
});

async function subscribeOnceFree(...position) {
  for (;;) {
    try {
      return await subscribe(...position);
    } catch (error) {
      const isBusy = error instanceof sdk.ResourceInUseException;
      if (!isBusy && !(error instanceof sdk.LimitExceededException)) throw error;
      await pause(500);
    }
  }
}

step(35, "resubscribe", async () => {
  const number = { SequenceNumber: continuation };
  const events = await subscribeOnceFree(shardId(0), "AFTER_SEQUENCE_NUMBER", number);
  const ofParent = more.slice(0, -1).map(([, data]) => data);
  equal(await toTheEnd(events), ["pushed", ...ofParent]);
  const child = await subscribe(shardId(1));
  const found = await nextRecords(child, 1);
  equal(found.data, [more.at(-1)[1]]);
  await child.return();
});

step(36, "consumers hold the stream", async () => {
  const call = () => kinesis.deleteStream({ StreamName: "fan" });
  await refused("ResourceInUseException", null, call);
});

step(37, "deregister", async () => {
  await kinesis.deregisterStreamConsumer({ ConsumerARN: consumers.reader });
  for (;;) {
    try {
      await describeConsumer("reader");
    } catch (error) {
      if (error instanceof sdk.ResourceNotFoundException) return;
      throw error;
    }
    await pause(100);
  }
});

// Limits

const THROTTLED = `Rate exceeded for shard ${shardId(0)} in stream limited under account ${ACCOUNT}.`;
const megabyte = (number) => Buffer.alloc(1_000_000, number);
const failed = [];

step(38, "throttled entries", async () => {
  await kinesis.createStream({
    StreamName: "limited",
    ShardCount: 1,
    MaxRecordSizeInKiB: 10240,
  });
  await untilActive("limited");
  const records = numbers(15).map((n) => ({ PartitionKey: "a", Data: megabyte(n) }));
  const many = (Records) => kinesis.putRecords({ StreamName: "limited", Records });
  const first = await many(records.slice(0, 10));
  equal(first.FailedRecordCount, 0);
  const answer = await many(records.slice(10));
  answer.Records.forEach((result, place) => {
    if (result.ErrorCode === undefined) {
      equal(Object.keys(result).sort(), ["SequenceNumber", "ShardId"]);
    } else {
      const code = "ProvisionedThroughputExceededException";
      equal(result, { ErrorCode: code, ErrorMessage: THROTTLED });
      failed.push(10 + place);
    }
  });
  equal([answer.FailedRecordCount, answer.Records.length], [failed.length, 5]);
  assert(failed.length > 0, "nothing was throttled");
});

step(39, "throttled call", async () => {
  const record = { StreamName: "limited", PartitionKey: "a", Data: Buffer.alloc(9_000_000) };
  const call = () => withoutRetries.putRecord(record);
  await refused("ProvisionedThroughputExceededException", THROTTLED, call);
});

step(40, "retries", async () => {
  for (const number of failed) {
    const record = { StreamName: "limited", PartitionKey: "a", Data: megabyte(number) };
    await kinesis.putRecord(record);
  }
  const records = await read(await iterator("limited", shardId(0)));
  const digest = (data) => createHash("sha256").update(data).digest("hex");
  equal(
    records.map((record) => digest(record.Data)).sort(),
    numbers(15)
      .map((number) => digest(megabyte(number)))
      .sort(),
  );
});

// Settings

async function streamTags(more = {}) {
  const answer = await kinesis.listTagsForStream({ StreamName: "clicks", ...more });
  return [answer.Tags.map((tag) => [tag.Key, tag.Value]), answer.HasMoreTags];
}

async function resourceTags(resource) {
  const answer = await kinesis.listTagsForResource({ ResourceARN: resource });
  return Object.fromEntries(answer.Tags.map((tag) => [tag.Key, tag.Value]));
}

step(41, "tags of a stream", async () => {
  const tags = { env: "test", owner: "ü" };
  await kinesis.addTagsToStream({ StreamName: "clicks", Tags: tags });
  equal(await streamTags({ Limit: 2 }), [Object.entries(tags), true]);
  equal(await streamTags({ ExclusiveStartTagKey: "owner" }), [[["team", "web"]], false]);
  await kinesis.removeTagsFromStream({ StreamName: "clicks", TagKeys: ["env", "none"] });
  const left = [
    ["owner", "ü"],
    ["team", "web"],
  ];
  equal(await streamTags(), [left, false]);
});

step(42, "tags of a resource", async () => {
  for (const [resource, others] of [
    [arn("clicks"), { owner: "ü", team: "web" }],
    [consumers.late, {}],
  ]) {
    await kinesis.tagResource({ ResourceARN: resource, Tags: { cost: "1" } });
    equal(await resourceTags(resource), { cost: "1", ...others });
    await kinesis.untagResource({ ResourceARN: resource, TagKeys: ["cost"] });
    equal(await resourceTags(resource), others);
  }
});

step(43, "policy", async () => {
  const resource = { ResourceARN: arn("clicks") };
  const policy = async () => (await kinesis.getResourcePolicy(resource)).Policy;
  equal(await policy(), "{}");
  await kinesis.putResourcePolicy({ ...resource, Policy: POLICY });
  equal(await policy(), POLICY);
  await kinesis.deleteResourcePolicy(resource);
  equal(await policy(), "{}");
  const again = () => kinesis.deleteResourcePolicy(resource);
  await refused("ResourceNotFoundException", null, again);
});

step(44, "encryption", async () => {
  const key = { StreamName: "clicks", EncryptionType: "KMS", KeyId: "alias/aws/kinesis" };
  const here = { ExplicitHashKey: String(MOST) };
  await kinesis.startStreamEncryption(key);
  const encrypted = await untilActive("clicks");
  equal([encrypted.EncryptionType, encrypted.KeyId], ["KMS", "alias/aws/kinesis"]);
  const secret = await put("clicks", "secret", here);
  equal([secret.EncryptionType, secret.ShardId], ["KMS", shardId(1)]);
  await kinesis.stopStreamEncryption(key);
  const plain = await untilActive("clicks");
  equal([plain.EncryptionType, plain.KeyId], ["NONE", undefined]);
  const open = await put("clicks", "open", here);
  equal(open.EncryptionType, undefined);
  const number = { StartingSequenceNumber: secret.SequenceNumber };
  const at = await iterator("clicks", shardId(1), "AT_SEQUENCE_NUMBER", number);
  const records = await read(at);
  equal(textOf(records), ["secret", "open"]);
  equal(
    records.map((record) => record.EncryptionType),
    ["KMS", undefined],
  );
});

step(45, "retention", async () => {
  const hours = (number) => ({ StreamName: "clicks", RetentionPeriodHours: number });
  const increase = (number) => kinesis.increaseStreamRetentionPeriod(hours(number));
  const decrease = (number) => kinesis.decreaseStreamRetentionPeriod(hours(number));
  const now = async () => (await untilActive("clicks")).RetentionPeriodHours;
  await increase(48);
  equal(await now(), 48);
  const invalid = "InvalidArgumentException";
  const shorter =
    "Requested retention period (24 hours) for stream clicks can not be shorter than existing" +
    " retention period (48 hours). Use DecreaseRetentionPeriod API.";
  await refused(invalid, shorter, () => increase(24));
  const long =
    "Maximum allowed retention period is 8760 hours." +
    " Requested retention period (9000 hours) is too long.";
  await refused(invalid, long, () => increase(9000));
  await decrease(24);
  equal(await now(), 24);
  const short =
    "Minimum allowed retention period is 24 hours." +
    " Requested retention period (12 hours) is too short.";
  await refused(invalid, short, () => decrease(12));
});

step(46, "monitoring", async () => {
  const check = async (answer, current, desired) => {
    equal([answer.StreamName, answer.StreamARN], ["clicks", arn("clicks")]);
    equal(answer.CurrentShardLevelMetrics.toSorted(), current);
    equal(answer.DesiredShardLevelMetrics.toSorted(), desired);
    await untilActive("clicks");
  };
  const metrics = (ShardLevelMetrics) => ({ StreamName: "clicks", ShardLevelMetrics });
  const two = ["IncomingBytes", "OutgoingRecords"];
  await check(await kinesis.enableEnhancedMonitoring(metrics(two)), [], two);
  await check(await kinesis.enableEnhancedMonitoring(metrics(["ALL"])), two, METRICS);
  const found = await summary("clicks");
  equal(found.EnhancedMonitoring[0].ShardLevelMetrics.toSorted(), METRICS);
  await check(await kinesis.disableEnhancedMonitoring(metrics(["ALL"])), METRICS, []);
});

step(47, "record size", async () => {
  const text =
    "1 validation error detected: Value at 'data' failed to satisfy constraint:" +
    " Member must have length less than or equal to 1048576";
  const record = { StreamName: "clicks", PartitionKey: "a", ExplicitHashKey: String(MOST) };
  const large = { ...record, Data: Buffer.alloc(1_048_577) };
  await refused("ValidationException", text, () => kinesis.putRecord(large));
  await kinesis.updateMaxRecordSize({ StreamARN: arn("clicks"), MaxRecordSizeInKiB: 10240 });
  const found = await untilActive("clicks");
  equal(found.MaxRecordSizeInKiB, 10240);
  const largest = Buffer.alloc(10_485_760, ALL_BYTES);
  const { ShardId: shard, SequenceNumber } = await kinesis.putRecord({ ...record, Data: largest });
  const number = { StartingSequenceNumber: SequenceNumber };
  const at = await iterator("clicks", shard, "AT_SEQUENCE_NUMBER", number);
  const { Records: records } = await kinesis.getRecords({ ShardIterator: at });
  equal(records.length, 1);
  assert(largest.equals(records[0].Data), "the largest record came back altered");
});

step(48, "mode", async () => {
  const switchTo = async (mode) => {
    const StreamModeDetails = { StreamMode: mode };
    await kinesis.updateStreamMode({ StreamARN: arn("growing"), StreamModeDetails });
    const found = await untilActive("growing");
    equal([found.StreamModeDetails, found.OpenShardCount], [StreamModeDetails, 3]);
  };
  await switchTo("ON_DEMAND");
  const text = `Request is invalid. Stream growing under account ${ACCOUNT} is in On-Demand mode.`;
  await refused("ValidationException", text, () => split("growing", shardId(6), HALF));
  await switchTo("PROVISIONED");
});

async function openShards() {
  let count = 0;
  for (const stream of ["clicks", "growing", "fan", "limited"]) {
    count += (await summary(stream)).OpenShardCount;
  }
  return count;
}

step(49, "account", async () => {
  const limits = await kinesis.describeLimits({});
  equal([limits.ShardLimit, limits.OpenShardCount], [20000, await openShards()]);
  equal([limits.OnDemandStreamCount, limits.OnDemandStreamCountLimit], [0, 50]);
  const settings = await kinesis.describeAccountSettings({});
  equal(settings.MinimumThroughputBillingCommitment.Status, "DISABLED");
});

// Errors by type

step(50, "dry run", async () => {
  const at = await iterator("clicks", shardId(1), "LATEST");
  const dry = { PartitionKey: "z", DryRun: true };
  await refused("DryRunOperationException", null, () => put("clicks", "no", dry));
  const records = await read(at);
  equal(records, []);
});

step(51, "validation", async () => {
  const text =
    "1 validation error detected: Value 'bad name' at 'streamName' failed to satisfy" +
    " constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
  const create = () => kinesis.createStream({ StreamName: "bad name", ShardCount: 1 });
  await refused("ValidationException", text, create);
});

step(52, "quota", async () => {
  const text =
    `This request would exceed the shard limit for the account ${ACCOUNT} in us-east-1.` +
    ` Current shard count for the account: ${await openShards()}. Limit: 20000.` +
    " Number of additional shards that would have resulted from this request: 100000." +
    " Refer to the AWS Service Limits page" +
    " (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html)" +
    " for current limits and how to request higher limits.";
  const huge = { StreamName: "huge", ShardCount: 100000 };
  await refused("LimitExceededException", text, () => withoutRetries.createStream(huge));
});

step(53, "nothing there", async () => {
  const stream = `Stream missing under account ${ACCOUNT} not found.`;
  await refused("ResourceNotFoundException", stream, () => put("missing", ""));
  const shard = `Shard ${shardId(99)} in stream clicks under account ${ACCOUNT} does not exist`;
  await refused("ResourceNotFoundException", shard, () => iterator("clicks", shardId(99)));
});

step(54, "bad arguments", async () => {
  const invalid = "InvalidArgumentException";
  const call = () => kinesis.getRecords({ ShardIterator: "AAAA" });
  await refused(invalid, "Invalid ShardIterator.", call);
  const text =
    "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP." +
    " Current request has no timestamp parameter.";
  await refused(invalid, text, () => iterator("clicks", shardId(1), "AT_TIMESTAMP"));
});

step(55, "channels", async () => {
  await refused("UnknownOperationException", null, () => kinesis.listChannels({}));
});

// Around it

step(56, "another world", async () => {
  const credentials = { accessKeyId: "123456789012", secretAccessKey: "secret" };
  const other = new sdk.Kinesis({ region: "eu-west-1", credentials, maxAttempts: 15 });
  const streams = await other.listStreams({});
  equal(streams.StreamNames, []);
  await other.createStream({ StreamName: "clicks", ShardCount: 1 });
  await sdk.waitUntilStreamExists({ ...waiting, client: other }, { StreamName: "clicks" });
  const answer = await other.describeStreamSummary({ StreamName: "clicks" });
  const there = answer.StreamDescriptionSummary.StreamARN;
  equal(there, "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks");
  const here = await summary("clicks");
  equal(here.StreamARN, arn("clicks"));
});

// Node reads trusted certificates once, at the start, so each kind of trust is a process of its own.
step(57, "TLS", async () => {
  const self = fileURLToPath(import.meta.url);
  const talk = (certificate) => {
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: certificate };
    const child = spawnSync(process.execPath, [self, "over-tls"], { env, encoding: "utf8" });
    return child.stdout + child.stderr;
  };
  equal(talk(process.env.KINELOG_TLS_CERTIFICATE), `${arn("clicks")} sealed\n`);
  assert.match(talk(""), /^refused: .*certificate.*\n$/);
});

async function overTls() {
  const secure = new sdk.Kinesis({ endpoint: process.env.KINELOG_TLS_URL });
  try {
    const answer = await secure.describeStreamSummary({ StreamName: "clicks" });
    const at = await iterator("clicks", shardId(1), "LATEST");
    await secure.putRecord({
      StreamName: "clicks",
      PartitionKey: "a",
      ExplicitHashKey: String(MOST),
      Data: bytes("sealed"),
    });
    const records = await read(at, secure);
    console.log(answer.StreamDescriptionSummary.StreamARN, ...textOf(records));
  } catch (error) {
    console.log(`refused: ${error.message}`);
  }
}

step(58, "delete with consumers", async () => {
  await kinesis.deleteStream({ StreamName: "fan", EnforceConsumerDeletion: true });
  await sdk.waitUntilStreamNotExists(waiting, { StreamName: "fan" });
  await refused("ResourceNotFoundException", null, () => describeConsumer("late"));
});

async function main() {
  for (const [place, { name, run }] of steps.entries()) {
    try {
      await run();
    } catch (error) {
      console.error(error);
      console.log(`FAILED ${place + 1} ${name}\n${place} passed, 1 failed`);
      process.exit(1);
    }
    console.log(`ok ${place + 1} ${name}`);
  }
  console.log(`${steps.length} passed, 0 failed`);
}

await (process.argv[2] === "over-tls" ? overTls() : main());
