"""Runs a command against a server of its own: with_server.py --binary BINARY -- COMMAND...

The server starts on an empty directory and free ports with its default options, and with TLS beside
clear text. The command finds it by the variables that every AWS SDK reads, and sees no other
configuration of this user's.
"""

import argparse
import os
import subprocess
import sys
import tempfile

from kinelog_process import Kinelog


def environment(server):
    return os.environ | {
        "AWS_ENDPOINT_URL_KINESIS": server.endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "KINELOG_TLS_URL": f"https://127.0.0.1:{server.port}",
        "KINELOG_TLS_CERTIFICATE": os.path.join(server.directory, "tls", "ca.pem"),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        data = os.path.join(directory, "data")
        os.mkdir(data)
        server = Kinelog(options.binary, data, "--tls", "self-signed", "--plaintext")
        server.start()
        finished = subprocess.run(options.command, env=environment(server), check=False)
        if server.process.poll() is None:
            server.stop()
        if finished.returncode != 0:
            with open(os.path.join(directory, "server.log")) as log:
                sys.stderr.write("the server's log:\n" + log.read())
    return finished.returncode


if __name__ == "__main__":
    sys.exit(main())
