"""Asking hooks about an instance, and making of their answers what is stored and told."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

import attrs
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import Instance, ValidationMode, instance_from_dataset
from pacs_sdk.services.receiving.verdicts import (
    BeforeStore,
    Coerce,
    IncomingInstance,
    Refuse,
    Warn,
)
from pacs_sdk.storage import Coercion

__all__ = ["Checked", "HookFailed", "asked", "called", "offending_elements", "warned_of"]

_T = TypeVar("_T")

_FIRST_STEP: Final = re.compile(r"[\[.]")


class HookFailed(Exception):
    """A hook has a bug: it raised something, or answered something that is no answer."""


@attrs.frozen
class Checked:
    """What the hooks made of an instance."""

    instance: Instance
    """What is to be stored."""
    refusal: Refuse | None = None
    """Why it is not stored."""
    warning: Warn | Coerce | None = None
    """What the sender is warned of: the first warning that there was."""


def asked(hooks: Sequence[BeforeStore], incoming: IncomingInstance) -> Checked:
    """Ask each hook in turn; what one has changed is what the next is asked about.

    Raises:
        PacsException: A hook reported it, or what it wants stored cannot be.
        HookFailed: A hook has a bug.
    """
    warning: Warn | Coerce | None = None
    for hook in hooks:
        verdict = called(hook, functools.partial(hook, incoming))
        match verdict:
            case None:
                pass
            case Refuse():
                return Checked(incoming.instance, verdict)
            case Warn():
                warning = warning or verdict
            case Coerce():
                incoming = attrs.evolve(incoming, instance=_coerced(incoming, verdict))
                warning = warning or verdict
            case _:
                raise HookFailed(f"{_name(hook)} answered {type(verdict).__name__}")
    return Checked(incoming.instance, None, warning)


def called(hook: object, call: Callable[[], _T]) -> _T:
    """Call a hook.

    Raises:
        PacsException: The hook raised it.
        HookFailed: It raised anything else.
    """
    try:
        return call()
    except PacsException:
        raise
    except Exception as exc:  # foreign code: whatever it raises, the sender is told
        raise HookFailed(f"{_name(hook)} raised {exc!r}") from exc


def offending_elements(error: PacsError) -> tuple[int, ...]:
    """Tell which element an error is about, if its details name one (PS3.7 C.4.2)."""
    name = str(error.details.get("attribute", ""))
    tag = tag_for_keyword(name.replace(" ", "")) if name else None
    return () if tag is None else (int(tag),)


def warned_of(verdict: Warn | Coerce) -> tuple[int, ...]:
    """Tell which elements a warning is about."""
    if (
        verdict.offending_elements
        or isinstance(verdict, Warn)
        or isinstance(verdict.to, Instance | DicomDataset | Dataset)
    ):
        return verdict.offending_elements
    keywords = (_FIRST_STEP.split(path, maxsplit=1)[0] for path in verdict.to)
    return tuple(int(DicomTag.of(keyword)) for keyword in keywords)


def _coerced(incoming: IncomingInstance, verdict: Coerce) -> Instance:
    instance = incoming.instance
    match verdict.to:
        case Instance() as other:
            coerced = other
        case DicomDataset() | Dataset() as dataset:
            coerced = raised(
                instance_from_dataset(dataset, instance.syntax, validation=ValidationMode.LENIENT)
            )
        case values:
            source = incoming.association.calling_ae_title
            coercion = Coercion((lambda dataset: _set(dataset, values),), source=source)
            return coercion.coerced(instance)
    if (coerced.sop_class_uid, coerced.sop_instance_uid) != (
        instance.sop_class_uid,
        instance.sop_instance_uid,
    ):
        raise PacsException(
            ErrorCode.STORE_FAILED,
            "a coercion changed SOP Class or SOP Instance UID; that would be another instance",
        )
    return coerced


def _set(dataset: DicomDataset, values: Mapping[str, object]) -> None:
    for path, value in values.items():
        raised(dataset.delete_path(path) if value is None else dataset.set(path, value))


def _name(hook: object) -> str:
    return getattr(hook, "__qualname__", type(hook).__qualname__)
