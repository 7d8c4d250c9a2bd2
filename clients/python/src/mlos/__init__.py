# SPDX-License-Identifier: Apache-2.0
"""Calls models that an mlosd on this machine serves, through shared memory.

    with mlos.Client() as client, client.open("digits") as model:
        outputs = model.infer({"image": images})
"""

from .call import Call
from .client import Client, ServerState
from .errors import (AbortedError, AlreadyExistsError, CancelledError, DataLossError,
                     DeadlineExceededError, Error, FailedPreconditionError, InternalError,
                     InvalidArgumentError, NotFoundError, OutOfRangeError, PermissionDeniedError,
                     ResourceExhaustedError, UnauthenticatedError, UnavailableError,
                     UnimplementedError)
from .model import Model
from .tensors import BytesSpec, TensorSpec, pack_bytes

__all__ = [
    "AbortedError", "AlreadyExistsError", "BytesSpec", "Call", "CancelledError", "Client",
    "DataLossError", "DeadlineExceededError", "Error", "FailedPreconditionError", "InternalError",
    "InvalidArgumentError", "Model", "NotFoundError", "OutOfRangeError", "PermissionDeniedError",
    "ResourceExhaustedError", "ServerState", "TensorSpec", "UnauthenticatedError",
    "UnavailableError", "UnimplementedError", "pack_bytes"]
