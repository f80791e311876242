"""Results at the edge of a layer, exceptions inside it.

A public function of the SDK returns ``Success(value)`` or ``Failure(PacsError)``. Its
inside raises :class:`PacsException` where something is wrong, and :func:`edge`
converts once, at the boundary. An exception that nobody named is a bug of ours and
stays an exception.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import ParamSpec, TypeAlias, TypeVar

from returns.result import Failure, Result, Success

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException

__all__ = ["Failure", "PacsResult", "Result", "Success", "edge", "raised"]

_P = ParamSpec("_P")
_T = TypeVar("_T")
_ExceptionT = TypeVar("_ExceptionT", bound=Exception)

PacsResult: TypeAlias = Result[_T, PacsError]
"""``Result[T, PacsError]``: what public functions return."""


def edge(
    translate: Mapping[type[_ExceptionT], ErrorCode] | None = None,
) -> Callable[[Callable[_P, _T]], Callable[_P, Result[_T, PacsError]]]:
    """Make a function that raises into one that returns a ``Result``.

    Args:
        translate: The foreign exception types that are expected here, each with the
            code that callers will see; the first type that fits wins. ``Exception``
            itself is refused, because it would swallow our own bugs.

    Returns:
        A decorator. The decorated function returns ``Success`` with the value, or
        ``Failure`` with the error of a :class:`PacsException` or of a named type.

    Raises:
        ValueError: ``Exception`` or ``BaseException`` was named.
    """
    table = dict(translate or {})
    if any(named in (Exception, BaseException) for named in table):
        raise ValueError("name the exception types that are expected, not Exception")
    expected = tuple(table)

    def decorate(function: Callable[_P, _T]) -> Callable[_P, Result[_T, PacsError]]:
        @functools.wraps(function)
        def at_edge(*args: _P.args, **kwargs: _P.kwargs) -> Result[_T, PacsError]:
            try:
                return Success(function(*args, **kwargs))
            except PacsException as exc:
                return Failure(exc.error)
            except expected as exc:
                code = next(table[named] for named in expected if isinstance(exc, named))
                words = str(exc) or type(exc).__name__
                return Failure(PacsError(code, f"{code.meaning}: {words}"))

        return at_edge

    return decorate


def raised(result: Result[_T, PacsError]) -> _T:
    """Return a result's value, or raise its error as :class:`PacsException`.

    For use inside a layer that calls the public function of another.
    """
    match result:
        case Success(value):
            return value  # type: ignore[no-any-return]  # the pattern loses the type
        case Failure(error):
            raise PacsException.of(error)
    raise TypeError(f"expected a Result, got {type(result).__name__}")
