"""A CBOR client of the Kinesis API: botocore signs, cbor2 encodes, http.client sends."""

import http.client

import cbor2
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

CONTENT_TYPE = "application/x-amz-cbor-1.1"


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
        answer = cbor2.loads(payload) if payload else {}
        if response.status != 200:
            raise RuntimeError(f"{operation}: {response.status} {answer}")
        return answer
