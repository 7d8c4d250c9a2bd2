# SPDX-License-Identifier: Apache-2.0
"""The servers that the HTTP benchmark compares: started, stopped, frozen and metered alike.

A Server owns its processes and a directory of its own; stop() ends them. Not safe for threads.
"""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import time

START_LIMIT_S = 30
STOP_LIMIT_S = 30


def wait_until(condition, limit_s, what):
    """Returns the condition's first true value; polls finely, because start times are measured."""
    deadline = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {limit_s} s")
        time.sleep(0.0002)


def stat_fields(pid):
    """The fields of /proc/PID/stat from the state on: state, parent, …"""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def process_tree(root):
    """The process and everything that descends from it, parents first."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                children.setdefault(int(stat_fields(entry)[1]), []).append(int(entry))
            except (FileNotFoundError, ProcessLookupError):
                pass  # ended while we looked
    tree = [root]
    for pid in tree:
        tree += children.get(pid, [])
    return tree


def processor_ns(pid):
    """Processor time of all of a process's threads, ended ones included, in nanoseconds."""
    return time.clock_gettime_ns((~pid << 3) | 2)  # the clock of another process, see clock_getres(2)


def memory_kb(pid):
    """Resident memory, and the share of it that is the process's own."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    values = dict(line.split()[:2] for line in rollup.splitlines()[1:])
    return {"rss_kb": int(values["Rss:"]), "pss_kb": int(values["Pss:"])}


class Server:
    """A running server: `address` is where it listens, `pids` are all its processes."""

    name = "server"

    def __init__(self, process, address=None):
        self._process = process
        self.address = address
        self.pids = []

    def find_processes(self):
        self.pids = process_tree(self._process.pid)

    def processor_ns(self):
        return sum(processor_ns(pid) for pid in self.pids)

    def freeze(self):
        """Stops every process, parents first, so that no parent sees its child stand still."""
        for pid in self.pids:
            os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: all(stat_fields(pid)[0] == "T" for pid in self.pids), 5, "freezing")

    def thaw(self):
        for pid in reversed(self.pids):
            os.kill(pid, signal.SIGCONT)

    def place(self, cpus):
        """Pins the processes: one set for all, or the first one's and the others'."""
        for index, pid in enumerate(self.pids):
            chosen = cpus[min(index, len(cpus) - 1)]
            for task in os.listdir(f"/proc/{pid}/task"):
                os.sched_setaffinity(int(task), chosen)

    def stop(self):
        if self._process.poll() is None:
            for pid in reversed(process_tree(self._process.pid)):
                os.kill(pid, signal.SIGCONT)
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        return self._process.returncode


class Mlosd(Server):
    """mlosd on a data directory of its own, with free ports."""

    name = "mlosd"

    def __init__(self, build, directory, grpc="off"):
        directory.mkdir(parents=True)
        addresses = directory / "addresses.json"
        self._log = directory / "log"
        begin = time.perf_counter()
        with open(self._log, "wb") as log:
            super().__init__(subprocess.Popen(
                [build / "bin/mlosd", "--auth", "off", "--http-address", "127.0.0.1:0",
                 "--grpc-address", grpc, "--metrics-address", "off", "--ipc-socket", "off",
                 "--data-dir", directory / "data", "--print-addresses", addresses],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True))
        try:
            wait_until(lambda: self._alive() and addresses.exists(), START_LIMIT_S, "mlosd's address")
            said = json.loads(addresses.read_text())
            self.address, self.grpc_address = said["http"], said.get("grpc")
            wait_until(self._ready, START_LIMIT_S, "mlosd's readiness")
        except BaseException:
            self.stop()
            raise
        self.start_ms = (time.perf_counter() - begin) * 1e3
        self.find_processes()

    def _alive(self):
        if self._process.poll() is not None:
            raise RuntimeError(f"mlosd ended with {self._process.returncode}:\n"
                               + self._log.read_text(errors="replace")[-2000:])
        return True

    def _ready(self):
        self._alive()
        try:
            return self.call("GET", "/v2/health/ready")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def call(self, method, path, body=None):
        """One control request; returns the status and the body."""
        connection = http.client.HTTPConnection(self.address, timeout=120)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def require(self, method, path, body=None):
        status, content = self.call(method, path, body)
        if status // 100 != 2:
            raise RuntimeError(f"{method} {path}: {status} {content.decode(errors='replace')}")

    def set_up(self, plugin, models):
        """Loads the plugin package and the models, given as a dictionary from name to file."""
        self.require("POST", "/api/v1/plugins", {"path": str(plugin)})
        self.require("POST", f"/api/v1/plugins/{plugin.parent.name}/versions/{plugin.name}/load")
        for name, path in models.items():
            self.require("POST", "/api/v1/models", {"name": name, "path": str(path)})
            self.require("POST", f"/api/v1/models/{name}/versions/1/load")
        self.find_processes()


class Nginx(Server):
    """nginx with one worker, answering constants: `answers` maps a path to (type, body size)."""

    name = "nginx"

    def __init__(self, program, directory, answers):
        directory.mkdir(parents=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        address = f"127.0.0.1:{port}"
        self.bodies = {}
        locations = "\n".join(self._location(directory, *item) for item in answers.items())
        temporary = "\n".join(f"    {kind}_temp_path {directory}/tmp-{kind};"
                              for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        (directory / "nginx.conf").write_text(f"""
worker_processes 1;
worker_rlimit_nofile 8192;
daemon off;
pid {directory}/pid;
error_log {directory}/log;
{"user root;" if os.geteuid() == 0 else ""}
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    tcp_nodelay on;
    sendfile on;
    open_file_cache max=16;
    client_max_body_size 16m;
{temporary}
    server {{
        listen {address} backlog=1024;
        root {directory};
{locations}
    }}
}}
""")
        super().__init__(subprocess.Popen(
            [program, "-p", directory, "-c", directory / "nginx.conf"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True), address)
        try:
            wait_until(self._accepts, START_LIMIT_S, "nginx's port")
            wait_until(lambda: len(process_tree(self._process.pid)) == 2, START_LIMIT_S,
                       "nginx's worker")
        except BaseException:
            self.stop()
            raise
        self.find_processes()

    def _location(self, directory, path, answer):
        kind, size = answer
        self.bodies[path] = body = b"x" * size
        types = f"types {{ }} default_type {kind};"
        if size <= 2048:
            return f"        location = {path} {{ {types} return 200 \"{body.decode()}\"; }}"
        # A text in the configuration may not be large. A file may, but takes no POST: hence 405.
        (directory / path.strip("/")).write_bytes(body)
        return f"        location = {path} {{ {types} error_page 405 =200 $uri; }}"

    def _accepts(self):
        if self._process.poll() is not None:
            raise RuntimeError("nginx ended while it started")
        host, port = self.address.split(":")
        try:
            socket.create_connection((host, int(port)), 1).close()
            return True
        except OSError:
            return False
