# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Python client share: the package from the tree, with the library built."""

import contextlib
import os
import pathlib
import signal
import sys
import threading

from daemon import ROOT, wait_until

SOURCE = ROOT / "clients/python/src"
sys.path.insert(0, str(SOURCE))
import mlos  # noqa: E402  pylint: disable=wrong-import-position
from mlos._native import SLICE_S  # noqa: E402  pylint: disable=wrong-import-position

__all__ = ["LIMIT_S", "SLICE_S", "SOURCE", "interrupt_once", "mlos", "use_library"]

LIMIT_S = 30


def use_library(build):
    """To be called before the first client is made."""
    os.environ["MLOS_LIBRARY"] = str(pathlib.Path(build).resolve() / "lib/libmlos.so.1")


@contextlib.contextmanager
def interrupt_once(condition):
    """Control-C for this thread as soon as the condition is true, seen by another."""
    def interrupt():
        wait_until(condition, LIMIT_S, "what is to be interrupted")
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        yield
    finally:
        thread.join()
