# SPDX-License-Identifier: Apache-2.0
"""An open model: what it takes and gives, and calls of it."""

from __future__ import annotations

import collections
import ctypes
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _abi
from ._native import SLICE_S, Handle, micros, seconds
from .call import Call, Shaped
from .errors import (DeadlineExceededError, FailedPreconditionError, InvalidArgumentError,
                     error_of)
from .tensors import BYTES, BytesSpec, TensorSpec, as_input, pack_bytes

# Prepared calls that `infer` keeps; a model has at most 64 in all.
KEPT_CALLS = 8


class Model:
    """Of `Client.open`; a context manager.  `inputs` and `outputs` are what it declares."""

    def __init__(self, handle: Handle, timeout: float) -> None:
        self._handle: Handle | None = handle
        self._session = handle.session
        self._timeout = timeout
        self._calls: dict[int, Call] = {}  # that are submitted, by their handles
        self._kept: collections.OrderedDict[Any, Call] = collections.OrderedDict()
        library = self._session.library
        info = _abi.ModelInfo()
        library.mlos_model_describe(handle.value, ctypes.byref(info))
        self.name: str = info.name.decode()
        self.platform: str = info.platform.decode()
        self.max_batch_size: int = info.max_batch_size
        self.inputs = self._describe(library.mlos_model_input, info.input_count)
        self.outputs = self._describe(library.mlos_model_output, info.output_count)
        self._input_of = {spec.name: i for i, spec in enumerate(self.inputs)}
        self._output_of = {spec.name: i for i, spec in enumerate(self.outputs)}

    def _describe(self, function: Any, count: int) -> list[TensorSpec]:
        specs = []
        for index in range(count):
            info = _abi.TensorInfo()
            self._session.check(function(self._open_handle().value, index, ctypes.byref(info)))
            datatype = self._session.library.mlos_datatype_name(info.datatype).decode()
            specs.append(TensorSpec(info.name.decode(), datatype, tuple(info.dims[:info.rank]),
                                    info.optional))
        return specs

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        return self._handle is None

    @property
    def version(self) -> str:
        """That answers now; another may take over later."""
        with self._session:
            info = _abi.ModelInfo()
            self._session.library.mlos_model_describe(self._open_handle().value,
                                                      ctypes.byref(info))
            return info.version.decode()

    def close(self) -> None:
        """Its calls can be used no more.  What arrays still look at stays until they are gone."""
        self._handle = None
        for call in [*self._kept.values(), *self._calls.values()]:
            call.close()
        self._kept.clear()
        self._calls.clear()

    def _open_handle(self) -> Handle:
        if self._handle is None:
            raise FailedPreconditionError(f'model "{self.name}" is closed')
        return self._handle

    # ------------------------------------------------------------------ calls

    def infer(self, inputs: Mapping[str, npt.ArrayLike], outputs: Sequence[str] | None = None,
              parameters: Mapping[str, Any] | None = None,
              timeout: float | None = None) -> dict[str, npt.NDArray[Any]]:
        """Runs the model once.  The arrays that it returns are the caller's.  Calls of one shape
        share a prepared call, so that only the first one prepares anything."""
        values, packed, shapes = {}, {}, []
        for name, value in inputs.items():
            spec = self._input(name)
            values[name] = value = as_input(spec, value)
            if spec.datatype == BYTES:
                packed[name] = pack_bytes(value)
            shapes.append((name, value.shape, packed[name].size if name in packed else 0))
        key = (tuple(shapes), None if outputs is None else tuple(outputs), self._json(parameters))
        time_s = seconds(timeout, self._timeout)
        call = self._kept.pop(key, None)
        if call is None:
            call = self._prepare({name: BytesSpec(shape, size) if name in packed else shape
                                  for name, shape, size in shapes}, outputs, key[2], time_s)
        try:
            for name, value in values.items():
                call.inputs[name][...] = packed.get(name, value)
            call.run(time_s)
            return call.copies()
        finally:
            # What the model may be at still is left to it: nobody writes its inputs.
            if call.settled:
                self._keep(key, call)
            else:
                call.close()

    def _keep(self, key: Any, call: Call) -> None:
        self._kept[key] = call
        if len(self._kept) > KEPT_CALLS:
            self._kept.popitem(last=False)[1].close()

    def prepare(self, inputs: Mapping[str, Shaped], outputs: Sequence[str] | None = None,
                parameters: Mapping[str, Any] | None = None,
                timeout: float | None = None) -> Call:
        """Lays a request out in shared memory, to be run again and again.

        Of each input: its shape, a tuple of ints; or an array, whose values are written too.  For
        BYTES an array or a BytesSpec.  `outputs`: those that are wanted, None: all."""
        shapes: dict[str, tuple[int, ...] | BytesSpec] = {}
        written: dict[str, npt.NDArray[Any]] = {}
        for name, value in inputs.items():
            spec = self._input(name)
            if isinstance(value, BytesSpec) or _is_shape(value):
                shapes[name] = value
                continue
            array = as_input(spec, value)
            packed = pack_bytes(array) if spec.datatype == BYTES else array
            written[name] = packed
            shapes[name] = BytesSpec(array.shape, packed.size) if packed is not array else array.shape
        call = self._prepare(shapes, outputs, self._json(parameters),
                             seconds(timeout, self._timeout))
        for name, array in written.items():
            call.inputs[name][...] = array
        return call

    def wait_any(self, timeout: float | None = None) -> Call:
        """One of the submitted calls that is done; its `wait` gives the outcome at once."""
        end = time.monotonic() + seconds(timeout, self._timeout)
        while True:
            for call in self._calls.values():
                if call.known:
                    return call
            if not self._collect(max(0.0, end - time.monotonic())) and time.monotonic() >= end:
                raise DeadlineExceededError(f'no call of model "{self.name}" was done in time')

    def _collect(self, time_s: float) -> bool:
        """Waits a moment for one of the submitted calls and takes its outcome.  False: none yet."""
        with self._session as session:
            out = ctypes.c_void_p()
            library = session.library
            code = library.mlos_model_wait_any(self._open_handle().value,
                                               micros(min(time_s, SLICE_S)), out, session.error_at)
            if code == _abi.DEADLINE_EXCEEDED:
                return False
            session.check(code)
            call = self._calls.get(out.value or 0)
            code = library.mlos_call_wait(out, session.error_at)
            if call is not None:
                call.settle(None if code == _abi.OK else error_of(code, session.reason()))
            return True

    def _prepare(self, shapes: Mapping[str, tuple[int, ...] | BytesSpec],
                 outputs: Sequence[str] | None, parameters: bytes | None, time_s: float) -> Call:
        if isinstance(outputs, str) or (outputs is not None and not outputs):
            raise InvalidArgumentError("outputs is a list of names, or None for all")
        wanted = range(len(self.outputs)) if outputs is None else [
            self._index(self._output_of, name, "output") for name in outputs]
        return Call(self, [(self._index(self._input_of, name, "input"), shape)
                           for name, shape in shapes.items()],
                    list(wanted), outputs is None, parameters, time_s)

    def _input(self, name: str) -> TensorSpec:
        return self.inputs[self._index(self._input_of, name, "input")]

    def _index(self, of: Mapping[str, int], name: str, what: str) -> int:
        index = of.get(name)
        if index is None:
            raise InvalidArgumentError(f'model "{self.name}" has no {what} "{name}", but '
                                       + ", ".join(f'"{one}"' for one in of))
        return index

    @staticmethod
    def _json(parameters: Mapping[str, Any] | None) -> bytes | None:
        return json.dumps(dict(parameters)).encode() if parameters else None


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(
        isinstance(size, (int, np.integer)) and not isinstance(size, bool) for size in value)
