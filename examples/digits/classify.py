#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Classifies the held-out digits through mlOS Core over HTTP, with Python's standard library only.

    examples/digits/classify.py [--server HOST:PORT]

The model must be registered as "digits"; scripts/demo does that. Two ways to send a tensor are
shown: as bytes after a JSON header (the binary tensor extension, for batches and large tensors)
and as JSON numbers (the simplest thing that works). Both are the Open Inference Protocol.
"""

import argparse
import http.client
import json
import pathlib
import struct
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
PIXELS = 64
REQUIRED_ACCURACY = 0.97
LATENCY_REQUESTS = 1000
SHADES = " .:-=+*#%@"


class Model:
    """One model behind one connection, which is kept open between requests."""

    def __init__(self, server, name):
        self._connection = http.client.HTTPConnection(server, timeout=30)
        self._path = f"/v2/models/{name}/infer"

    def _post(self, body, headers):
        self._connection.request("POST", self._path, body, headers)
        response = self._connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise RuntimeError(f"POST {self._path}: {response.status} {content.decode()}")
        return response, content

    def infer_json(self, image):
        """Sends one image as JSON numbers; returns its label and its probabilities."""
        request = {"inputs": [
            {"name": "image", "datatype": "FP32", "shape": [1, PIXELS], "data": image}]}
        _, content = self._post(json.dumps(request), {"Content-Type": "application/json"})
        outputs = {output["name"]: output["data"] for output in json.loads(content)["outputs"]}
        return outputs["label"][0], outputs["probabilities"]

    def infer_binary(self, images):
        """Sends a batch as bytes; returns one label and one row of probabilities per image."""
        count = len(images) // (4 * PIXELS)
        header = json.dumps({
            "inputs": [{"name": "image", "datatype": "FP32", "shape": [count, PIXELS],
                        "parameters": {"binary_data_size": len(images)}}],
            "parameters": {"binary_data_output": True},
        }).encode()
        response, content = self._post(
            header + images, {"Content-Type": "application/octet-stream",
                              "Inference-Header-Content-Length": str(len(header))})
        # The answer has the same form: a JSON header, then the outputs' bytes in its order.
        end = int(response.headers["Inference-Header-Content-Length"])
        outputs = {}
        for output in json.loads(content[:end])["outputs"]:
            start, end = end, end + output["parameters"]["binary_data_size"]
            outputs[output["name"]] = content[start:end]
        labels = struct.unpack(f"<{count}q", outputs["label"])
        rows = list(struct.iter_unpack("<10f", outputs["probabilities"]))
        return labels, rows


def picture(image):
    """One image as eight lines of text, two characters to a pixel."""
    return ["".join(SHADES[min(int(pixel * 10 / 17), 9)] * 2 for pixel in image[row:row + 8])
            for row in range(0, PIXELS, 8)]


def show(images, predicted, truth, rows):
    """Prints pictures beside each other, with what the model said under each."""
    columns = [picture(image) + [f"  prediction {label}", f"  truth      {digit}",
                                 f"  certainty  {max(row):.1%}"]
               for image, label, digit, row in zip(images, predicted, truth, rows)]
    for line in zip(*columns):
        print("    " + "    |   ".join(text.ljust(16) for text in line).rstrip())


def percentile(values, fraction):
    return sorted(values)[min(int(len(values) * fraction), len(values) - 1)]


def main():
    parser = argparse.ArgumentParser(description="Classifies held-out digits over HTTP.")
    parser.add_argument("--server", default="127.0.0.1:8080", metavar="HOST:PORT")
    parser.add_argument("--model", default="digits")
    arguments = parser.parse_args()

    raw = (HERE / "heldout.f32").read_bytes()
    truth = (HERE / "heldout.labels").read_bytes()
    images = list(struct.iter_unpack(f"<{PIXELS}f", raw))
    model = Model(arguments.server, arguments.model)

    # All images in one request, as bytes. The first request to a model also loads it.
    labels, rows = model.infer_binary(raw)
    wrong = [index for index, label in enumerate(labels) if label != truth[index]]
    accuracy = 1 - len(wrong) / len(images)

    # One image per request, as JSON, over and over on the same connection.
    times = []
    differing = 0
    for number in range(LATENCY_REQUESTS):
        index = number % len(images)
        begin = time.perf_counter()
        label, _ = model.infer_json(images[index])
        times.append(time.perf_counter() - begin)
        differing += label != labels[index]

    # Two ordinary images, and one that the model gets wrong where there is one.
    chosen = ([index for index in range(len(images)) if index not in wrong][:2] + wrong[:1])[:3]
    show(*([values[index] for index in chosen] for values in (images, labels, truth, rows)))
    print()
    print(f"accuracy   {accuracy:.2%}: {len(images) - len(wrong)} of {len(images)} held-out images, "
          "one binary request")
    print(f"latency    p50 {percentile(times, 0.5) * 1e6:.0f} us, "
          f"p99 {percentile(times, 0.99) * 1e6:.0f} us: {len(times)} JSON requests, one after "
          "another,\n           the time this Python client takes included")
    if differing:
        sys.exit(f"{differing} answers to JSON requests differ from those to the binary request")
    if accuracy < REQUIRED_ACCURACY:
        sys.exit(f"accuracy {accuracy:.4f} is below {REQUIRED_ACCURACY}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, http.client.HTTPException, RuntimeError) as error:
        sys.exit(f"classify.py: {error}")
