"""Holds every answer a boto3 client gets against the published model of the service.

botocore drops members it does not know and does not miss those that a model requires, so a client
alone would not notice either.
"""

import json

# Errors of the front end, which any operation can answer without declaring them.
COMMON_ERRORS = {"ValidationException", "UnknownOperationException"}

# Members whose published bounds the service itself does not keep.
UNBOUNDED = {"PutRecords.FailedRecordCount"}  # from 1, but 0 is its usual value

PYTHON_TYPES = {
    "string": str,
    "blob": str,
    "integer": int,
    "long": int,
    "boolean": bool,
    "timestamp": (int, float),
    "list": list,
    "map": dict,
    "structure": dict,
}


def differences(value, shape, path):
    """What in a JSON value is not as its shape says."""
    expected = PYTHON_TYPES[shape.type_name]
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        yield f"{path} is {value!r}, not a {shape.type_name}"
    elif shape.type_name == "structure":
        for name in value.keys() - shape.members.keys():
            yield f"{path}.{name} is not in the model"
        for name in set(shape.required_members) - value.keys():
            yield f"{path}.{name} is missing"
        for name in value.keys() & shape.members.keys():
            yield from differences(value[name], shape.members[name], f"{path}.{name}")
    elif shape.type_name == "list":
        for place, item in enumerate(value):
            yield from differences(item, shape.member, f"{path}[{place}]")
    elif shape.type_name == "map":
        for key, item in value.items():
            yield from differences(item, shape.value, f"{path}[{key}]")
    elif shape.type_name in ("integer", "long", "string"):
        size = value if shape.type_name != "string" else len(value)
        bounds = {} if path in UNBOUNDED else shape.metadata
        if size < bounds.get("min", size) or size > bounds.get("max", size):
            yield f"{path} is {value!r}, outside its bounds"
        if value not in bounds.get("enum", [value]):
            yield f"{path} is {value!r}, none of {bounds['enum']}"


def check(operation_model, response_dict, **_):
    """Handler of botocore's event `before-parse`."""
    name = operation_model.name
    if response_dict["status_code"] != 200:
        error = json.loads(response_dict["body"])["__type"]
        declared = {shape.name for shape in operation_model.error_shapes} | COMMON_ERRORS
        if error not in declared:
            raise AssertionError(f"{name} does not declare {error}")
        return
    if operation_model.has_event_stream_output:
        return
    body = response_dict["body"]
    if operation_model.output_shape is None:
        found = [f"{name} has no answer, but answered {body!r}"] if body else []
    else:
        found = list(differences(json.loads(body), operation_model.output_shape, name))
    if found:
        raise AssertionError("; ".join(found))


def enforce(client):
    """Makes every call of the client raise when its answer is not as the model says."""
    client.meta.events.register("before-parse.kinesis", check)
    return client
