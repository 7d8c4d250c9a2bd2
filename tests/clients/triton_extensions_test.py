#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The protocol's extensions through tritonclient over HTTP: configuration, statistics, logging,
trace."""

import json
import time

import numpy as np

import fixture
from daemon import wait_until
from fixture import VALUES, identity
from triton_client import AioClient, SyncClient, TritonCalls, input_of

# What a load generator reads of each, without a look whether it is there.
DURATIONS = ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output",
             "cache_hit", "cache_miss")
BUSY = ("success", "queue", "compute_input", "compute_infer", "compute_output")
RESPONSE_DURATIONS = ("compute_infer", "compute_output", "success", "fail", "empty_response",
                      "cancel")


class Calls(TritonCalls):
    """The tests; `self.client` is one of the two."""

    def classify(self, count=1):
        images, _ = fixture.digits()
        return self.client.infer("digits", [input_of(images[:count], "FP32", "image")])

    # ------------------------------------------------------------- configuration

    def test_configuration(self):
        metadata = self.client.get_model_metadata("digits")
        for config in (self.client.get_model_config("digits"),
                       self.client.get_model_config("digits", "1")):
            self.assertEqual(("digits", "onnxruntime"), (config["name"], config["backend"]))
            self.assertIsInstance(config["max_batch_size"], int)
            (image,) = config["input"]
            self.assertEqual(("image", "TYPE_FP32"), (image["name"], image["data_type"]))
            for flag in ("optional", "is_shape_tensor"):
                self.assertIs(False, image[flag])
            for side in ("input", "output"):
                self.assertEqual([tensor["name"] for tensor in metadata[side + "s"]],
                                 [tensor["name"] for tensor in config[side]])
                for tensor in config[side]:
                    self.assertTrue(all(isinstance(dim, int) for dim in tensor["dims"]))
        self.assert_refused(404, "nothing", self.client.get_model_config, "nothing")
        self.assert_refused(404, "version", self.client.get_model_config, "digits", "7")

    def test_every_datatype_has_a_name_in_the_configuration(self):
        for datatype in VALUES:
            with self.subTest(datatype):
                (found,) = self.client.get_model_config(identity(datatype))["input"]
                self.assertEqual("TYPE_" + {"BYTES": "STRING"}.get(datatype, datatype),
                                 found["data_type"])

    # ------------------------------------------------------------- statistics

    def statistics(self, name="digits", version=""):
        found = self.client.get_inference_statistics(name, version)["model_stats"]
        self.assertEqual(1, len(found))
        return found[0]

    def test_statistics(self):
        self.classify()
        before = self.statistics()
        started = time.time()
        for _ in range(3):
            self.classify()
        after = self.statistics(version="1")
        self.assertEqual(("digits", "1"), (after["name"], after["version"]))
        for name in ("inference_count", "execution_count"):
            self.assertEqual(3, after[name] - before[name], name)
        # Milliseconds since 1970; the two clocks are read by turns.
        self.assertAlmostEqual(started, after["last_inference"] / 1000, delta=60)
        for name in DURATIONS:
            with self.subTest(name):
                old, new = before["inference_stats"][name], after["inference_stats"][name]
                self.assertEqual({"count", "ns"}, new.keys())
                self.assertTrue(all(isinstance(value, int) for value in new.values()))
                self.assertEqual(3 if name in BUSY else 0, new["count"] - old["count"])
                self.assertGreaterEqual(new["ns"], old["ns"])
        self.assertGreater(after["inference_stats"]["compute_infer"]["ns"],
                           before["inference_stats"]["compute_infer"]["ns"])
        (response,) = after["response_stats"].items()
        self.assertEqual("0", response[0])
        self.assertEqual(set(RESPONSE_DURATIONS), response[1].keys())
        self.assertEqual(3, response[1]["success"]["count"]
                         - before["response_stats"]["0"]["success"]["count"])

    def test_statistics_count_what_fails(self):
        self.classify()
        before = self.statistics()
        wrong = input_of(np.zeros((1, 3), np.float32), "FP32", "image")
        self.assert_refused(400, "image", self.client.infer, "digits", [wrong])
        after = self.statistics()
        self.assertEqual(before["inference_count"], after["inference_count"])
        for name in DURATIONS:
            self.assertEqual(1 if name == "fail" else 0, after["inference_stats"][name]["count"]
                             - before["inference_stats"][name]["count"], name)

    def test_statistics_of_batches(self):
        self.classify(5)
        self.classify(2)
        sizes = {row["batch_size"]: row for row in self.statistics()["batch_stats"]}
        if self.client.get_model_config("digits")["max_batch_size"] > 0:
            self.assertLessEqual({2, 5}, sizes.keys())
        for row in sizes.values():
            counts = {row[name]["count"] for name in ("compute_input", "compute_infer",
                                                      "compute_output")}
            self.assertEqual(1, len(counts))

    def test_statistics_of_all_models(self):
        self.classify()
        found = self.client.get_inference_statistics()["model_stats"]
        self.assertIn("digits", [model["name"] for model in found])
        # As the protocol's servers do it: not 404.
        self.assert_refused(400, "nothing", self.client.get_inference_statistics, "nothing")
        self.assert_refused(400, "7", self.client.get_inference_statistics, "digits", "7")

    # ------------------------------------------------------------- logging and trace

    def test_logging(self):
        before = self.client.get_log_settings()
        self.assertEqual({"log_file": str, "log_info": bool, "log_warning": bool, "log_error": bool,
                          "log_verbose_level": int, "log_format": str},
                         {name: type(value) for name, value in before.items()})
        self.addCleanup(self.client.update_log_settings,
                        {name: value for name, value in before.items() if name != "log_file"})
        changed = self.client.update_log_settings({"log_verbose_level": 1, "log_format": "ISO8601",
                                                   "log_warning": False, "log_info": None})
        self.assertEqual({**before, "log_verbose_level": 1, "log_format": "ISO8601",
                          "log_warning": False}, changed)
        self.assertEqual(changed, self.client.get_log_settings())
        # At this level each request has its line.
        lines = self.daemon.log.count("POST infer answered 200")
        self.classify()
        wait_until(lambda: self.daemon.log.count("POST infer answered 200") > lines, 10, "the line")
        self.assert_refused(501, "log_file", self.client.update_log_settings, {"log_file": "/tmp/x"})
        for name, value, said in (("log_verbose_level", "high", "log_verbose_level"),
                                  ("log_format", "xml", "ISO8601"), ("log_loud", True, "log_loud")):
            self.assert_refused(400, said, self.client.update_log_settings, {name: value})
        self.assertEqual(changed, self.client.get_log_settings())

    def test_trace_settings(self):
        before = self.client.get_trace_settings()
        self.assertEqual(["OFF"], before["trace_level"])
        for name in ("trace_rate", "trace_count", "log_frequency", "trace_file", "trace_mode"):
            self.assertIsInstance(before[name], str, name)
        self.addCleanup(self.client.update_trace_settings,
                        settings={"trace_rate": before["trace_rate"]})
        changed = self.client.update_trace_settings(settings={"trace_rate": "500"})
        self.assertEqual({**before, "trace_rate": "500"}, changed)
        self.assertEqual(changed, self.client.get_trace_settings())
        # One model has its own until they are taken back.
        own = self.client.update_trace_settings("digits", {"trace_rate": "7"})
        self.assertEqual("7", own["trace_rate"])
        self.assertEqual("7", self.client.get_trace_settings("digits")["trace_rate"])
        self.assertEqual("500", self.client.get_trace_settings("scalar")["trace_rate"])
        back = self.client.update_trace_settings("digits", {"trace_rate": None})
        self.assertEqual("500", back["trace_rate"])
        self.assert_refused(404, "nothing", self.client.update_trace_settings, "nothing",
                            {"trace_rate": "7"})
        self.assert_refused(501, "trace_file", self.client.update_trace_settings,
                            settings={"trace_file": "/tmp/x"})
        self.assert_refused(400, "trace_rate", self.client.update_trace_settings,
                            settings={"trace_rate": "often"})
        self.assertEqual(changed, self.client.get_trace_settings())

    def test_trace(self):
        name = f"{type(self).__name__}-traced"
        place = self.daemon.directory / "data"
        files = set(place.glob("trace.json*"))
        self.client.update_trace_settings(
            "digits", {"trace_level": ["TIMESTAMPS", "TENSORS"], "trace_rate": "1",
                       "trace_count": "1", "log_frequency": "1"})
        self.addCleanup(self.client.update_trace_settings, "digits",
                        dict.fromkeys(("trace_level", "trace_rate", "trace_count",
                                       "log_frequency")))
        images, _ = fixture.digits()
        for number in range(2):  # the second is one too many
            self.client.infer("digits", [input_of(images[:1], "FP32", "image")],
                              request_id=f"{name}-{number}")
        wait_until(lambda: set(place.glob("trace.json*")) - files, 10, "the file")
        (file,) = set(place.glob("trace.json*")) - files

        def read():
            try:
                return json.loads(file.read_text())
            except ValueError:
                return None  # it is being written

        records = wait_until(read, 10, "the whole file")
        self.assertEqual(("digits", f"{name}-0"),
                         (records[0]["model_name"], records[0]["request_id"]))
        stamps = {stamp["name"]: stamp["ns"] for record in records
                  for stamp in record.get("timestamps", ())}
        order = ["HTTP_RECV_START", "HTTP_RECV_END", "REQUEST_START", "QUEUE_START",
                 "COMPUTE_START", "COMPUTE_END", "REQUEST_END", "HTTP_SEND_START", "HTTP_SEND_END"]
        self.assertEqual(sorted(stamps[name] for name in order), [stamps[name] for name in order])
        tensors = [record["tensor"]["name"] for record in records if "tensor" in record]
        self.assertEqual(["image", "label", "probabilities"], tensors)
        self.assertEqual("0", self.client.get_trace_settings("digits")["trace_count"])


class SyncTest(Calls, SyncClient, fixture.ClientTest):
    pass


class AioTest(Calls, AioClient, fixture.ClientTest):
    pass


if __name__ == "__main__":
    fixture.main()
