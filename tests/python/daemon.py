# SPDX-License-Identifier: Apache-2.0
"""The real mlosd as a child process of a test.

A Daemon owns its process and a directory of its own, and ends both; the kernel kills the process
when the test dies. One thread; other threads and clients open connections of their own to
`address` (TCP) or `socket_path` (Unix).
"""

import ctypes
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_LIMIT_S = 60
STOP_LIMIT_S = 60
ANSWER_LIMIT_S = 300
PR_SET_PDEATHSIG = 1


def wait_until(condition, limit_s, what):
    """Returns the condition's first true value."""
    deadline = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {limit_s} s")
        time.sleep(0.005)  # leaves the processor to those that are waited for


def die_with_parent():
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout=ANSWER_LIMIT_S):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Refused(Exception):
    """An answer that is not a success: `status` and `text`."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


class Daemon:
    """`arguments` go behind those that every test needs.  `lasting`: a directory for what another
    daemon takes over when this one has ended, its data and its local socket."""

    def __init__(self, build, *arguments, lasting=None):
        self.build = pathlib.Path(build).resolve()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="mlosd-test-"))
        lasting = pathlib.Path(lasting or self.directory)
        self.socket_path = str(self.directory / "http.sock")
        self.ipc_address = f"unix://{lasting / 'mlos.sock'}"
        self.grpc_socket_path = str(self.directory / "grpc.sock")
        self._log = self.directory / "log"
        addresses = self.directory / "addresses.json"
        command = [self.build / "bin/mlosd", "--auth", "off", "--http-address", "127.0.0.1:0",
                   "--http-address", f"unix:{self.socket_path}", "--metrics-address", "127.0.0.1:0",
                   "--grpc-address", "127.0.0.1:0", "--grpc-address", f"unix:{self.grpc_socket_path}",
                   "--ipc-socket", lasting / "mlos.sock",
                   "--data-dir", lasting / "data", "--print-addresses", addresses]
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                [*command, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                preexec_fn=die_with_parent)
        self._connection = UnixConnection(self.socket_path)
        try:
            wait_until(lambda: self._alive() and addresses.exists(), START_LIMIT_S, "mlosd's address")
            said = json.loads(addresses.read_text())
            self.address, self.metrics_address = said["http"], said["metrics"]
            self.grpc_address = said["grpc"]
            wait_until(lambda: self.call("GET", "/v2/health/ready")[0] == 200, START_LIMIT_S,
                       "mlosd's readiness")
        except BaseException:
            self.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is not None:
            self.kill()
            return
        code = self.stop()
        if code != 0:
            raise RuntimeError(f"mlosd ended with {code} when told to stop")

    @property
    def pid(self):
        return self._process.pid

    @property
    def log(self):
        return self._log.read_text(errors="replace")

    def _alive(self):
        if self._process.poll() is not None:
            raise RuntimeError(f"mlosd ended with {self._process.returncode}:\n{self.log[-2000:]}")
        return True

    def stop(self):
        """As the service manager does it; the exit status."""
        self._connection.close()
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_LIMIT_S)
        finally:
            self.kill()
        return code

    def kill(self):
        self._connection.close()
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def call(self, method, path, body=None, headers=None):
        """One request on the connection that is kept: status, headers, body."""
        try:
            self._connection.request(method, path, body, headers or {})
            response = self._connection.getresponse()
            return response.status, response.headers, response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()  # the next call opens another
            self._alive()
            raise

    def manage(self, method, path, body=None):
        """A management request; the object of a success, else Refused."""
        status, _, content = self.call(
            method, "/api/v1" + path, None if body is None else json.dumps(body),
            {"Content-Type": "application/json"})
        if status // 100 != 2:
            raise Refused(status, error_text(content))
        return json.loads(content)

    def bring_plugin(self, package):
        self.manage("POST", "/plugins", {"path": str(package)})
        self.manage("POST", f"/plugins/{package.parent.name}/versions/{package.name}/load")

    def bring_onnx(self):
        self.bring_plugin(onnx_package(self.build))

    def register_model(self, name, path, **more):
        return self.manage("POST", "/models", {"name": name, "path": str(path), **more})

    def model_action(self, name, action, version=1):
        return self.manage("POST", f"/models/{urllib.parse.quote(name)}/versions/{version}/{action}")

    def remove_model(self, name, version=1):
        return self.manage("DELETE", f"/models/{urllib.parse.quote(name)}/versions/{version}")

    def host_pid(self, plugin):
        """The process that runs a plugin; None while there is none."""
        for host in self.manage("GET", "/hosts")["hosts"]:
            if host["plugin"] == plugin:
                return host["pid"] or None
        return None


def error_text(content):
    """What an error body says, of either kind: {"error": text} or {"error": {"message": …}}."""
    try:
        error = json.loads(content)["error"]
    except (ValueError, KeyError, TypeError):
        return content.decode(errors="replace")
    return error if isinstance(error, str) else error["message"]


def onnx_package(build):
    """The newest package of the ONNX Runtime plugin; the build must have made one."""
    packages = sorted((pathlib.Path(build) / "plugins/onnxruntime").glob("*/plugin.yaml"))
    if not packages:
        raise FileNotFoundError("the build made no ONNX Runtime plugin; run "
                                "scripts/fetch-onnxruntime and build again")
    return packages[-1].parent.resolve()


def mapped_library(pid, name):
    """Path and SHA-256 of a shared library that a process has mapped."""
    maps = pathlib.Path(f"/proc/{pid}/maps").read_text()
    paths = set(re.findall(rf"(/\S*{re.escape(name)}\S*)", maps))
    if len(paths) != 1:
        raise RuntimeError(f"process {pid} maps {sorted(paths) or 'nothing'} of {name}")
    path = paths.pop()
    with open(path, "rb") as file:
        return path, hashlib.file_digest(file, "sha256").hexdigest()
