"""An instance on its way out, as a C-STORE sub-operation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding import Instance, encode_dataset, transfer_syntax
from pacs_sdk.network import AcceptedContext
from pacs_sdk.services.reencode import LOSSLESS_SYNTAXES, chosen_context, encoded_as
from pacs_sdk.services.sop_classes import sop_class_name

__all__ = ["ContextChoice", "Outgoing", "kinds_of", "prepared"]

_READ_ERRORS: Final = {OSError: ErrorCode.STORAGE_READ_FAILED}


@attrs.frozen
class Outgoing:
    """What is sent, and in which context."""

    context: AcceptedContext
    """The presentation context."""
    data: ByteSource
    """The data set, read or mapped already."""


def kinds_of(instances: Iterable[Instance]) -> list[tuple[str, str]]:
    """List the pairs of SOP class and transfer syntax that there are, always in one order."""
    return sorted({(one.sop_class_uid, one.transfer_syntax_uid) for one in instances})


class ContextChoice:
    """Chooses the presentation context of each instance, once for each kind.

    Args:
        contexts: What the peer accepted.
        preferred: What an instance is re-encoded to, if it has to be, the best first.
    """

    def __init__(
        self, contexts: Sequence[AcceptedContext], preferred: Sequence[str] = LOSSLESS_SYNTAXES
    ) -> None:
        self._contexts = contexts
        self._preferred = preferred
        self._chosen: dict[tuple[str, str], AcceptedContext] = {}

    def of(self, instance: Instance) -> AcceptedContext:
        """Choose that of an instance.

        Raises:
            PacsException: ``PRESENTATION_CONTEXT_REFUSED``.
        """
        kind = (instance.sop_class_uid, instance.transfer_syntax_uid)
        known = self._chosen.get(kind)
        if known is not None:
            return known
        context = chosen_context(self._contexts, instance, preferred=self._preferred)
        if context is None:
            raise PacsException(
                ErrorCode.PRESENTATION_CONTEXT_REFUSED,
                f"no context was accepted for {sop_class_name(instance.sop_class_uid)} in "
                f"{raised(transfer_syntax(instance.transfer_syntax_uid)).name}",
            )
        self._chosen[kind] = context
        return context


@edge(_READ_ERRORS)
def prepared(contexts: ContextChoice, instance: Instance, *, bulk_data: bool = True) -> Outgoing:
    """Choose the context of an instance, and read it, re-encoded where it has to be.

    Args:
        contexts: What there is to choose from.
        instance: What is to be sent.
        bulk_data: Whether pixels and the like go with it (PS3.4 Z.1).

    Returns:
        ``Success``; or ``Failure`` with ``PRESENTATION_CONTEXT_REFUSED`` or
        ``STORAGE_READ_FAILED``, or with what reading and transcoding give.
    """
    context = contexts.of(instance)
    if bulk_data:
        data = encoded_as(instance, context.transfer_syntax)
    else:
        data = _without_bulk_data(instance, context.transfer_syntax)
    # Here and not while it is sent: what cannot be read is one failure among others.
    return Outgoing(context, MemoryBytes(data.view()))


_BULK_DATA: Final = frozenset(
    (
        0x00287FE0,  # Pixel Data Provider URL
        0x00420011,  # Encapsulated Document
        0x56000020,  # Spectroscopy Data
        0x7FE00008,  # Float Pixel Data
        0x7FE00009,  # Double Float Pixel Data
        0x7FE00010,  # Pixel Data
    )
)
_WAVEFORM_SEQUENCE: Final = 0x54000100
_WAVEFORM_DATA: Final = 0x54001010
_REPEATING: Final = {0x6000: frozenset((0x3000,)), 0x5000: frozenset((0x3000, 0x200C))}
"""Overlay Data; Curve Data and Audio Sample Data."""


def _without_bulk_data(instance: Instance, transfer_syntax_uid: str) -> ByteSource:
    """Encode an instance without what PS3.4 Table Z.1-1 lists."""
    dataset = raised(instance.dataset()).pydicom
    for tag in filter(_is_bulk_data, list(map(int, dataset.keys()))):
        del dataset[tag]
    if _WAVEFORM_SEQUENCE in dataset:
        for item in dataset[_WAVEFORM_SEQUENCE].value or ():
            item.pop(_WAVEFORM_DATA, None)
    return MemoryBytes(
        raised(encode_dataset(dataset, raised(transfer_syntax(transfer_syntax_uid))))
    )


def _is_bulk_data(tag: int) -> bool:
    group, element = tag >> 16, tag & 0xFFFF
    is_repeating = group & 1 == 0 and element in _REPEATING.get(group & 0xFF00, ())
    return tag in _BULK_DATA or is_repeating
