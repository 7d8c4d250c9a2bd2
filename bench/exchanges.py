# SPDX-License-Identifier: Apache-2.0
"""The requests that the HTTP benchmark sends, and the proof that the answers to them are right.

An exchange is captured once from the server, its meaning is checked here against what the model
must say, and from then on every answer must repeat it byte for byte.
"""

import array
import json
import pathlib
import random
import socket
import struct

ROOT = pathlib.Path(__file__).resolve().parent.parent
DIGITS = ROOT / "examples" / "digits"
MODELS = {"digits": DIGITS / "model.onnx", "relu_224": ROOT / "bench" / "models" / "relu_224.onnx"}
IMAGE_SHAPE = [1, 3, 224, 224]
IMAGE_ELEMENTS = 3 * 224 * 224


class Exchange:
    """Bytes to send, and once captured the head and body of the right answer."""

    def __init__(self, name, method, path, body=b"", headers=None, check=None):
        lines = [f"{method} {path} HTTP/1.1", "Host: bench", "Accept: */*"]
        if body:
            lines += [f"{key}: {value}" for key, value in (headers or {}).items()]
            lines.append(f"Content-Length: {len(body)}")
        self.name = name
        self.path = path
        self._method_and_rest = (method, "\r\n".join(lines[1:]) + "\r\n\r\n", body)
        self._check = check or (lambda head, body: None)
        self.head = {}
        self.body = b""

    def request(self, path=None):
        """The request's bytes; another path is used for the server that answers constants."""
        method, rest, body = self._method_and_rest
        return f"{method} {path or self.path} HTTP/1.1\r\n{rest}".encode() + body

    def capture(self, address):
        """Asks once and checks what the answer means."""
        host, port = address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), 120) as connection:
            connection.sendall(self.request())
            stream = connection.makefile("rb")
            status = stream.readline().split()[1]
            while (line := stream.readline().strip()):
                key, _, value = line.decode().partition(":")
                self.head[key.lower()] = value.strip()
            self.body = stream.read(int(self.head["content-length"]))
        if status != b"200":
            raise RuntimeError(f"{self.name}: {status.decode()} {self.body[:500]!r}")
        self._check(self.head, self.body)


def tensors(head, body):
    """The outputs of a binary answer, by name, as bytes."""
    end = int(head["inference-header-content-length"])
    found = {}
    for output in json.loads(body[:end])["outputs"]:
        start, end = end, end + output["parameters"]["binary_data_size"]
        found[output["name"]] = body[start:end]
    return found


def require(condition, what):
    if not condition:
        raise RuntimeError(f"the answer to '{what}' is wrong; a benchmark of it means nothing")


def binary(model, tensor, shape, data, check):
    header = json.dumps({
        "inputs": [{"name": tensor, "datatype": "FP32", "shape": shape,
                    "parameters": {"binary_data_size": len(data)}}],
        "parameters": {"binary_data_output": True}}, separators=(",", ":")).encode()
    return Exchange(f"{model} binary", "POST", f"/v2/models/{model}/infer", header + data,
                    {"Content-Type": "application/octet-stream",
                     "Inference-Header-Content-Length": len(header)}, check)


def all_exchanges():
    """By name: health, digits binary and JSON, relu_224 binary."""
    image = (DIGITS / "heldout.f32").read_bytes()[:256]
    truth = (DIGITS / "heldout.labels").read_bytes()[0]

    def check_binary(head, body):
        require(struct.unpack("<q", tensors(head, body)["label"]) == (truth,), "digits binary")

    def check_json(_, body):
        outputs = {output["name"]: output["data"] for output in json.loads(body)["outputs"]}
        require(outputs["label"] == [truth], "digits JSON")
        require(abs(sum(outputs["probabilities"]) - 1) < 1e-4, "digits JSON")

    pixels = [int(pixel) for pixel in struct.unpack("<64f", image)]
    text = json.dumps({"inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 64],
                                   "data": pixels}]}, separators=(",", ":")).encode()

    chance = random.Random(224)
    large = array.array("f", (chance.uniform(-1, 1) for _ in range(IMAGE_ELEMENTS)))
    positive = array.array("f", (max(value, 0.0) for value in large)).tobytes()

    def check_large(head, body):
        require(tensors(head, body)["output"] == positive, "relu_224 binary")

    exchanges = [
        Exchange("health", "GET", "/v2/health/ready"),
        binary("digits", "image", [1, 64], image, check_binary),
        Exchange("digits JSON", "POST", "/v2/models/digits/infer", text,
                 {"Content-Type": "application/json"}, check_json),
        binary("relu_224", "input", IMAGE_SHAPE, large.tobytes(), check_large),
    ]
    return {exchange.name: exchange for exchange in exchanges}
