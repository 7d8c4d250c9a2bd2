#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Serves every backend test case of ONNX with the real daemon and compares what comes back.

    tests/python/run tests/conformance/run.py --build build            # compare with report.md
    tests/python/run tests/conformance/run.py --build build --write    # write report.md anew

--every N takes each Nth case only, --only TEXT those whose name contains it; both compare with the
report's verdicts on these cases. --protocol grpc sends the same over gRPC, which must give the same
verdicts. README.md says what is compared with what.
"""

import argparse
import collections
import pathlib
import sys
import tempfile
import time
import warnings

import cases
import report
import serving
import verdict
from daemon import Daemon, mapped_library
from reference import Reference

HERE = pathlib.Path(__file__).resolve().parent
LIBRARY = "libonnxruntime.so"


def require_same_library(server, reference):
    """The proof that both sides compute with the same code."""
    served = mapped_library(server.host_pid("onnxruntime"), LIBRARY)
    in_process = mapped_library(reference.pid, LIBRARY)
    if served[1] != in_process[1]:
        raise RuntimeError(f"the plugin host maps {served}, the reference {in_process}")


def run(build, chosen, protocol):
    """A list of (case, outcome, reason), and the version of the library."""
    results = []
    reference = Reference(build)
    with Daemon(build) as server:
        server.bring_onnx()
        calls = serving.PROTOCOLS[protocol](server)
        require_same_library(server, reference)
        for number, case in enumerate(chosen):
            results.append((case, *verdict.judge(case, server, calls, reference, f"c{number}")))
            case.close()
        # By then it is another process, renewed for the memory that unloaded models left behind.
        require_same_library(server, reference)
        (host,) = server.manage("GET", "/hosts")["hosts"]
        if host["restarts"] != 0:
            raise RuntimeError("the plugin host died on the way:\n" + server.log[-3000:])
    version = reference.version
    if reference.stop() != 0:
        raise RuntimeError("the reference ended with an error")
    return results, version


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=HERE.parents[1] / "build")
    parser.add_argument("--every", type=int, default=1, metavar="N")
    parser.add_argument("--only", default="", metavar="TEXT")
    parser.add_argument("--protocol", choices=serving.PROTOCOLS, default="http")
    parser.add_argument("--write", action="store_true", help="write report.md anew")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", RuntimeWarning)  # the package computes infinities on purpose

    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mlos-conformance-") as directory:
        everything = cases.debian_cases() + cases.wheel_cases(directory)
        chosen = [case for case in everything if arguments.only in case.name][::arguments.every]
        if not chosen:
            sys.exit("no case has such a name")
        results, version = run(arguments.build, chosen, arguments.protocol)
    counts = collections.Counter(outcome for _, outcome, _ in results)
    print(f"{len(results)} cases in {time.monotonic() - begun:.0f} s, ONNX Runtime {version}: "
          + ", ".join(f"{counts[outcome]} {outcome}" for outcome in verdict.OUTCOMES
                      if counts[outcome]))
    path = HERE / "report.md"
    if arguments.write:
        if len(chosen) != len(everything) or arguments.protocol != "http":
            sys.exit("the report is about all cases over HTTP: leave out --every, --only and "
                     "--protocol")
        path.write_text(report.markdown(results, version, cases.versions()))
        return
    faults = report.compare(path.read_text(), results, len(chosen) == len(everything))
    if faults:
        sys.exit("\n".join(faults) + f"\n{len(faults)} verdicts are not those of {path}; when they "
                 "are right, write it anew with --write")


if __name__ == "__main__":
    main()
