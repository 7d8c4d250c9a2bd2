#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""perf_analyzer against the real daemon: it runs to its end, without a failed request, and its
report has what the server counted as well."""

import csv
import http.client
import http.server
import os
import subprocess
import threading

import fixture
from daemon import ROOT

PLACE = ROOT / ".cache/python-tests/perf"
# Three windows of this length, however different. Told a number of requests instead, the program
# waits for ever for those that were answered before it began to count: on a busy machine, often.
WINDOWS = ("--measurement-interval", "200", "--stability-percentage", "999", "--max-trials", "20")


class Passer(http.server.ThreadingHTTPServer):
    """Passes pages of another server on, and counts them."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            connection = http.client.HTTPConnection(self.server.origin, timeout=60)
            connection.request("GET", self.path)
            page = connection.getresponse()
            body = page.read()
            connection.close()
            self.send_response(page.status)
            self.send_header("Content-Type", page.headers["Content-Type"])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.server.passed += 1

        def log_message(self, *_):
            pass

    def __init__(self, origin):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.origin = origin
        self.passed = 0
        self.address = f"127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Analyzer(fixture.ClientTest):
    options = ("--allow-client-shm",)
    protocol = "http"

    def run_analyzer(self, model, *arguments):
        address = {"http": self.daemon.address, "grpc": self.daemon.grpc_address}[self.protocol]
        command = [PLACE / "perf_analyzer", "-m", model, "-u", address, "-i", self.protocol,
                   *WINDOWS, "--verbose-csv", "-f", self.table(),
                   *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False,
                              env={**os.environ, "LD_LIBRARY_PATH": str(PLACE)})

    def table(self):
        return self.daemon.directory / "table.csv"

    def row(self):
        """The one of its table."""
        with open(self.table(), newline="") as file:
            (row,) = csv.DictReader(file)
        return row

    def analyze(self, model, *arguments):
        """Runs the program to its end; the one row of its table."""
        done = self.run_analyzer(model, *arguments)
        self.assertEqual(0, done.returncode, f"{done.args}\n{done.stdout}\n{done.stderr}")
        return self.row()

    def check(self, row):
        self.assertGreater(float(row["Inferences/Second"]), 0)
        # From the statistics of the server; without them the columns are not there.
        for column in ("Server Queue", "Server Compute Input", "Server Compute Infer",
                       "Server Compute Output"):
            self.assertIn(column, row)
        self.assertGreater(float(row["Server Compute Infer"]), 0)

    def check_metrics(self):
        """It reads the metrics, too, as often as it is told to."""
        with Passer(self.daemon.metrics_address) as passer:
            self.check(self.analyze(
                "digits", "--shape", "image:1,64", "--request-rate-range", "200",
                "--collect-metrics", "--metrics-url", f"{passer.address}/metrics",
                "--metrics-interval", "100"))
            self.assertGreater(passer.passed, 1)


class HttpTest(Analyzer):
    def test_binary(self):
        self.check(self.analyze("digits", "--shape", "image:4,64", "--concurrency-range", "4"))

    def test_json(self):
        self.check(self.analyze("digits", "--shape", "image:1,64", "--input-tensor-format", "json",
                                "--output-tensor-format", "json"))

    def test_asynchronous(self):
        """Answers are matched with requests by their ids."""
        self.check(self.analyze("digits", "--shape", "image:1,64", "--async",
                                "--concurrency-range", "8"))

    def test_text(self):
        self.check(self.analyze("identity_bytes", "--shape", "x:3", "--string-length", "20"))

    def test_shared_memory(self):
        self.check(self.analyze("digits", "--shape", "image:1,64", "--shared-memory", "system",
                                "--output-shared-memory-size", "1024"))
        # It unregisters what it registered.
        status, _, body = self.daemon.call("GET", "/v2/systemsharedmemory/status")
        self.assertEqual((200, b"[]"), (status, body))

    def test_metrics(self):
        self.check_metrics()

    def test_request_rate(self):
        self.check(self.analyze("digits", "--shape", "image:1,64", "--request-rate-range", "200"))


class GrpcTest(Analyzer):
    protocol = "grpc"

    def test_raw(self):
        self.check(self.analyze("digits", "--shape", "image:4,64", "--concurrency-range", "4"))

    def test_asynchronous(self):
        self.check(self.analyze("digits", "--shape", "image:1,64", "--async",
                                "--concurrency-range", "8"))

    def test_streaming(self):
        self.check(self.analyze("digits", "--shape", "image:1,64", "--async", "--streaming",
                                "--concurrency-range", "4"))

    def test_text(self):
        self.check(self.analyze("identity_bytes", "--shape", "x:3", "--string-length", "20"))

    def test_shared_memory(self):
        self.check(self.analyze("digits", "--shape", "image:1,64", "--shared-memory", "system",
                                "--output-shared-memory-size", "1024"))
        status, _, body = self.daemon.call("GET", "/v2/systemsharedmemory/status")
        self.assertEqual((200, b"[]"), (status, body))

    def test_metrics(self):
        self.check_metrics()


if __name__ == "__main__":
    fixture.main()
