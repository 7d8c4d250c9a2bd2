#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The curl lines of the pages, as they are written there, against the real daemon.

Every line of a page's code that begins with curl is run, in the order of the page, and must
succeed; what else the pages say of some of them is checked. A page that is not named here needs
nothing but the digits model, or fails.
"""

import gzip
import json
import os
import re
import shutil
import subprocess

import numpy as np

import fixture
from daemon import ROOT

PORT = re.compile(r"(?:localhost|127\.0\.0\.1):8080")
MAKES_PLUGIN = "docs/writing-a-plugin.md"


def pages():
    """Every page of the tree, by its path from the root."""
    for directory, folders, files in os.walk(ROOT):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f != "build")
        for name in sorted(files):
            if name.endswith(".md"):
                yield os.path.relpath(os.path.join(directory, name), ROOT)


def code_lines(page):
    """The commands of a page: indented or fenced, continued lines joined, without remarks."""
    fenced, lines, text = False, [], (ROOT / page).read_text()
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            lines.append(re.sub(r"\s+# .*", "", line).strip())
    return lines


def curl_lines(page):
    return [line for line in code_lines(page) if line.startswith("curl ")]


class CurlTest(fixture.ClientTest):
    def run_line(self, line, directory=ROOT):
        """What a command prints; the test fails when it does."""
        line = PORT.sub(self.daemon.address, line)
        line = re.sub(r"^curl ", "curl --silent --show-error --fail-with-body --noproxy '*' ", line)
        done = subprocess.run(["bash", "-c", line], cwd=directory, capture_output=True, text=True,
                              timeout=120, check=False)
        self.assertEqual(0, done.returncode, f"{line}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def answers(self, page, directory=ROOT):
        """What each curl line of a page answers, as JSON."""
        return [json.loads(self.run_line(line, directory)) for line in curl_lines(page)]

    def test_the_readme(self):
        metadata, answer, models = self.answers("README.md")
        self.assertEqual("digits", metadata["name"])
        self.assertEqual([-1, 64], metadata["inputs"][0]["shape"])
        _, labels = fixture.digits()
        found = {output["name"]: output["data"] for output in answer["outputs"]}
        self.assertEqual([labels[0]], found["label"])
        self.assertIn("digits", [model["name"] for model in models["models"]])

    def test_how_to_write_a_plugin(self):
        """The whole page: copy, edit, build, check, run."""
        directory = self.daemon.directory / "tree"
        shutil.copytree(ROOT / "include", directory / "include")
        shutil.copytree(ROOT / "plugins/template", directory / "plugins/template")
        (directory / "build").mkdir()
        (directory / "build/bin").symlink_to(self.daemon.build / "bin")
        answers = []
        for line in code_lines(MAKES_PLUGIN):
            if line == "cmake --build build":  # there the tree is built; here the plugin alone
                line = ("cmake -S plugins/doubler -B made -DMLOS_PLUGIN_OUTPUT_DIRECTORY="
                        "$PWD/build/plugins && cmake --build made")
            if line.startswith("cc "):
                break  # from here on it is about other trees
            if line.startswith("cd "):
                directory = (directory / line[3:]).resolve()
                continue
            answers.append(self.run_line(line, directory))
        self.assertEqual(len(curl_lines(MAKES_PLUGIN)), sum(text[:1] == "{" for text in answers))
        (output,) = json.loads(answers[-1])["outputs"]
        self.assertEqual(("Y", [3, 5, 7]), (output["name"], output["data"]))
        self.daemon.model_action("twice", "unload")
        self.daemon.remove_model("twice")

    def test_the_other_pages(self):
        seen = 0
        for page in pages():
            if page not in ("README.md", MAKES_PLUGIN):
                for line in curl_lines(page):
                    with self.subTest(f"{page}: {line}"):
                        self.run_line(line)
                        seen += 1
        self.assertGreater(seen, 0)

    def curl(self, *arguments, data=b""):
        """curl with these arguments: what it prints and what it says with --verbose, as bytes."""
        done = subprocess.run(["curl", "--silent", "--show-error", "--fail-with-body", "--verbose",
                               "--noproxy", "*", *arguments], input=data, capture_output=True,
                              timeout=120, check=False)
        self.assertEqual(0, done.returncode, done.stderr.decode(errors="replace"))
        return done.stdout, done.stderr

    def test_a_large_raw_body_waits_for_100(self):
        values = np.arange(600_000, dtype=np.float32)
        answer, said = self.curl(
            self.daemon.address + "/v2/models/identity_fp32/infer", "--data-binary", "@-",
            "--header", "Expect: 100-continue", "--header", "Inference-Header-Content-Length: 0",
            "--header", "Content-Type: application/octet-stream", data=values.tobytes())
        self.assertIn(b"< HTTP/1.1 100 Continue", said)
        self.assertEqual(values.tobytes(), answer[-values.nbytes:])

    def test_over_a_unix_socket(self):
        answer, _ = self.curl("--unix-socket", self.daemon.socket_path,
                              "http://localhost/v2/models/digits/infer", "--json",
                              "@" + str(fixture.DIGITS / "request.json"))
        self.assertEqual("digits", json.loads(answer)["model_name"])

    def test_compressed_and_chunked(self):
        body = {"inputs": [{"name": "x", "datatype": "INT32", "shape": [5000], "data": [7] * 5000}]}
        packed = gzip.compress(json.dumps(body).encode())
        answer, said = self.curl(
            self.daemon.address + "/v2/models/identity_int32/infer", "--compressed",
            "--header", "Content-Encoding: gzip", "--header", "Transfer-Encoding: chunked",
            "--data-binary", "@-", data=packed)
        self.assertIn(b"< content-encoding: gzip", said.lower())
        self.assertEqual([7] * 5000, json.loads(answer)["outputs"][0]["data"])


if __name__ == "__main__":
    fixture.main()
