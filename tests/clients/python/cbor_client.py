"""A CBOR client of the Kinesis API: botocore signs, cbor2 encodes, http.client sends.

Answers are decoded here: Kinesis sends tag 1 with whole milliseconds, as its own SDKs expect, while
a general decoder takes tag 1 for seconds.
"""

import http.client
import struct

import cbor2
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

CONTENT_TYPE = "application/x-amz-cbor-1.1"
BREAK = object()


class Decoder:
    """The part of RFC 8949 that answers use: definite and indefinite lengths, tag 1 as a number."""

    def __init__(self, body):
        self.body = body
        self.at = 0

    def take(self, length):
        if self.at + length > len(self.body):
            raise ValueError("the answer ends too early")
        piece = self.body[self.at : self.at + length]
        self.at += length
        return piece

    def argument(self, info):
        if info < 24:
            return info
        if info == 31:
            return None
        return int.from_bytes(self.take(1 << (info - 24)), "big")

    def value(self):
        head = self.take(1)[0]
        major, info = head >> 5, head & 31
        if major == 7:
            simple = {20: False, 21: True, 22: None, 23: None, 31: BREAK}
            if info == 27:
                return struct.unpack(">d", self.take(8))[0]
            return simple[info]
        number = self.argument(info)
        if major == 0:
            return number
        if major == 1:
            return -1 - number
        if major in (2, 3):
            data = self.take(number) if number is not None else b"".join(self.items(None))
            return data if major == 2 else bytes(data).decode()
        if major == 4:
            return self.items(number)
        if major == 5:
            flat = self.items(None if number is None else 2 * number)
            return dict(zip(flat[::2], flat[1::2], strict=True))
        if number != 1:
            raise ValueError(f"unexpected tag {number}")
        return self.value()

    def items(self, count):
        found = []
        while count is None or len(found) < count:
            item = self.value()
            if item is BREAK:
                break
            found.append(item)
        return found


class CborClient:
    def __init__(self, port, region="us-east-1"):
        self.connection = http.client.HTTPConnection("127.0.0.1", port)
        self.url = f"http://127.0.0.1:{port}/"
        self.signer = SigV4Auth(Credentials("AKIDEXAMPLE", "secret"), "kinesis", region)

    def call(self, operation, **members):
        body = cbor2.dumps(members)
        request = AWSRequest(
            "POST",
            self.url,
            data=body,
            headers={"Content-Type": CONTENT_TYPE, "X-Amz-Target": f"Kinesis_20131202.{operation}"},
        )
        self.signer.add_auth(request)
        self.connection.request("POST", "/", body=body, headers=dict(request.headers))
        response = self.connection.getresponse()
        payload = response.read()
        if response.headers["Content-Type"] != CONTENT_TYPE:
            raise RuntimeError(f"{operation}: content type {response.headers['Content-Type']}")
        answer = Decoder(payload).value() if payload else {}
        if response.status != 200:
            raise RuntimeError(f"{operation}: {response.status} {answer}")
        return answer
