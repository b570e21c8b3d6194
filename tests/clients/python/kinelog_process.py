"""A Kinelog server as a real process: start, kill -9, start again on the same directory and port."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Kinelog:
    """One data directory, one port, one process at a time."""

    def __init__(self, binary, directory, *flags):
        self.binary = binary
        self.directory = directory
        self.flags = flags
        self.port = free_port()
        self.admin_port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.log = open(os.path.join(directory, "..", "server.log"), "ab")

    def start(self):
        self.process = subprocess.Popen(
            [
                self.binary,
                "serve",
                "--listen",
                f"127.0.0.1:{self.port}",
                "--admin-listen",
                f"127.0.0.1:{self.admin_port}",
                "--data-dir",
                self.directory,
                *self.flags,
            ],
            stdout=self.log,
            stderr=self.log,
        )
        self._wait_until_healthy()

    def _wait_until_healthy(self):
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended with status {self.process.returncode}")
            try:
                health = f"http://127.0.0.1:{self.admin_port}/health"
                with urllib.request.urlopen(health, timeout=5) as answer:
                    self.health = json.load(answer)
                    return
            except OSError:
                time.sleep(0.005)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=60)
        if status != 0:
            raise RuntimeError(f"SIGTERM ended the server with status {status}")
