# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, as exceptions: one class for each of gRPC's canonical codes."""

from __future__ import annotations


class Error(Exception):
    """`code` is a number of gRPC's, `text` says what is wrong and what to do."""

    code = 2
    name = "UNKNOWN"

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.text = text
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


class CancelledError(Error):
    code, name = 1, "CANCELLED"


class InvalidArgumentError(Error, ValueError):
    code, name = 3, "INVALID_ARGUMENT"


class DeadlineExceededError(Error, TimeoutError):
    code, name = 4, "DEADLINE_EXCEEDED"


class NotFoundError(Error, LookupError):
    code, name = 5, "NOT_FOUND"


class AlreadyExistsError(Error):
    code, name = 6, "ALREADY_EXISTS"


class PermissionDeniedError(Error):
    code, name = 7, "PERMISSION_DENIED"


class ResourceExhaustedError(Error):
    code, name = 8, "RESOURCE_EXHAUSTED"


class FailedPreconditionError(Error):
    code, name = 9, "FAILED_PRECONDITION"


class AbortedError(Error):
    code, name = 10, "ABORTED"


class OutOfRangeError(Error):
    code, name = 11, "OUT_OF_RANGE"


class UnimplementedError(Error):
    code, name = 12, "UNIMPLEMENTED"


class InternalError(Error):
    code, name = 13, "INTERNAL"


class UnavailableError(Error):
    code, name = 14, "UNAVAILABLE"


class DataLossError(Error):
    code, name = 15, "DATA_LOSS"


class UnauthenticatedError(Error):
    code, name = 16, "UNAUTHENTICATED"


_CLASSES = {kind.code: kind for kind in Error.__subclasses__()}


def error_of(code: int, text: str) -> Error:
    return _CLASSES.get(code, Error)(text or "no reason was given", code)
