# SPDX-License-Identifier: Apache-2.0
"""A prepared request of a model."""

from __future__ import annotations

import ctypes
import math
import time
import weakref
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _abi
from ._native import Handle, Memory, micros, seconds
from .errors import (CancelledError, DeadlineExceededError, Error, FailedPreconditionError,
                     InvalidArgumentError, error_of)
from .tensors import BYTES, BytesSpec, TensorSpec, unpack_bytes

if TYPE_CHECKING:
    from .model import Model

Shaped = tuple[int, ...] | BytesSpec | npt.ArrayLike
TENSOR_BYTES = ctypes.sizeof(_abi.Tensor)
IDLE_PAUSE_S, IDLE_LIMIT_S = 0.001, 1.0


class Call:
    """Of `Model.prepare`.  Fill `inputs`, `run`, read `outputs`; again and again.

    `inputs[name]` is a writable array in the shared memory that the model reads.  Of BYTES it is the
    tensor's bytes, as pack_bytes makes them.  Do not write while the call is under way: after a
    timeout or a cancellation `idle` says when the model is done with them.
    """

    def __init__(self, model: Model, inputs: Sequence[tuple[int, tuple[int, ...] | BytesSpec]],
                 outputs: Sequence[int], all_outputs: bool, parameters: bytes | None,
                 time_s: float) -> None:
        self.model = model
        self._session = session = model._session
        self._specs: dict[str, tuple[int, TensorSpec]] = {
            model.outputs[index].name: (index, model.outputs[index]) for index in outputs}
        self._buffers: dict[str, tuple[int, npt.NDArray[Any]]] = {}  # that `outputs` gives: where, what
        self._outputs: Mapping[str, npt.NDArray[Any]] | None = None
        self._lent: list[weakref.ref[Memory]] = []
        self._tensor = _abi.Tensor()
        self._submitted = self._ready = self._left = False
        self._known = False  # the outcome was collected, and nobody has asked for it yet
        self._failure: Error | None = None
        handle = Handle(session, session.library.mlos_call_destroy, model._open_handle())
        with session:
            session.check(session.library.mlos_call_create(
                model._open_handle().value, handle.out, session.error_at))
            self._handle: Handle | None = handle.made()
            tensors = self._lay_out(inputs, [] if all_outputs else outputs, parameters, time_s)
        self.inputs: Mapping[str, npt.NDArray[Any]] = MappingProxyType(
            {model.inputs[tensor.index].name: self._input_view(tensor) for tensor in tensors})

    def _lay_out(self, inputs: Sequence[tuple[int, tuple[int, ...] | BytesSpec]],
                 outputs: Sequence[int], parameters: bytes | None, time_s: float) -> Any:
        tensors = (_abi.Tensor * len(inputs))()
        for tensor, (index, wanted) in zip(tensors, inputs):
            spec = self.model.inputs[index]
            if isinstance(wanted, BytesSpec) != (spec.datatype == BYTES):
                raise InvalidArgumentError(f'input "{spec.name}" is {spec.datatype}: give ' + (
                    "its values, or a BytesSpec" if spec.datatype == BYTES else "its shape"))
            shape = wanted.shape if isinstance(wanted, BytesSpec) else wanted
            if len(shape) > _abi.MAX_RANK:
                raise InvalidArgumentError(f'input "{spec.name}": a tensor has at most '
                                           f"{_abi.MAX_RANK} dimensions, not {len(shape)}")
            tensor.struct_size = ctypes.sizeof(tensor)
            tensor.index, tensor.rank = index, len(shape)
            tensor.dims[:len(shape)] = [int(size) for size in shape]
            tensor.bytes = wanted.byte_size if isinstance(wanted, BytesSpec) else 0
        request = _abi.Request(
            input_count=len(inputs), inputs=tensors, output_count=len(outputs),
            outputs=(ctypes.c_uint32 * len(outputs))(*outputs), parameters=parameters)
        self._session.check(self._session.library.mlos_call_prepare(
            self._open_handle().value, request, micros(time_s), self._session.error_at))
        return tensors

    def _input_view(self, tensor: Any) -> npt.NDArray[Any]:
        spec = self.model.inputs[tensor.index]
        flat = _look_at(Memory(self._open_handle(), tensor.data, tensor.bytes, writable=True))
        if spec.datatype == BYTES:
            return flat
        return flat.view(spec.dtype).reshape(tuple(tensor.dims[:tensor.rank]))

    def close(self) -> None:
        """It can be used no more, and what is under way is cancelled.  Its memory stays as long as
        an array looks at it."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        self.model._calls.pop(handle.value, None)
        if self._submitted and not self._known:
            with self._session:  # views may keep it from being destroyed
                self._session.library.mlos_call_cancel(handle.value)
        self._outputs, self.inputs, self._buffers = None, MappingProxyType({}), {}
        self._submitted = self._ready = False

    def __enter__(self) -> Call:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open_handle(self) -> Handle:
        if self._handle is None or self.model.closed:
            raise FailedPreconditionError("the call is closed, or its model is")
        return self._handle

    # ---------------------------------------------------------------- running

    def run(self, timeout: float | None = None) -> None:
        """Submits and waits.  Interrupted, it cancels the call."""
        try:
            self.submit(timeout)
            self.wait()
        except Error:
            raise
        except BaseException:  # interrupted
            self.cancel()
            self._submitted = self._known = False
            self.model._calls.pop(self._open_handle().value, None)
            raise

    def submit(self, timeout: float | None = None) -> None:
        """Starts it and returns, so that several calls are under way at once."""
        time_s = seconds(timeout, self.model._timeout)
        handle = self._open_handle()
        if self._submitted:
            raise FailedPreconditionError("the call is under way: wait for it first")
        self._lent = [ref for ref in self._lent if ref() is not None]
        if self._lent:
            raise FailedPreconditionError(
                "arrays of borrow() look at the last answer, which this would end: let them go "
                "first, or take outputs instead")
        if self._left:
            time_s = self._await_idle(time_s)
        self._outputs = None
        self._ready = False
        self._submitted, self._known = True, False
        self.model._calls[handle.value] = self
        try:
            with self._session as session:
                session.check(session.library.mlos_call_submit(handle.value, micros(time_s),
                                                               session.error_at))
        except Error:
            self._submitted = False
            self.model._calls.pop(handle.value, None)
            raise
        self._left = False

    def wait(self) -> None:
        """Until it is done or its time is up; raises what went wrong."""
        handle = self._open_handle()
        if not self._submitted:
            raise FailedPreconditionError("the call has not been submitted")
        while not self._known:
            self.model._collect(math.inf)  # for a moment: a signal's handler may run between
        self._submitted = self._known = False
        self.model._calls.pop(handle.value, None)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        self._ready = True

    @property
    def done(self) -> bool:
        """Whether `wait` would return at once."""
        if self._known:
            return True
        with self._session:
            return self._session.library.mlos_call_done(self._open_handle().value)

    def cancel(self) -> None:
        """Nobody waits for the answer any more: `wait` raises CancelledError at once."""
        if not self._submitted:
            return
        with self._session:
            self._session.library.mlos_call_cancel(self._open_handle().value)
            self._left = True
            if not self._known:
                code = self._session.library.mlos_call_wait(self._open_handle().value,
                                                            self._session.error_at)
                self.settle(None if code == _abi.OK else error_of(code, self._session.reason()))

    @property
    def idle(self) -> bool:
        """Whether the inputs may be written: nobody reads them."""
        with self._session:
            return self._session.library.mlos_call_idle(self._open_handle().value)

    @property
    def known(self) -> bool:
        """Whether the outcome has come; `wait` gives it."""
        return self._known

    @property
    def settled(self) -> bool:
        """Whether it is known without asking that the model is done with it."""
        return not (self._left or self._submitted or self._handle is None)

    def settle(self, failure: Error | None) -> None:
        """The outcome, from whoever collected it."""
        self._known, self._failure = True, failure
        # The others are the model's own answer, which it has let go of.
        self._left = self._left or isinstance(failure, (CancelledError, DeadlineExceededError))

    def _await_idle(self, time_s: float) -> float:
        """Until the model has let go of the inputs; what is left of the time.  Not for ever: where
        the connection has ended too, it is `submit` that makes another."""
        begin = time.monotonic()
        while not self.idle and time.monotonic() - begin < min(time_s, IDLE_LIMIT_S):
            time.sleep(IDLE_PAUSE_S)
        return max(0.0, time_s - (time.monotonic() - begin))

    # ---------------------------------------------------------------- answers

    @property
    def outputs(self) -> Mapping[str, npt.NDArray[Any]]:
        """Of a run that succeeded: arrays that cannot be written and are valid until the next run,
        whose answer overwrites them.  They are the program's memory, so nothing happens to whoever
        looks later.  `copies` gives arrays to keep, `borrow` one without any copy."""
        if self._outputs is None:
            self._outputs = MappingProxyType(
                {name: self._fetch(name, fresh=False) for name in self._specs})
        return self._outputs

    def copies(self) -> dict[str, npt.NDArray[Any]]:
        """The outputs as arrays that are the caller's."""
        return {name: self._fetch(name, fresh=True) for name in self._specs}

    def borrow(self, name: str) -> npt.NDArray[Any]:
        """An output where the model wrote it.  As long as this array or a view of it lives the call
        cannot be run again: `submit` refuses, because that would take the memory away."""
        tensor, spec = self._find(name)
        if spec.datatype == BYTES:
            return self._fetch(name, fresh=True)
        memory = Memory(self._open_handle(), tensor.data, tensor.bytes, writable=False)
        self._lent.append(weakref.ref(memory))
        return _look_at(memory).view(spec.dtype).reshape(tuple(tensor.dims[:tensor.rank]))

    def _find(self, name: str) -> tuple[Any, TensorSpec]:
        if not self._ready:
            raise FailedPreconditionError("there are no outputs: the call has not been run, or failed")
        if name not in self._specs:
            raise InvalidArgumentError(f'output "{name}" was not asked for')
        index, spec = self._specs[name]
        with self._session as session:
            self._tensor.struct_size = TENSOR_BYTES
            session.check(session.library.mlos_call_output(self._open_handle().value, index,
                                                           self._tensor))
        return self._tensor, spec

    def _fetch(self, name: str, fresh: bool) -> npt.NDArray[Any]:
        tensor, spec = self._find(name)
        shape = tuple(tensor.dims[:tensor.rank])
        if spec.datatype == BYTES:
            return unpack_bytes(ctypes.string_at(tensor.data, tensor.bytes), shape)
        if fresh:
            copy = np.empty(shape, spec.dtype)
            ctypes.memmove(_address_of(copy), tensor.data, tensor.bytes)
            return copy
        kept = self._buffers.get(name)
        if kept is None or kept[1].shape != shape:
            buffer = np.empty(shape, spec.dtype)
            shown = buffer.view()
            shown.flags.writeable = False
            kept = self._buffers[name] = (_address_of(buffer), shown)
        ctypes.memmove(kept[0], tensor.data, tensor.bytes)
        return kept[1]


def _address_of(array: npt.NDArray[Any]) -> int:
    return array.__array_interface__["data"][0]


def _look_at(memory: Memory) -> npt.NDArray[np.uint8]:
    return np.asarray(memory)
