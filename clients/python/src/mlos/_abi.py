# SPDX-License-Identifier: Apache-2.0
"""libmlos as ctypes sees it: the structs and functions of include/mlos/client.h, in its order.

Nothing is loaded at import; `library()` does that once.  Its calls release the interpreter's lock.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import os
import pathlib
from ctypes import POINTER, c_bool, c_char_p, c_int32, c_int64, c_uint32, c_uint64, c_void_p

OK, DEADLINE_EXCEEDED, FAILED_PRECONDITION, UNAVAILABLE = 0, 4, 9, 14
MAX_RANK = 16
ERROR_BYTES = 2048


class _Sized(ctypes.Structure):
    """Begins with `struct_size`, which is set."""

    def __init__(self, **fields: object) -> None:
        super().__init__(struct_size=ctypes.sizeof(self), **fields)


class Error(_Sized):
    _fields_ = [("struct_size", c_uint32), ("capacity", c_uint32), ("text", c_void_p)]


class ClientOptions(_Sized):
    _fields_ = [("struct_size", c_uint32), ("token", c_char_p), ("name", c_char_p),
                ("timeout_us", c_int64)]


class Server(_Sized):
    _fields_ = [("struct_size", c_uint32), ("ready", c_bool), ("not_ready", c_char_p),
                ("name", c_char_p), ("version", c_char_p)]


class ModelInfo(_Sized):
    _fields_ = [("struct_size", c_uint32), ("name", c_char_p), ("version", c_char_p),
                ("platform", c_char_p), ("max_batch_size", c_uint32), ("input_count", c_uint32),
                ("output_count", c_uint32)]


class TensorInfo(_Sized):
    _fields_ = [("struct_size", c_uint32), ("datatype", c_uint32), ("name", c_char_p),
                ("dims", POINTER(c_int64)), ("rank", c_uint32), ("optional", c_bool)]


class Tensor(_Sized):
    _fields_ = [("struct_size", c_uint32), ("index", c_uint32), ("datatype", c_uint32),
                ("rank", c_uint32), ("dims", c_int64 * MAX_RANK), ("bytes", c_uint64),
                ("data", c_void_p)]


class Request(_Sized):
    _fields_ = [("struct_size", c_uint32), ("input_count", c_uint32), ("inputs", POINTER(Tensor)),
                ("outputs", POINTER(c_uint32)), ("output_count", c_uint32),
                ("parameters", c_char_p)]


# What the header's structs have where pointers have 8 bytes.
_SIZES = {Error: 16, ClientOptions: 32, Server: 32, ModelInfo: 48, TensorInfo: 32, Tensor: 160,
          Request: 40}
for _struct, _bytes in _SIZES.items():
    if ctypes.sizeof(_struct) != _bytes:
        raise ImportError(f"mlos: {_struct.__name__} has {ctypes.sizeof(_struct)} bytes here instead "
                          f"of {_bytes}: only 64-bit Linux is supported")

_HANDLE, _OUT, _ERROR = c_void_p, POINTER(c_void_p), POINTER(Error)
_FUNCTIONS = {
    "mlos_version": (c_char_p, []),
    "mlos_datatype_name": (c_char_p, [c_uint32]),
    "mlos_connect": (c_int32, [c_char_p, POINTER(ClientOptions), _OUT, _ERROR]),
    "mlos_disconnect": (None, [_HANDLE]),
    "mlos_server_state": (c_int32, [_HANDLE, c_int64, POINTER(Server), _ERROR]),
    "mlos_control": (c_int32, [_HANDLE, c_char_p, c_char_p, c_char_p, c_char_p, c_bool, c_int64,
                               POINTER(c_char_p), _ERROR]),
    "mlos_model_open": (c_int32, [_HANDLE, c_char_p, c_char_p, c_int64, _OUT, _ERROR]),
    "mlos_model_close": (None, [_HANDLE]),
    "mlos_model_describe": (None, [_HANDLE, POINTER(ModelInfo)]),
    "mlos_model_input": (c_int32, [_HANDLE, c_uint32, POINTER(TensorInfo)]),
    "mlos_model_output": (c_int32, [_HANDLE, c_uint32, POINTER(TensorInfo)]),
    "mlos_call_create": (c_int32, [_HANDLE, _OUT, _ERROR]),
    "mlos_call_destroy": (None, [_HANDLE]),
    "mlos_call_prepare": (c_int32, [_HANDLE, POINTER(Request), c_int64, _ERROR]),
    "mlos_call_submit": (c_int32, [_HANDLE, c_int64, _ERROR]),
    "mlos_call_wait": (c_int32, [_HANDLE, _ERROR]),
    "mlos_call_done": (c_bool, [_HANDLE]),
    "mlos_call_cancel": (None, [_HANDLE]),
    "mlos_call_idle": (c_bool, [_HANDLE]),
    "mlos_model_wait_any": (c_int32, [_HANDLE, c_int64, _OUT, _ERROR]),
    "mlos_call_output": (c_int32, [_HANDLE, c_uint32, POINTER(Tensor)]),
}


def _places() -> list[str]:
    """Where the library may be, the likeliest first; what the user names is the only one."""
    named = os.environ.get("MLOS_LIBRARY")
    if named:
        return [named]
    beside = pathlib.Path(__file__).parent / "libmlos.so.1"
    found = ctypes.util.find_library("mlos")
    return [*([str(beside)] if beside.exists() else []), *([found] if found else []), "libmlos.so.1"]


@functools.cache
def library() -> ctypes.CDLL:
    """libmlos with its functions declared; ImportError says where it was looked for."""
    why = []
    for place in _places():
        try:
            loaded = ctypes.CDLL(place)
            for name, (result, arguments) in _FUNCTIONS.items():
                function = getattr(loaded, name)
                function.restype, function.argtypes = result, arguments
            return loaded
        except (OSError, AttributeError) as error:
            why.append(f"{place}: {error}")
    raise ImportError("mlos: libmlos.so.1 cannot be loaded; build it (scripts/build) or install it, "
                      "and say where it is in MLOS_LIBRARY.  Tried: " + "; ".join(why))
