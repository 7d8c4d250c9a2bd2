# SPDX-License-Identifier: Apache-2.0
"""Handles of libmlos and their lifetime; the lock of a client; memory that numpy looks at.

A handle ends when nobody refers to it any more: a call's is held by its Call and by every array
that looks at its memory, and holds its model's, which holds its client's.  So what is closed while
such an array lives is closed for the program, and its memory stays until the array goes.
"""

from __future__ import annotations

import collections
import ctypes
import math
import os
import threading
from collections.abc import Callable
from typing import Any

from . import _abi
from .errors import FailedPreconditionError, InvalidArgumentError, error_of

# How long a call of the library may keep a signal's handler waiting.
SLICE_S = 0.1
DEFAULT_S = 60.0


def seconds(timeout: float | None, otherwise: float | None = None) -> float:
    """A timeout as it is given, or the client's, or a minute; infinite: no end."""
    if timeout is None:
        timeout = DEFAULT_S if otherwise is None else otherwise
    if not timeout >= 0:
        raise InvalidArgumentError(f"a timeout is a number of seconds from 0 on, not {timeout}")
    return timeout


def micros(timeout: float) -> int:
    """As the library has it, where 0 would be its default."""
    if timeout >= 9e12:
        return -1
    return max(1, math.ceil(timeout * 1e6))


def text(value: str | None) -> bytes | None:
    if value is None:
        return None
    if "\0" in value:
        raise InvalidArgumentError("a text with a zero character cannot be passed on")
    return value.encode()


class Session:
    """What all handles of a client share: the library, the lock, where reasons go.

        with session: ...       one thread at a time; another is refused, not kept waiting
    """

    def __init__(self) -> None:
        self.library = _abi.library()
        # One that its thread may take again: an interruption may fall where it was just taken.
        self._lock = threading.RLock()
        self._depth = 0
        self._pid = os.getpid()
        self._dead: collections.deque[Handle] = collections.deque()
        self._text = ctypes.create_string_buffer(_abi.ERROR_BYTES)
        self.error = _abi.Error(capacity=_abi.ERROR_BYTES, text=ctypes.addressof(self._text))
        self.error_at = ctypes.pointer(self.error)

    def __enter__(self) -> Session:
        if os.getpid() != self._pid:
            raise FailedPreconditionError("after fork() the child needs a client of its own")
        if not self._lock.acquire(blocking=False):
            raise FailedPreconditionError(
                "the client is in use: a client, its models and calls are for one thread at a time; "
                "make a client in each thread")
        if self._dead and self._depth == 0:
            self._bury()
        self._depth += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        self._lock.release()

    def check(self, code: int) -> None:
        if code != _abi.OK:
            raise error_of(code, self.reason())

    def reason(self) -> str:
        return self._text.value.decode(errors="replace")

    def bury(self, handle: Handle) -> None:
        """Ends a handle, now or where the client is in use, at its next use: the collector of
        garbage may call this at any place of any thread."""
        if os.getpid() != self._pid:
            return  # the parent's, which goes on with the same shared memory
        self._dead.append(handle)
        if self._lock.acquire(blocking=False):
            try:
                if self._depth == 0:  # else this thread is about to use it
                    self._bury()
            finally:
                self._lock.release()

    def _bury(self) -> None:
        while self._dead:
            handle = self._dead.popleft()
            handle.end(handle.value)
            del handle  # and with it, maybe, its owner, which comes next

    def patiently(self, function: Callable[..., int], *arguments: Any) -> None:
        """Calls what may take long and cannot be waited for in slices, on a thread of its own where
        this is the one that gets signals.  Interrupted, the client is in use until it returns."""
        if threading.current_thread() is not threading.main_thread():
            with self:
                self.check(function(*arguments, self.error_at))
            return
        outcome: list[BaseException | None] = []
        done = threading.Event()

        def work() -> None:
            try:
                with self:
                    self.check(function(*arguments, self.error_at))
                outcome.append(None)
            except BaseException as error:  # it is raised where it was called
                outcome.append(error)
            finally:
                done.set()

        threading.Thread(target=work, name="mlos", daemon=True).start()
        done.wait()
        if outcome[0] is not None:
            raise outcome[0]


class Handle:
    """Of a client, a model or a call; `owner` is the one that must outlive it."""

    def __init__(self, session: Session, end: Callable[[int], None],
                 owner: Handle | None = None) -> None:
        self.session = session
        self.end = end
        self.owner = owner
        self.out = ctypes.c_void_p()  # where the library writes it
        self.value = 0

    def made(self) -> Handle:
        self.value = self.out.value or 0
        return self

    def __del__(self) -> None:
        # Also where the thread that made it was interrupted before it could be told.
        self.value = self.out.value or 0
        if self.value:
            self.session.bury(_Corpse(self))


class _Corpse(Handle):
    """What is left to be ended.  Holds the owner, which so ends later."""

    def __init__(self, of: Handle) -> None:  # pylint: disable=super-init-not-called
        self.session, self.end, self.owner, self.value = of.session, of.end, of.owner, of.value

    def __del__(self) -> None:
        pass


class Memory:
    """Bytes of a call that numpy looks at; arrays made of it hold it, and it the call's handle."""

    __slots__ = ("__array_interface__", "__weakref__", "_handle")

    def __init__(self, handle: Handle, address: int | None, size: int, writable: bool) -> None:
        self._handle = handle
        self.__array_interface__ = {"version": 3, "typestr": "|u1", "shape": (size,),
                                    "data": (address or 0, not writable)}
