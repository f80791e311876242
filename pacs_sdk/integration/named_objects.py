"""Objects of a program that a configuration names."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any

from pacs_sdk.core.errors import ErrorCode, PacsException

__all__ = ["loaded_hook", "loaded_object", "wants_an_argument"]


def loaded_object(path: str, setting: str, kind: str) -> Any:
    """Load what a setting names.

    Args:
        path: ``package.module:name``.
        setting: The setting, for the error.
        kind: What it is to be, for the error: ``service``, ``hook``.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` if that cannot be imported, or is not there.
    """

    def not_loaded(reason: str) -> PacsException:
        return PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"{setting}: the {kind} {path!r} cannot be loaded: {reason}",
            setting=setting,
        )

    module_name, colon, name = path.partition(":")
    if not (colon and name.isidentifier()):
        raise not_loaded("write it as package.module:name")
    try:
        module = importlib.import_module(module_name)
    except Exception as exc:  # the module is foreign, and may fail in any way
        raise not_loaded(f"{type(exc).__name__}: {exc}") from exc
    try:
        return getattr(module, name)
    except AttributeError as exc:
        raise not_loaded(f"the module has no {name}") from exc


def loaded_hook(path: str, setting: str, parts: object = None) -> Callable[..., Any]:
    """Load a hook: a function, an object that can be called, or a class to make one of.

    Args:
        path: ``package.module:name``.
        setting: The setting, for the error.
        parts: What a class is given that wants an argument.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` as by :func:`loaded_object`, and for what cannot
            be called.
    """
    found = loaded_object(path, setting, "hook")
    try:
        hook = _made_of(found, parts) if inspect.isclass(found) else found
    except Exception as exc:  # foreign code, which may fail in any way
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"{setting}: the hook {path!r} cannot be made: {type(exc).__name__}: {exc}",
            setting=setting,
        ) from exc
    if not callable(hook):
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"{setting}: {path!r} is {type(hook).__name__}, which cannot be called",
            setting=setting,
        )
    called: Callable[..., Any] = hook
    return called


def _made_of(hook_class: Callable[..., Any], parts: object) -> Any:
    is_given = parts is not None and wants_an_argument(hook_class)
    return hook_class(parts) if is_given else hook_class()


def wants_an_argument(make: Callable[..., Any]) -> bool:
    """Tell whether something must be called with an argument."""
    try:
        parameters = inspect.signature(make).parameters.values()
    except (TypeError, ValueError):  # what is not written in Python may not tell
        return False
    return any(
        one.default is one.empty and one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
        for one in parameters
    )
