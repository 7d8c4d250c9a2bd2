# SPDX-License-Identifier: Apache-2.0
"""A connection to the daemon of this machine."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import sys
from typing import Any

from . import _abi
from ._native import Handle, Session, micros, seconds, text
from .errors import FailedPreconditionError
from .model import Model


@dataclasses.dataclass(frozen=True)
class ServerState:
    ready: bool
    not_ready: str  # what is not
    name: str
    version: str


class Client:
    """Connects to the daemon's local socket; a context manager.

    A client, its models and their calls are for one thread at a time: a second one gets a
    FailedPreconditionError.  While the library waits, other threads of Python run.  A client in
    each thread is best.  A child after fork() needs a client of its own.

    `address` is "unix:///path/to/mlos.sock"; None: what MLOS_HOST says, where that is one, else this
    user's socket.  `timeout`, here and elsewhere: seconds, None: the client's, which is a minute
    unless given here; math.inf: no end.
    """

    def __init__(self, address: str | None = None, token: str | None = None,
                 timeout: float | None = None) -> None:
        self._timeout = seconds(timeout)
        self._session = session = Session()
        options = _abi.ClientOptions(token=text(token), timeout_us=micros(self._timeout),
                                     name=os.path.basename(sys.argv[0] or "python").encode())
        handle = Handle(session, session.library.mlos_disconnect)
        session.patiently(session.library.mlos_connect, text(address), ctypes.byref(options),
                          ctypes.byref(handle.out))
        self._handle: Handle | None = handle.made()
        self._models: list[Model] = []

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes its models too.  What arrays still look at stays until they are gone."""
        for model in self._models:
            model.close()
        self._models = []
        self._handle = None

    def _open_handle(self) -> Handle:
        if self._handle is None:
            raise FailedPreconditionError("the client is closed")
        return self._handle

    @property
    def ready(self) -> bool:
        """Whether the daemon says that it is."""
        return self.server_state().ready

    def server_state(self, timeout: float | None = None) -> ServerState:
        handle, session, server = self._open_handle(), self._session, _abi.Server()
        session.patiently(session.library.mlos_server_state, handle.value,
                          micros(seconds(timeout, self._timeout)), ctypes.byref(server))
        return ServerState(server.ready, *(said.decode() for said in (
            server.not_ready, server.name, server.version)))

    def control(self, operation: str, name: str | None = None, version: str | None = None,
                body: dict[str, Any] | None = None, wait: bool = True,
                timeout: float | None = None) -> dict[str, Any]:
        """An operation of the management interface, "model.load"; its answer.  With `wait` false it
        may be under way still when this returns."""
        handle, session, said = self._open_handle(), self._session, ctypes.c_char_p()
        session.patiently(
            session.library.mlos_control, handle.value, text(operation), text(name), text(version),
            None if body is None else json.dumps(body).encode(), wait,
            micros(seconds(timeout, self._timeout)), ctypes.byref(said))
        return json.loads(said.value or b"{}")

    def open(self, name: str, version: str | None = None, timeout: float | None = None) -> Model:
        """Opens a model, which is loaded where the daemon loads on demand.  `version` None: the one
        that the daemon's policy prefers, also later."""
        session = self._session
        handle = Handle(session, session.library.mlos_model_close, self._open_handle())
        session.patiently(session.library.mlos_model_open, self._open_handle().value, text(name),
                          text(version), micros(seconds(timeout, self._timeout)),
                          ctypes.byref(handle.out))
        model = Model(handle.made(), self._timeout)
        self._models = [one for one in self._models if not one.closed] + [model]
        return model
