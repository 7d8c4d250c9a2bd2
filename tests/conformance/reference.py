# SPDX-License-Identifier: Apache-2.0
"""The process that runs models with ONNX Runtime alone (reference.cc), as an object.

One thread. A model that ends the process is an answer like another; the next call starts it again.
"""

import json
import os
import subprocess

import daemon
import oip


class Ended(Exception):
    """The process ended while it ran a model."""


class Reference:
    def __init__(self, build):
        self._program = daemon.pathlib.Path(build) / "tests/conformance_reference"
        self._process = None
        self._start()

    def _start(self):
        self._process = subprocess.Popen(
            [self._program], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "ORT_DISABLE_TELEMETRY": "1"}, preexec_fn=daemon.die_with_parent)
        hello = self._read_line()
        self.version, self.pid = hello["version"], hello["pid"]

    def _read_line(self):
        line = self._process.stdout.readline()
        if not line:
            raise Ended(f"the process ended with {self._process.wait()}")
        return json.loads(line)

    def run(self, model, output_names, sets):
        """For each set, a list of arrays or the text of an error; or the text of a failed load.

        `sets` is a list of dictionaries from input names to arrays.
        """
        described, blobs = [], []
        for feeds in sets:
            tensors = []
            for name, array in feeds.items():
                blobs.append(oip.to_bytes(array))
                tensors.append({"name": name, "datatype": oip.datatype_of(array),
                                "shape": list(array.shape), "bytes": len(blobs[-1])})
            described.append(tensors)
        command = {"model": str(model), "outputs": output_names, "sets": described}
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n" + b"".join(blobs))
            self._process.stdin.flush()
            answer = self._read_line()
        except (BrokenPipeError, Ended) as error:
            self.stop()
            self._start()
            return str(error)
        if "load_error" in answer:
            return answer["load_error"]
        return [found["error"] if isinstance(found, dict) else [self._array(one) for one in found]
                for found in answer["sets"]]

    def _array(self, described):
        content = self._process.stdout.read(described["bytes"])
        return oip.from_bytes(described["datatype"], described["shape"], content)

    def stop(self):
        self._process.stdin.close()
        self._process.stdout.close()
        return self._process.wait(60)
