"""Compares the server's table of operations with the newest published service model.

Operations, members, which of them are required, lengths, ranges, patterns and enums: a difference
that is not listed here with its reason fails, and so does one listed that is none any more. What a
new model adds therefore shows up as soon as a new botocore is pinned in requirements.txt.
"""

import argparse
import json
import subprocess
import sys

import botocore
from botocore.loaders import Loader

NOT_SERVED = {
    **dict.fromkeys(
        [
            "AcknowledgeDeadLetterQueueRecords",
            "AcknowledgeQueueRecords",
            "CreateQueue",
            "DeleteQueue",
            "DescribeQueue",
            "ListQueues",
            "ReceiveDeadLetterQueueRecords",
            "ReceiveQueueRecords",
            "RestoreDeadLetterQueueRecords",
            "UpdateDeadLetterQueueRecordsVisibility",
            "UpdateQueue",
            "UpdateQueueRecordsVisibility",
        ],
        "queues are answered as by a region without them",
    ),
    **dict.fromkeys(
        ["CreateChannel", "DeleteChannel", "DescribeChannel", "ListChannels", "UpdateChannel"],
        "channels are answered as by a region without them",
    ),
}

# (shape of the model, trait): reason. The service's own messages decide over its model.
KNOWN = {
    ("HashKey", "pattern"): "the service prints it without anchors",
    ("SequenceNumber", "pattern"): "the service prints it without anchors",
}

TRAITS = ("min", "max", "pattern")


class Comparison:
    def __init__(self, model):
        self.shapes = model["shapes"]
        self.used = set()
        self.found = []

    def differ(self, path, name, trait, ours, theirs):
        if (name, trait) in KNOWN:
            self.used.add((name, trait))
        else:
            self.found.append(f"{path}: {trait} is {ours!r} here, {theirs!r} in the model ({name})")

    def compare(self, path, ours, name):
        """`ours` against the model's shape of that name."""
        theirs = self.shapes[name]
        if ours["type"] != theirs["type"]:
            self.differ(path, name, "type", ours["type"], theirs["type"])
            return
        for trait in TRAITS:
            # A blob of at least 0 bytes is one without a lower bound.
            here, there = (
                bounds.get(trait, 0 if trait == "min" and ours["type"] == "blob" else None)
                for bounds in (ours, theirs)
            )
            if here != there:
                self.differ(path, name, trait, here, there)
        # The service prints an order of its own.
        if sorted(ours.get("enum", [])) != sorted(theirs.get("enum", [])):
            self.differ(path, name, "enum", ours.get("enum"), theirs.get("enum"))
        if ours["type"] == "structure":
            self.structure(path, ours, theirs, name)
        for part in ("member", "key", "value"):
            if part in ours:
                self.compare(f"{path}[{part}]", ours[part], theirs[part]["shape"])

    def structure(self, path, ours, theirs, name):
        if sorted(ours["required"]) != sorted(theirs.get("required", [])):
            self.differ(path, name, "required", ours["required"], theirs.get("required"))
        here, there = set(ours["members"]), set(theirs["members"])
        if here != there:
            self.differ(path, name, "members", sorted(here - there), sorted(there - here))
        for member in sorted(here & there):
            inner = theirs["members"][member]["shape"]
            self.compare(f"{path}.{member}", ours["members"][member], inner)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    options = parser.parse_args()
    printed = subprocess.run([options.binary, "api-table"], check=True, capture_output=True)
    table = json.loads(printed.stdout)
    model = Loader().load_service_model("kinesis", "service-2")
    comparison = Comparison(model)
    operations = model["operations"]
    for name in sorted(operations.keys() - table.keys() - NOT_SERVED.keys()):
        comparison.found.append(f"{name} is in the model and not served")
    for name in sorted(table.keys() - operations.keys()):
        comparison.found.append(f"{name} is served and not in the model")
    for name in sorted(NOT_SERVED.keys() & table.keys() | NOT_SERVED.keys() - operations.keys()):
        comparison.found.append(f"{name} is listed as not served without need")
    for name in sorted(table.keys() & operations.keys()):
        comparison.compare(name, table[name], operations[name]["input"]["shape"])
    for known in sorted(KNOWN.keys() - comparison.used):
        comparison.found.append(f"{known} is listed as a difference and is none")
    for line in comparison.found:
        print(f"model: {line}")
    print(
        f"model: {len(table)} of {len(operations)} operations of botocore {botocore.__version__}"
        f" served, {len(NOT_SERVED)} left out and {len(KNOWN)} differences for known reasons,"
        f" {len(comparison.found)} for none"
    )
    return 1 if comparison.found else 0


if __name__ == "__main__":
    sys.exit(main())
