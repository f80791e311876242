"""Targets that take what a peer sends: the stream of PDUs, whole PDUs, and command sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from fuzz.expectations import Broken, value_of
from pacs_sdk.core.results import edge
from pacs_sdk.network.agreement import Acceptance
from pacs_sdk.network.dimse import decode_command, encode_command
from pacs_sdk.network.engine import AssociationEngine
from pacs_sdk.network.indications import DataReceived, EngineEvent
from pacs_sdk.network.negotiation import (
    AcceptorPolicy,
    ProposedContext,
    SupportedContext,
    association_request,
    explain,
    negotiate,
)
from pacs_sdk.network.pdu import AAssociateAC, AAssociateRQ
from pacs_sdk.network.pdu_codec import decode_pdu, encode_pdu

__all__ = ["ACCEPTANCE", "CT_IMAGE", "REQUEST", "VERIFICATION", "association", "command_set", "pdu"]

_T = TypeVar("_T")

VERIFICATION: Final = "1.2.840.10008.1.1"
CT_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
_IMPLICIT: Final = "1.2.840.10008.1.2"

REQUEST: Final = association_request(
    "MODALITY",
    "ARCHIVE",
    [ProposedContext(VERIFICATION, (_IMPLICIT,)), ProposedContext(CT_IMAGE, (_IMPLICIT,))],
)
"""Proposes Verification as context 1, CT Image Storage as context 3."""

_POLICY: Final = AcceptorPolicy(
    "ARCHIVE", [SupportedContext(uid, [_IMPLICIT]) for uid in (VERIFICATION, CT_IMAGE)]
)


def _acceptance() -> AAssociateAC:
    answer = negotiate(REQUEST, _POLICY)
    if not isinstance(answer, AAssociateAC):
        raise Broken("our own request is refused")
    return answer


ACCEPTANCE: Final = _acceptance()
"""Accepts both."""


def _awaiting() -> AssociationEngine:
    return AssociationEngine(is_requestor=False, now=0.0, maximum_length=4096)


def _requesting() -> AssociationEngine:
    engine = AssociationEngine(is_requestor=True, now=0.0, maximum_length=4096)
    engine.associate(REQUEST)
    engine.transport_connected()
    return engine


def _serving() -> AssociationEngine:
    engine = _awaiting()
    engine.receive(encode_pdu(REQUEST), 0.0)
    engine.accept(Acceptance.of(REQUEST, ACCEPTANCE))
    return engine


def _calling() -> AssociationEngine:
    engine = _requesting()
    engine.receive(encode_pdu(ACCEPTANCE), 0.0)
    return engine


def _after(
    begin: Callable[[], AssociationEngine], act: Callable[[AssociationEngine], object]
) -> Callable[[], AssociationEngine]:
    def made() -> AssociationEngine:
        engine = begin()
        act(engine)
        return engine

    return made


_BEGINNINGS: Final = (
    _awaiting,
    _requesting,
    _serving,
    _calling,
    _after(_serving, AssociationEngine.release),
    _after(_calling, AssociationEngine.release),
    _after(_serving, lambda engine: engine.abort(0.0)),
)


def association(data: bytes) -> None:
    """Let a stream of PDUs arrive whole and in pieces: both mean the same, and end in order.

    The first byte chooses where the association stands, the second the length of a piece.
    """
    choice, size = data[0] if data else 0, max(1, data[1] if len(data) > 1 else 1)
    begin, stream = _BEGINNINGS[choice % len(_BEGINNINGS)], data[2:]
    whole, cut = begin(), begin()
    events = _joined(whole.receive(stream, 1.0))
    pieces = (stream[at : at + size] for at in range(0, len(stream), size))
    if _joined(event for piece in pieces for event in _kept(cut.receive(piece, 1.0))) != events:
        raise Broken("what happens depends on where the stream is cut")
    if (whole.state, whole.take_output()) != (cut.state, cut.take_output()):
        raise Broken("what is answered depends on where the stream is cut")
    whole.transport_closed()
    if not whole.is_finished:
        raise Broken("the end of the connection is not the end of the association")


def _kept(events: Iterable[EngineEvent]) -> Iterable[EngineEvent]:
    """Copy what is valid until the next read only."""
    for event in events:
        if isinstance(event, DataReceived):
            yield DataReceived([memoryview(b"".join(event.pieces))], event.is_last)
        else:
            yield event


def _joined(events: Iterable[EngineEvent]) -> list[EngineEvent | tuple[bytes, bool]]:
    """Put the pieces of each data set together."""
    joined: list[EngineEvent | tuple[bytes, bool]] = []
    for event in events:
        if not isinstance(event, DataReceived):
            joined.append(event)
            continue
        data = b"".join(event.pieces)
        match joined[-1] if joined else None:
            case (bytes() as begun, False):
                joined[-1] = begun + data, event.is_last
            case _:
                joined.append((data, event.is_last))
    return joined


def pdu(data: bytes) -> None:
    """Read a PDU; what is written of it says the same. A request is answered, and explained."""
    read = value_of(edge()(decode_pdu)(data))
    if read is None:
        return
    if isinstance(read, AAssociateRQ):
        answer = negotiate(read, _POLICY)
        value_of(edge()(encode_pdu)(answer))
        explain(read, answer, _POLICY)
    _same_again(read, encode_pdu, decode_pdu)


def command_set(data: bytes) -> None:
    """Read a command set; what is written of it says the same."""
    read = value_of(edge()(decode_command)(data))
    if read is not None:
        _same_again(
            read.message,
            lambda message: encode_command(message, has_dataset=read.has_dataset),
            lambda written: decode_command(written).message,
        )


def _same_again(value: _T, write: Callable[[_T], bytes], read: Callable[[bytes], _T]) -> None:
    """Check that writing is the opposite of reading, but for what the writer completes."""
    written = value_of(edge()(write)(value))  # what the standard forbids to send is refused
    if written is None:
        return
    again = value_of(edge()(read)(written))
    if again is None or value_of(edge()(write)(again)) != written:
        raise Broken(f"{value!r} is written as something else")
