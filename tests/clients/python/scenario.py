"""The steps of scenario.md through boto3: JSON over HTTP/1.1, event streams included.

Beyond the steps, every answer is held against the service model (conformance.py).
"""

import datetime
import hashlib
import itertools
import os
import sys
import time
import traceback

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, SSLError

from conformance import enforce

ACCOUNT = "000000000000"
QUARTER, HALF, MOST = 1 << 126, 1 << 127, (1 << 128) - 1
AGGREGATED = bytes.fromhex(
    "f3899ac20a06757365722d310a06757365722d321a0708001a036f6e651a0708011a0374776f"
    "739579e92e3431b6e6d0e006dcba4a78"
)
METRICS = {
    "IncomingBytes",
    "IncomingRecords",
    "OutgoingBytes",
    "OutgoingRecords",
    "WriteProvisionedThroughputExceeded",
    "ReadProvisionedThroughputExceeded",
    "IteratorAgeMilliseconds",
}
POLICY = (
    '{"Version":"2012-10-17","Statement":[{"Sid":"Read","Effect":"Allow",'
    '"Principal":{"AWS":"arn:aws:iam::111122223333:root"},'
    '"Action":["kinesis:DescribeStreamSummary","kinesis:GetRecords"],'
    f'"Resource":"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/clicks"}}]}}'
)

STEPS = []


def step(number, name):
    def add(run):
        assert number == len(STEPS) + 1, name
        STEPS.append((name, run))
        return run

    return add


def client(attempts=15, **options):
    config = Config(retries={"total_max_attempts": attempts, "mode": "standard"})
    return enforce(boto3.client("kinesis", config=config, **options))


kinesis = client()
without_retries = client(attempts=1)


def equal(found, expected):
    assert found == expected, f"found {found!r}, expected {expected!r}"


def refused(error, text, call, *arguments, **members):
    """The call raises the client's own exception of that name, with that text unless None."""
    try:
        call(*arguments, **members)
    except ClientError as raised:
        equal(raised.response["Error"]["Code"], error)
        equal(raised.response["ResponseMetadata"]["HTTPStatusCode"], 400)
        if error in dir(kinesis.exceptions):
            assert isinstance(raised, getattr(kinesis.exceptions, error)), type(raised)
        if text is not None:
            equal(raised.response["Error"]["Message"], text)
        return
    raise AssertionError(f"not refused with {error}")


def arn(stream):
    return f"arn:aws:kinesis:us-east-1:{ACCOUNT}:stream/{stream}"


def shard_id(number):
    return f"shardId-{number:012}"


def summary(stream):
    answer = kinesis.describe_stream_summary(StreamName=stream)
    return answer["StreamDescriptionSummary"]


def until_active(stream):
    while (found := summary(stream))["StreamStatus"] != "ACTIVE":
        time.sleep(0.1)
    return found


def put(stream, data, key="a", **more):
    return kinesis.put_record(StreamName=stream, PartitionKey=key, Data=data, **more)


def put_until(stream, shard, word, **more):
    """Puts `word 1`, `word 2`, ... until one lands in the shard; (shard, data) of each."""
    for number in itertools.count(1):
        data = f"{word} {number}".encode()
        landed = put(stream, data, ExplicitHashKey="0", **more)["ShardId"]
        yield landed, data
        if landed == shard:
            return


def iterator(stream, shard, kind="TRIM_HORIZON", **more):
    answer = kinesis.get_shard_iterator(
        StreamName=stream, ShardId=shard, ShardIteratorType=kind, **more
    )
    return answer["ShardIterator"]


def read(at, reader=kinesis):
    """Records up to the tip."""
    records = []
    while True:
        answer = reader.get_records(ShardIterator=at)
        records += answer["Records"]
        assert "ChildShards" not in answer, "children before the end"
        if not answer["Records"] and answer["MillisBehindLatest"] == 0:
            return records
        at = answer["NextShardIterator"]


def drain(at):
    """Records up to the end, and the children told there."""
    records = []
    while True:
        answer = kinesis.get_records(ShardIterator=at)
        records += answer["Records"]
        if "NextShardIterator" not in answer:
            return records, answer["ChildShards"]
        assert "ChildShards" not in answer, "children before the end"
        at = answer["NextShardIterator"]
        time.sleep(0.2)


def data_of(records):
    return [record["Data"] for record in records]


def shard_pages(stream, size):
    """Ids of shards, page by page."""
    answer = kinesis.list_shards(StreamName=stream, MaxResults=size)
    while True:
        yield [shard["ShardId"] for shard in answer["Shards"]]
        if "NextToken" not in answer:
            return
        answer = kinesis.list_shards(NextToken=answer["NextToken"], MaxResults=size)


def hash_range(shard):
    span = shard["HashKeyRange"]
    return int(span["StartingHashKey"]), int(span["EndingHashKey"])


def tiles(shards):
    """Whether the shards cover the key space without hole or overlap."""
    expected = 0
    for start, end in sorted(map(hash_range, shards)):
        equal(start, expected)
        expected = end + 1
    equal(expected, MOST + 1)


def is_recent(time_):
    age = datetime.datetime.now(datetime.timezone.utc) - time_
    assert abs(age) < datetime.timedelta(hours=1), time_


# Life cycle

written = []  # (shard, number, key, data) of what steps 8 to 11 put
created_at = None


@step(1, "create")
def _():
    kinesis.create_stream(StreamName="clicks", ShardCount=2, Tags={"team": "web"})
    waiter = kinesis.get_waiter("stream_exists")
    waiter.wait(StreamName="clicks", WaiterConfig={"Delay": 1})


@step(2, "name taken")
def _():
    text = f"Stream clicks under account {ACCOUNT} already exists."
    create = kinesis.create_stream
    refused("ResourceInUseException", text, create, StreamName="clicks", ShardCount=2)


@step(3, "describe")
def _():
    global created_at
    found = kinesis.describe_stream(StreamName="clicks")["StreamDescription"]
    equal(found["StreamARN"], arn("clicks"))
    equal(found["StreamStatus"], "ACTIVE")
    equal(found["StreamModeDetails"], {"StreamMode": "PROVISIONED"})
    equal(found["RetentionPeriodHours"], 24)
    equal(found["EncryptionType"], "NONE")
    equal(found["EnhancedMonitoring"], [{"ShardLevelMetrics": []}])
    equal(found["HasMoreShards"], False)
    equal([shard["ShardId"] for shard in found["Shards"]], [shard_id(0), shard_id(1)])
    equal([hash_range(shard) for shard in found["Shards"]], [(0, HALF - 1), (HALF, MOST)])
    for shard in found["Shards"]:
        equal(len(shard["SequenceNumberRange"]["StartingSequenceNumber"]), 56)
        equal(set(shard), {"ShardId", "HashKeyRange", "SequenceNumberRange"})
        equal(set(shard["SequenceNumberRange"]), {"StartingSequenceNumber"})
    created_at = found["StreamCreationTimestamp"]
    is_recent(created_at)


@step(4, "summary")
def _():
    answer = kinesis.describe_stream_summary(StreamARN=arn("clicks"))
    found = answer["StreamDescriptionSummary"]
    equal(found["StreamName"], "clicks")
    equal(found["OpenShardCount"], 2)
    equal(found["ConsumerCount"], 0)
    equal(found["MaxRecordSizeInKiB"], 1024)
    equal(found["StreamCreationTimestamp"], created_at)
    assert "StreamId" not in found, "a client with a StreamId ignores its endpoint"


@step(5, "list")
def _():
    kinesis.create_stream(StreamName="archive", ShardCount=1)
    until_active("archive")
    pages = kinesis.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 1})
    equal([page["StreamNames"] for page in pages], [["archive"], ["clicks"]])


@step(6, "delete")
def _():
    kinesis.delete_stream(StreamName="archive")
    waiter = kinesis.get_waiter("stream_not_exists")
    waiter.wait(StreamName="archive", WaiterConfig={"Delay": 1})
    text = f"Stream archive under account {ACCOUNT} not found."
    describe = kinesis.describe_stream
    refused("ResourceNotFoundException", text, describe, StreamName="archive")


@step(7, "pages")
def _():
    equal(list(shard_pages("clicks", 1)), [[shard_id(0)], [shard_id(1)]])
    paginator = kinesis.get_paginator("list_shards")
    pages = paginator.paginate(StreamName="clicks", PaginationConfig={"PageSize": 1})
    text = "NextToken and StreamName cannot be provided together."
    refused("InvalidArgumentException", text, list, pages)
    found = kinesis.describe_stream(StreamName="clicks", Limit=1)["StreamDescription"]
    equal((len(found["Shards"]), found["HasMoreShards"]), (1, True))


# Writing


def remember(answer, shard, key, data):
    equal(answer["ShardId"], shard)
    assert "EncryptionType" not in answer and "ErrorCode" not in answer, answer
    written.append((shard, answer["SequenceNumber"], key, data))


@step(8, "put")
def _():
    found = kinesis.list_shards(StreamName="clicks")["Shards"][0]["SequenceNumberRange"]
    answer = put("clicks", b"first")
    remember(answer, shard_id(0), "a", b"first")
    assert int(answer["SequenceNumber"]) > int(found["StartingSequenceNumber"]), answer


@step(9, "explicit hash key")
def _():
    remember(put("clicks", b"last", ExplicitHashKey=str(MOST)), shard_id(1), "a", b"last")


@step(10, "put many")
def _():
    entries = [
        ("pk", None, b"plain", 0),
        ("\u00fc", None, b"", 1),
        ("\U0001f986 duck", None, "quack \U0001f986".encode(), 1),
        ("\u65e5\u672c", None, bytes(range(256)), 0),
        ("a", "0", AGGREGATED, 0),
    ]
    records = [
        {"PartitionKey": key, "Data": data} | ({"ExplicitHashKey": hash_key} if hash_key else {})
        for key, hash_key, data, _ in entries
    ]
    answer = kinesis.put_records(StreamName="clicks", Records=records)
    equal((answer["FailedRecordCount"], len(answer["Records"])), (0, len(entries)))
    assert "EncryptionType" not in answer, answer
    for result, (key, _, data, shard) in zip(answer["Records"], entries, strict=True):
        remember(result, shard_id(shard), key, data)


@step(11, "ordering")
def _():
    plain = written[2][1]
    answer = put("clicks", b"later", key="pk", SequenceNumberForOrdering=plain)
    assert int(answer["SequenceNumber"]) > int(plain), answer
    remember(answer, shard_id(0), "pk", b"later")


# Reading

in_shard_0 = []


@step(12, "trim horizon")
def _():
    for shard in shard_id(0), shard_id(1):
        records = read(iterator("clicks", shard))
        found = [(shard, r["SequenceNumber"], r["PartitionKey"], r["Data"]) for r in records]
        equal(found, [record for record in written if record[0] == shard])
        times = [record["ApproximateArrivalTimestamp"] for record in records]
        equal(times, sorted(times))
        is_recent(times[0])
        for record in records:
            assert "EncryptionType" not in record, record
        in_shard_0.extend(records if shard == shard_id(0) else [])


def read_from(kind, **more):
    records = read(iterator("clicks", shard_id(0), kind, **more))
    return records


@step(13, "at number")
def _():
    number = in_shard_0[1]["SequenceNumber"]
    equal(read_from("AT_SEQUENCE_NUMBER", StartingSequenceNumber=number), in_shard_0[1:])


@step(14, "after number")
def _():
    number = in_shard_0[1]["SequenceNumber"]
    equal(read_from("AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=number), in_shard_0[2:])


@step(15, "at time")
def _():
    time_ = in_shard_0[-1]["ApproximateArrivalTimestamp"]
    late = [record for record in in_shard_0 if record["ApproximateArrivalTimestamp"] >= time_]
    equal(read_from("AT_TIMESTAMP", Timestamp=time_), late)


@step(16, "latest")
def _():
    at = iterator("clicks", shard_id(0), "LATEST")
    put("clicks", b"new")
    equal(data_of(read(at)), [b"new"])


@step(17, "iterator again")
def _():
    at = iterator("clicks", shard_id(0))
    first = kinesis.get_records(ShardIterator=at, Limit=1)
    again = kinesis.get_records(ShardIterator=at, Limit=1)
    equal(data_of(first["Records"]), [b"first"])
    equal(again["Records"], first["Records"])
    assert first["NextShardIterator"] != at
    following = kinesis.get_records(ShardIterator=first["NextShardIterator"], Limit=1)
    equal(data_of(following["Records"]), [b"plain"])


# Resharding


def shards_of(stream, **more):
    return {s["ShardId"]: s for s in kinesis.list_shards(StreamName=stream, **more)["Shards"]}


def is_closed(shard):
    return "EndingSequenceNumber" in shard["SequenceNumberRange"]


def split(stream, shard, key):
    kinesis.split_shard(StreamName=stream, ShardToSplit=shard, NewStartingHashKey=str(key))


@step(18, "split refused")
def _():
    text = (
        f"NewStartingHashKey 1 used in SplitShard() on shard {shard_id(0)} in stream clicks under"
        f" account {ACCOUNT} is not both greater than one plus the shard's StartingHashKey 0 and"
        f" less than the shard's EndingHashKey {HALF - 1}."
    )
    refused("InvalidArgumentException", text, split, stream="clicks", shard=shard_id(0), key=1)


@step(19, "split")
def _():
    split("clicks", shard_id(0), QUARTER)
    until_active("clicks")
    shards = shards_of("clicks")
    equal(list(shards), [shard_id(number) for number in range(4)])
    equal([is_closed(shard) for shard in shards.values()], [True, False, False, False])
    for number, span in (2, (0, QUARTER - 1)), (3, (QUARTER, HALF - 1)):
        child = shards[shard_id(number)]
        equal(hash_range(child), span)
        equal(child["ParentShardId"], shard_id(0))
        assert "AdjacentParentShardId" not in child, child


@step(20, "closed")
def _():
    text = (
        f"Shard {shard_id(0)} in stream clicks under account {ACCOUNT} has already been merged or"
        " split, and thus is not eligible for merging or splitting."
    )
    again = {"stream": "clicks", "shard": shard_id(0), "key": QUARTER}
    refused("InvalidArgumentException", text, split, **again)


moved = []


@step(21, "move over")
def _():
    moved.extend(put_until("clicks", shard_id(2), "move"))
    equal({shard for shard, _ in moved[:-1]}, {shard_id(0)} if moved[1:] else set())


@step(22, "drain")
def _():
    records, children = drain(iterator("clicks", shard_id(0)))
    equal([child["ShardId"] for child in children], [shard_id(2), shard_id(3)])
    equal([child["ParentShards"] for child in children], [[shard_id(0)]] * 2)
    equal([hash_range(child) for child in children], [(0, QUARTER - 1), (QUARTER, HALF - 1)])
    records += read(iterator("clicks", shard_id(2)))
    found = [data for data in data_of(records) if data.startswith(b"move")]
    equal(found, [data for _, data in moved])


def merge(shard, adjacent):
    kinesis.merge_shards(StreamName="clicks", ShardToMerge=shard, AdjacentShardToMerge=adjacent)


@step(23, "merge refused")
def _():
    text = (
        f"Shards {shard_id(3)} and {shard_id(2)} in stream clicks under account {ACCOUNT} are not"
        " an adjacent pair of shards eligible for merging"
    )
    wrong = {"shard": shard_id(3), "adjacent": shard_id(2)}
    refused("InvalidArgumentException", text, merge, **wrong)


@step(24, "merge")
def _():
    merge(shard_id(2), shard_id(3))
    until_active("clicks")
    child = shards_of("clicks")[shard_id(4)]
    equal(hash_range(child), (0, HALF - 1))
    equal(child["ParentShardId"], shard_id(2))
    equal(child["AdjacentParentShardId"], shard_id(3))
    for parent in shard_id(2), shard_id(3):
        _, children = drain(iterator("clicks", parent))
        equal([child["ShardId"] for child in children], [shard_id(4)])
        equal(children[0]["ParentShards"], [shard_id(2), shard_id(3)])


@step(25, "latest of a closed shard")
def _():
    answer = kinesis.get_records(ShardIterator=iterator("clicks", shard_id(2), "LATEST"))
    assert "NextShardIterator" not in answer, answer
    equal([child["ShardId"] for child in answer["ChildShards"]], [shard_id(4)])


extra = []


@step(26, "update shard count")
def _():
    kinesis.create_stream(StreamName="growing", ShardCount=2)
    until_active("growing")
    records = [{"PartitionKey": f"key-{n}", "Data": str(n).encode()} for n in range(200)]
    answer = kinesis.put_records(StreamName="growing", Records=records)
    equal(answer["FailedRecordCount"], 0)
    answer = kinesis.update_shard_count(
        StreamName="growing", TargetShardCount=3, ScalingType="UNIFORM_SCALING"
    )
    equal((answer["CurrentShardCount"], answer["TargetShardCount"]), (2, 3))
    equal((answer["StreamName"], answer["StreamARN"]), ("growing", arn("growing")))
    equal(until_active("growing")["OpenShardCount"], 3)
    shards = shards_of("growing")
    equal(len(shards), 7)
    for number in itertools.count(200):
        landed = put("growing", str(number).encode(), key="key-0")["ShardId"]
        extra.append(number)
        if not is_closed(shards[landed]):
            return


@step(27, "drain the lineage")
def _():
    shards = shards_of("growing")
    waiting = [name for name, shard in shards.items() if "ParentShardId" not in shard]
    met, records = [], []
    while waiting:
        shard = waiting.pop(0)
        met.append(shard)
        at = iterator("growing", shard)
        found, children = drain(at) if is_closed(shards[shard]) else (read(at), [])
        records += found
        for child in children:
            if set(child["ParentShards"]) <= set(met):
                waiting.append(child["ShardId"])
    equal(sorted(met), list(shards))
    numbers = [int(record["Data"]) for record in records]
    equal(sorted(numbers), [*range(200), *extra])
    of_key_0 = [int(r["Data"]) for r in records if r["PartitionKey"] == "key-0"]
    equal(of_key_0, [0, *extra])


@step(28, "filters")
def _():
    latest = shards_of("growing", ShardFilter={"Type": "AT_LATEST"})
    equal(len(latest), 3)
    tiles(latest.values())
    tiles(shards_of("growing", ShardFilter={"Type": "AT_TRIM_HORIZON"}).values())
    after = {"Type": "AFTER_SHARD_ID", "ShardId": shard_id(3)}
    equal(list(shards_of("growing", ShardFilter=after)), [shard_id(4), shard_id(5), shard_id(6)])
    equal([len(page) for page in shard_pages("growing", 2)], [2, 2, 2, 1])


@step(29, "too many at once")
def _():
    resize = {"StreamName": "growing", "TargetShardCount": 7, "ScalingType": "UNIFORM_SCALING"}
    refused("LimitExceededException", None, without_retries.update_shard_count, **resize)


# Fan-out

consumers = {}


def describe_consumer(name):
    answer = kinesis.describe_stream_consumer(ConsumerARN=consumers[name])
    return answer["ConsumerDescription"]


@step(30, "register")
def _():
    kinesis.create_stream(StreamName="fan", ShardCount=1)
    until_active("fan")
    for name in "reader", "late":
        found = kinesis.register_stream_consumer(StreamARN=arn("fan"), ConsumerName=name)
        consumer = found["Consumer"]
        equal((consumer["ConsumerName"], consumer["ConsumerStatus"]), (name, "CREATING"))
        head, _, seconds = consumer["ConsumerARN"].rpartition(":")
        equal(head, f"{arn('fan')}/consumer/{name}")
        assert seconds.isdigit(), seconds
        consumers[name] = consumer["ConsumerARN"]
        while (found := describe_consumer(name))["ConsumerStatus"] != "ACTIVE":
            time.sleep(0.1)
        equal(found["StreamARN"], arn("fan"))
    equal(summary("fan")["ConsumerCount"], 2)


@step(31, "registered twice")
def _():
    again = {"StreamARN": arn("fan"), "ConsumerName": "reader"}
    refused("ResourceInUseException", None, kinesis.register_stream_consumer, **again)
    pages = kinesis.get_paginator("list_stream_consumers").paginate(
        StreamARN=arn("fan"), PaginationConfig={"PageSize": 1}
    )
    names = [[it["ConsumerName"] for it in page["Consumers"]] for page in pages]
    equal(sorted(names), [["late"], ["reader"]])


def subscribe(shard, kind="TRIM_HORIZON", **more):
    answer = kinesis.subscribe_to_shard(
        ConsumerARN=consumers["reader"], ShardId=shard, StartingPosition={"Type": kind} | more
    )
    return (event["SubscribeToShardEvent"] for event in answer["EventStream"])


def next_data(events, count):
    """The next records of a subscription and the last event's continuation number."""
    records = []
    while len(records) < count:
        event = next(events)
        records += event["Records"]
        assert event["MillisBehindLatest"] >= 0 and "ChildShards" not in event, event
    return data_of(records), event["ContinuationSequenceNumber"]


def data_to_the_end(events):
    """The remaining records of a subscription to a shard that ends."""
    records = []
    for event in events:
        records += event["Records"]
        if "ChildShards" in event:
            assert "ContinuationSequenceNumber" not in event, event
            children = event["ChildShards"]
    equal([child["ShardId"] for child in children], [shard_id(1), shard_id(2)])
    equal([child["ParentShards"] for child in children], [[shard_id(0)]] * 2)
    return data_of(records)


subscription = None
continuation = None


@step(32, "subscribe")
def _():
    global subscription, continuation
    for data in b"one", b"two", b"three":
        put("fan", data)
    subscription = subscribe(shard_id(0))
    found, continuation = next_data(subscription, 3)
    equal(found, [b"one", b"two", b"three"])
    put("fan", b"pushed")
    equal(next_data(subscription, 1)[0], [b"pushed"])


@step(33, "one subscription")
def _():
    text = (
        "Another active subscription exists for this consumer:"
        f" {ACCOUNT}:fan:{shard_id(0)}:reader"
    )
    refused("ResourceInUseException", text, subscribe, shard=shard_id(0))


more = []


@step(34, "end of the shard")
def _():
    split("fan", shard_id(0), HALF)
    more.extend(put_until("fan", shard_id(1), "more"))
    equal(data_to_the_end(subscription), [data for _, data in more[:-1]])


@step(35, "resubscribe")
def _():
    while True:
        try:
            events = subscribe(
                shard_id(0), "AFTER_SEQUENCE_NUMBER", SequenceNumber=continuation
            )
            break
        except (
            kinesis.exceptions.ResourceInUseException,
            kinesis.exceptions.LimitExceededException,
        ):
            time.sleep(0.5)
    equal(data_to_the_end(events), [b"pushed", *(data for _, data in more[:-1])])
    equal(next_data(subscribe(shard_id(1)), 1)[0], [more[-1][1]])


@step(36, "consumers hold the stream")
def _():
    refused("ResourceInUseException", None, kinesis.delete_stream, StreamName="fan")


def until_no_consumer(name):
    while True:
        try:
            describe_consumer(name)
        except kinesis.exceptions.ResourceNotFoundException:
            return
        time.sleep(0.1)


@step(37, "deregister")
def _():
    kinesis.deregister_stream_consumer(ConsumerARN=consumers["reader"])
    until_no_consumer("reader")


# Limits

THROTTLED = f"Rate exceeded for shard {shard_id(0)} in stream limited under account {ACCOUNT}."
failed = []


def megabyte(number):
    return bytes([number]) * 1_000_000


@step(38, "throttled entries")
def _():
    kinesis.create_stream(StreamName="limited", ShardCount=1, MaxRecordSizeInKiB=10240)
    until_active("limited")
    records = [{"PartitionKey": "a", "Data": megabyte(number)} for number in range(15)]
    answer = kinesis.put_records(StreamName="limited", Records=records[:10])
    equal(answer["FailedRecordCount"], 0)
    answer = kinesis.put_records(StreamName="limited", Records=records[10:])
    for number, result in enumerate(answer["Records"], 10):
        if "ErrorCode" in result:
            code = "ProvisionedThroughputExceededException"
            equal(result, {"ErrorCode": code, "ErrorMessage": THROTTLED})
            failed.append(number)
        else:
            equal(set(result), {"ShardId", "SequenceNumber"})
    equal((answer["FailedRecordCount"], len(answer["Records"])), (len(failed), 5))
    assert failed, "nothing was throttled"


@step(39, "throttled call")
def _():
    record = {"StreamName": "limited", "PartitionKey": "a", "Data": bytes(9_000_000)}
    error = "ProvisionedThroughputExceededException"
    refused(error, THROTTLED, without_retries.put_record, **record)


@step(40, "retries")
def _():
    for number in failed:
        kinesis.put_record(StreamName="limited", PartitionKey="a", Data=megabyte(number))
    records = read(iterator("limited", shard_id(0)))
    digests = {hashlib.sha256(data).digest() for data in data_of(records)}
    equal(digests, {hashlib.sha256(megabyte(number)).digest() for number in range(15)})
    equal(len(records), 15)


# Settings


def stream_tags(**options):
    answer = kinesis.list_tags_for_stream(StreamName="clicks", **options)
    return [(tag["Key"], tag["Value"]) for tag in answer["Tags"]], answer["HasMoreTags"]


def resource_tags(resource):
    answer = kinesis.list_tags_for_resource(ResourceARN=resource)
    return {tag["Key"]: tag["Value"] for tag in answer["Tags"]}


@step(41, "tags of a stream")
def _():
    kinesis.add_tags_to_stream(StreamName="clicks", Tags={"env": "test", "owner": "\u00fc"})
    equal(stream_tags(Limit=2), ([("env", "test"), ("owner", "\u00fc")], True))
    equal(stream_tags(ExclusiveStartTagKey="owner"), ([("team", "web")], False))
    kinesis.remove_tags_from_stream(StreamName="clicks", TagKeys=["env", "none"])
    equal(stream_tags(), ([("owner", "\u00fc"), ("team", "web")], False))


@step(42, "tags of a resource")
def _():
    for resource, others in (arn("clicks"), {"owner": "\u00fc", "team": "web"}), (
        consumers["late"],
        {},
    ):
        kinesis.tag_resource(ResourceARN=resource, Tags={"cost": "1"})
        equal(resource_tags(resource), {"cost": "1"} | others)
        kinesis.untag_resource(ResourceARN=resource, TagKeys=["cost"])
        equal(resource_tags(resource), others)


@step(43, "policy")
def _():
    resource = {"ResourceARN": arn("clicks")}
    equal(kinesis.get_resource_policy(**resource)["Policy"], "{}")
    kinesis.put_resource_policy(**resource, Policy=POLICY)
    equal(kinesis.get_resource_policy(**resource)["Policy"], POLICY)
    kinesis.delete_resource_policy(**resource)
    equal(kinesis.get_resource_policy(**resource)["Policy"], "{}")
    refused("ResourceNotFoundException", None, kinesis.delete_resource_policy, **resource)


@step(44, "encryption")
def _():
    key = {"StreamName": "clicks", "EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}
    kinesis.start_stream_encryption(**key)
    found = until_active("clicks")
    equal((found["EncryptionType"], found["KeyId"]), ("KMS", "alias/aws/kinesis"))
    secret = put("clicks", b"secret", ExplicitHashKey=str(MOST))
    equal((secret["EncryptionType"], secret["ShardId"]), ("KMS", shard_id(1)))
    kinesis.stop_stream_encryption(**key)
    found = until_active("clicks")
    equal((found["EncryptionType"], "KeyId" in found), ("NONE", False))
    assert "EncryptionType" not in put("clicks", b"open", ExplicitHashKey=str(MOST))
    number = {"StartingSequenceNumber": secret["SequenceNumber"]}
    records = read(iterator("clicks", shard_id(1), "AT_SEQUENCE_NUMBER", **number))
    found = [(record["Data"], record.get("EncryptionType")) for record in records]
    equal(found, [(b"secret", "KMS"), (b"open", None)])


@step(45, "retention")
def _():
    def hours(number):
        return {"StreamName": "clicks", "RetentionPeriodHours": number}

    increase = kinesis.increase_stream_retention_period
    decrease = kinesis.decrease_stream_retention_period
    increase(**hours(48))
    equal(until_active("clicks")["RetentionPeriodHours"], 48)
    invalid = "InvalidArgumentException"
    text = (
        "Requested retention period (24 hours) for stream clicks can not be shorter than existing"
        " retention period (48 hours). Use DecreaseRetentionPeriod API."
    )
    refused(invalid, text, increase, **hours(24))
    text = (
        "Maximum allowed retention period is 8760 hours."
        " Requested retention period (9000 hours) is too long."
    )
    refused(invalid, text, increase, **hours(9000))
    decrease(**hours(24))
    equal(until_active("clicks")["RetentionPeriodHours"], 24)
    text = (
        "Minimum allowed retention period is 24 hours."
        " Requested retention period (12 hours) is too short."
    )
    refused(invalid, text, decrease, **hours(12))


@step(46, "monitoring")
def _():
    def check(change, names, current, desired):
        answer = change(StreamName="clicks", ShardLevelMetrics=names)
        equal((answer["StreamName"], answer["StreamARN"]), ("clicks", arn("clicks")))
        equal(set(answer["CurrentShardLevelMetrics"]), current)
        equal(set(answer["DesiredShardLevelMetrics"]), desired)
        until_active("clicks")

    two = {"IncomingBytes", "OutgoingRecords"}
    check(kinesis.enable_enhanced_monitoring, sorted(two), set(), two)
    check(kinesis.enable_enhanced_monitoring, ["ALL"], two, METRICS)
    equal(set(summary("clicks")["EnhancedMonitoring"][0]["ShardLevelMetrics"]), METRICS)
    check(kinesis.disable_enhanced_monitoring, ["ALL"], METRICS, set())


@step(47, "record size")
def _():
    text = (
        "1 validation error detected: Value at 'data' failed to satisfy constraint:"
        " Member must have length less than or equal to 1048576"
    )
    large = {"StreamName": "clicks", "PartitionKey": "a", "Data": bytes(1_048_577)}
    refused("ValidationException", text, kinesis.put_record, **large)
    kinesis.update_max_record_size(StreamARN=arn("clicks"), MaxRecordSizeInKiB=10240)
    equal(until_active("clicks")["MaxRecordSizeInKiB"], 10240)
    largest = bytes(range(256)) * 40_960
    answer = kinesis.put_record(
        StreamName="clicks", PartitionKey="a", Data=largest, ExplicitHashKey=str(MOST)
    )
    number = {"StartingSequenceNumber": answer["SequenceNumber"]}
    at = iterator("clicks", answer["ShardId"], "AT_SEQUENCE_NUMBER", **number)
    assert data_of(kinesis.get_records(ShardIterator=at)["Records"]) == [largest]


@step(48, "mode")
def _():
    def switch(mode):
        kinesis.update_stream_mode(
            StreamARN=arn("growing"), StreamModeDetails={"StreamMode": mode}
        )
        found = until_active("growing")
        equal(found["StreamModeDetails"], {"StreamMode": mode})
        equal(found["OpenShardCount"], 3)

    switch("ON_DEMAND")
    text = f"Request is invalid. Stream growing under account {ACCOUNT} is in On-Demand mode."
    shard = {"stream": "growing", "shard": shard_id(6), "key": HALF}
    refused("ValidationException", text, split, **shard)
    switch("PROVISIONED")


def open_shards():
    return sum(summary(it)["OpenShardCount"] for it in ("clicks", "growing", "fan", "limited"))


@step(49, "account")
def _():
    found = kinesis.describe_limits()
    equal((found["ShardLimit"], found["OpenShardCount"]), (20000, open_shards()))
    equal((found["OnDemandStreamCount"], found["OnDemandStreamCountLimit"]), (0, 50))
    found = kinesis.describe_account_settings()["MinimumThroughputBillingCommitment"]
    equal(found["Status"], "DISABLED")


# Errors by type


@step(50, "dry run")
def _():
    at = iterator("clicks", shard_id(1), "LATEST")
    record = {"StreamName": "clicks", "PartitionKey": "z", "Data": b"no", "DryRun": True}
    refused("DryRunOperationException", None, kinesis.put_record, **record)
    equal(read(at), [])


@step(51, "validation")
def _():
    text = (
        "1 validation error detected: Value 'bad name' at 'streamName' failed to satisfy"
        " constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
    )
    create = kinesis.create_stream
    refused("ValidationException", text, create, StreamName="bad name", ShardCount=1)


@step(52, "quota")
def _():
    text = (
        f"This request would exceed the shard limit for the account {ACCOUNT} in us-east-1."
        f" Current shard count for the account: {open_shards()}. Limit: 20000."
        " Number of additional shards that would have resulted from this request: 100000."
        " Refer to the AWS Service Limits page"
        " (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html)"
        " for current limits and how to request higher limits."
    )
    huge = {"StreamName": "huge", "ShardCount": 100000}
    refused("LimitExceededException", text, without_retries.create_stream, **huge)


@step(53, "nothing there")
def _():
    text = f"Stream missing under account {ACCOUNT} not found."
    refused("ResourceNotFoundException", text, put, stream="missing", data=b"")
    text = f"Shard {shard_id(99)} in stream clicks under account {ACCOUNT} does not exist"
    shard = {"stream": "clicks", "shard": shard_id(99)}
    refused("ResourceNotFoundException", text, iterator, **shard)


@step(54, "bad arguments")
def _():
    invalid = "InvalidArgumentException"
    refused(invalid, "Invalid ShardIterator.", kinesis.get_records, ShardIterator="AAAA")
    text = (
        "Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP."
        " Current request has no timestamp parameter."
    )
    shard = {"stream": "clicks", "shard": shard_id(1), "kind": "AT_TIMESTAMP"}
    refused(invalid, text, iterator, **shard)


@step(55, "channels")
def _():
    refused("UnknownOperationException", None, kinesis.list_channels)


# Around it


@step(56, "another world")
def _():
    other = client(
        region_name="eu-west-1",
        aws_access_key_id="123456789012",
        aws_secret_access_key="secret",
    )
    equal(other.list_streams()["StreamNames"], [])
    other.create_stream(StreamName="clicks", ShardCount=1)
    waiter = other.get_waiter("stream_exists")
    waiter.wait(StreamName="clicks", WaiterConfig={"Delay": 1})
    found = other.describe_stream_summary(StreamName="clicks")["StreamDescriptionSummary"]
    equal(found["StreamARN"], "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks")
    equal(summary("clicks")["StreamARN"], arn("clicks"))


@step(57, "TLS")
def _():
    url = os.environ["KINELOG_TLS_URL"]
    secure = client(endpoint_url=url, verify=os.environ["KINELOG_TLS_CERTIFICATE"])
    found = secure.describe_stream_summary(StreamName="clicks")["StreamDescriptionSummary"]
    equal(found["StreamARN"], arn("clicks"))
    at = iterator("clicks", shard_id(1), "LATEST")
    hash_key = {"ExplicitHashKey": str(MOST)}
    secure.put_record(StreamName="clicks", PartitionKey="a", Data=b"sealed", **hash_key)
    equal(data_of(read(at, secure)), [b"sealed"])
    try:
        client(attempts=1, endpoint_url=url).list_streams()
    except SSLError:
        return
    raise AssertionError("an unknown certificate was trusted")


@step(58, "delete with consumers")
def _():
    kinesis.delete_stream(StreamName="fan", EnforceConsumerDeletion=True)
    waiter = kinesis.get_waiter("stream_not_exists")
    waiter.wait(StreamName="fan", WaiterConfig={"Delay": 1})
    gone = {"ConsumerARN": consumers["late"]}
    refused("ResourceNotFoundException", None, kinesis.describe_stream_consumer, **gone)


def main():
    for number, (name, run) in enumerate(STEPS, 1):
        try:
            run()
        except Exception:
            traceback.print_exc()
            print(f"FAILED {number} {name}\n{number - 1} passed, 1 failed")
            return 1
        print(f"ok {number} {name}", flush=True)
    print(f"{len(STEPS)} passed, 0 failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
