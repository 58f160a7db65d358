"""An S3 on this machine for fast tests: moto's server, with accounts whose rights it enforces.

It believes the checksums that it is told; `swift.py` is the server that computes them.
"""

import json
import logging
import urllib.request
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

ROOT = ("root", "root-secret")


class S3Server:
    def __enter__(self) -> "S3Server":
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
        self._server.start()
        self.url = f"http://127.0.0.1:{self._server.get_host_and_port()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def reset(self) -> None:
        """Forgets everything, and believes every key again."""
        self._post("/moto-api/reset-auth", b"inf")
        self._post("/moto-api/reset", b"")

    def enforce_rights(self) -> None:
        """From now on only accounts made by `account` may do anything."""
        self._post("/moto-api/reset-auth", b"0")

    def client(self, service: str = "s3") -> Any:
        return boto3.client(
            service,
            aws_access_key_id=ROOT[0],
            aws_secret_access_key=ROOT[1],
            endpoint_url=self.url,
            region_name="us-east-1",
        )

    def environment(self, key: str = ROOT[0], secret: str = ROOT[1], **more: str) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": self.url,
            **more,
        }

    def account(self, name: str, *actions: str) -> tuple[str, str]:
        """The keys of a new account that may do `actions`."""
        iam = self.client("iam")
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return key["AccessKeyId"], key["SecretAccessKey"]

    def _post(self, path: str, body: bytes) -> None:
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "text/plain"}, method="POST")
        with urllib.request.urlopen(request, timeout=10):
            pass
