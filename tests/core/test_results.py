"""The edge between exceptions inside and results outside."""

from __future__ import annotations

import inspect

import pytest

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import Failure, Result, Success, edge, raised


@edge({FileNotFoundError: ErrorCode.FILE_NOT_FOUND, OSError: ErrorCode.FILE_READ_FAILED})
def attempt(exception: Exception | None, value: int = 1) -> int:
    """Do something that may fail."""
    if exception is not None:
        raise exception
    return value


def test_value() -> None:
    """A value comes back in a Success, arguments and keywords passed on."""
    assert attempt(None) == Success(1)
    assert attempt(None, value=7) == Success(7)


def test_pacs_exception() -> None:
    """The error of a PacsException comes back in a Failure, unchanged."""
    exception = PacsException(ErrorCode.TRUNCATED, "it ends", offset=3)
    assert attempt(exception) == Failure(exception.error)


def test_named_exceptions() -> None:
    """A named foreign exception becomes its code; the first type that fits wins."""
    error = attempt(FileNotFoundError(2, "No such file", "x")).failure()
    assert error.code is ErrorCode.FILE_NOT_FOUND
    assert "No such file" in error.message
    assert attempt(PermissionError("denied")).failure().code is ErrorCode.FILE_READ_FAILED


def test_exception_without_words() -> None:
    """An exception without a message is at least named."""
    error = attempt(OSError()).failure()
    assert error.message == "the file could not be read: OSError"


def test_unnamed_exceptions_stay_exceptions() -> None:
    """What nobody expected is a bug of ours and isn't hidden."""
    with pytest.raises(ZeroDivisionError):
        attempt(ZeroDivisionError())


@pytest.mark.parametrize("too_wide", [Exception, BaseException])
def test_catching_everything_is_refused(too_wide: type[Exception]) -> None:
    """``Exception`` can't be named: it would swallow our own bugs."""
    with pytest.raises(ValueError, match="not Exception"):
        edge({too_wide: ErrorCode.INTERNAL})


def test_decorated_function_keeps_its_name() -> None:
    """Name, docstring and signature stay, for documentation."""
    assert attempt.__name__ == "attempt"
    assert attempt.__doc__ == "Do something that may fail."
    assert list(inspect.signature(attempt).parameters) == ["exception", "value"]


def test_methods() -> None:
    """The edge works for methods."""

    class Thing:
        @edge()
        def half(self, number: int) -> int:
            if number % 2:
                raise PacsException(ErrorCode.INVALID_ARGUMENT, "odd")
            return number // 2

    assert Thing().half(4) == Success(2)
    assert Thing().half(3).failure().code is ErrorCode.INVALID_ARGUMENT


def test_raised() -> None:
    """Inside a layer a result is its value, or its error raised on."""
    error = PacsError(ErrorCode.TRUNCATED, "it ends", {"offset": 3})
    ok: Result[int, PacsError] = Success(5)
    bad: Result[int, PacsError] = Failure(error)
    assert raised(ok) == 5
    with pytest.raises(PacsException) as caught:
        raised(bad)
    assert caught.value.error == error


def test_raised_takes_results_only() -> None:
    """Anything else is a mistake of ours."""
    with pytest.raises(TypeError, match="int"):
        raised(3)  # type: ignore[arg-type]
