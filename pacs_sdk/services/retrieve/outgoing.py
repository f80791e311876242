"""An instance on its way out, as a C-STORE sub-operation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from typing import Final

import attrs
import pydicom

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import PacsResult, edge, raised
from pacs_sdk.core.vr import VR
from pacs_sdk.core.whole_bytes import read_whole
from pacs_sdk.encoding import Instance, encode_dataset, transfer_syntax
from pacs_sdk.network import AcceptedContext
from pacs_sdk.services.reencode import reencoded, usable_contexts
from pacs_sdk.services.sop_classes import sop_class_name

__all__ = ["ContextChoice", "Outgoing", "ReadAhead", "prepared"]

_READ_ERRORS: Final = {OSError: ErrorCode.STORAGE_READ_FAILED}


@attrs.frozen
class Outgoing:
    """What is sent, and in which context."""

    context: AcceptedContext
    """The presentation context."""
    data: ByteSource
    """The data set, read or mapped already."""


class ContextChoice:
    """Chooses the presentation contexts for each instance, once for each kind.

    Args:
        contexts: What the peer accepted.
        preferred: What an instance is re-encoded to, if it has to be, the best first; what
            costs least if nothing is said. Only what loses nothing is taken.
    """

    def __init__(self, contexts: Sequence[AcceptedContext], preferred: Sequence[str] = ()) -> None:
        self._contexts = contexts
        self._rank = {uid: rank for rank, uid in enumerate(preferred)}
        self._chosen: dict[tuple[str, str], tuple[AcceptedContext, ...]] = {}

    def of(self, instance: Instance) -> tuple[AcceptedContext, ...]:
        """List those that an instance may be sent in, that of its own encoding first.

        Raises:
            PacsException: ``PRESENTATION_CONTEXT_REFUSED`` where there is none.
        """
        kind = (instance.sop_class_uid, instance.transfer_syntax_uid)
        known = self._chosen.get(kind)
        if known is not None:
            return known
        usable = usable_contexts(self._contexts, *kind)
        if not usable:
            raise PacsException(
                ErrorCode.PRESENTATION_CONTEXT_REFUSED,
                f"no context was accepted for {sop_class_name(instance.sop_class_uid)} in "
                f"{raised(transfer_syntax(instance.transfer_syntax_uid)).name}",
            )
        last = len(self._rank)
        self._chosen[kind] = tuple(
            sorted(
                usable,
                key=lambda one: (
                    one.transfer_syntax != instance.transfer_syntax_uid,
                    self._rank.get(one.transfer_syntax, last),
                ),
            )
        )
        return self._chosen[kind]


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
    usable = contexts.of(instance)
    if not bulk_data:
        return Outgoing(usable[0], _without_bulk_data(instance, usable[0].transfer_syntax))
    *others, last = usable
    for context in others:  # what an image can be encoded in shows when that is tried
        with contextlib.suppress(PacsException):
            return _outgoing(instance, context)
    return _outgoing(instance, last)


class ReadAhead:
    """Prepares the next instance while the one before is being answered.

    Args:
        instances: What is to be sent, in this order.
        contexts: What there is to choose from.
        bulk_data: Whether pixels and the like go with them.
    """

    def __init__(
        self, instances: Iterable[Instance], contexts: ContextChoice, *, bulk_data: bool = True
    ) -> None:
        self._waiting = iter(instances)
        self._contexts = contexts
        self._bulk_data = bulk_data
        self._next: tuple[Instance, PacsResult[Outgoing]] | None = None

    def read(self) -> None:
        """Prepare the next instance, unless that was done."""
        if self._next is None:
            for instance in self._waiting:
                ready = prepared(self._contexts, instance, bulk_data=self._bulk_data)
                self._next = instance, ready
                return

    @property
    def has_more(self) -> bool:
        """Whether there is another one; it is prepared then."""
        self.read()
        return self._next is not None

    def take(self) -> tuple[Instance, PacsResult[Outgoing]]:
        """Return the next instance, and what it is sent as.

        Raises:
            PacsException: ``PROTOCOL_MISUSE`` where there is none.
        """
        self.read()
        if self._next is None:
            raise PacsException(ErrorCode.PROTOCOL_MISUSE, "there is nothing more to send")
        taken, self._next = self._next, None
        return taken

    def put_back(self) -> Instance | None:
        """Return the instance that was prepared and not taken; somebody else may send it."""
        prepared_one, self._next = self._next, None
        return None if prepared_one is None else prepared_one[0]


def _outgoing(instance: Instance, context: AcceptedContext) -> Outgoing:
    encoded = reencoded(instance, context.transfer_syntax).encoded
    # Here and not while it is sent: what cannot be read is one failure among others.
    return Outgoing(context, MemoryBytes(read_whole(encoded)))


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
        _drop_samples(dataset)
    return MemoryBytes(
        raised(encode_dataset(dataset, raised(transfer_syntax(transfer_syntax_uid))))
    )


def _drop_samples(dataset: pydicom.Dataset) -> None:
    """Drop Waveform Data from each waveform; all of what cannot be read as waveforms."""
    try:
        waveforms = dataset[_WAVEFORM_SEQUENCE]
    except ValueError:  # of VR UN, and no sequence
        del dataset[_WAVEFORM_SEQUENCE]
        return
    if waveforms.VR != VR.SQ:
        del dataset[_WAVEFORM_SEQUENCE]
        return
    for item in waveforms.value or ():
        item.pop(_WAVEFORM_DATA, None)


def _is_bulk_data(tag: int) -> bool:
    group, element = tag >> 16, tag & 0xFFFF
    is_repeating = group & 1 == 0 and element in _REPEATING.get(group & 0xFF00, ())
    return tag in _BULK_DATA or is_repeating
