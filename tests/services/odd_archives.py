"""An archive that answers C-GET and C-MOVE as a test says, whatever the standard says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, encode_dataset, transfer_syntax
from pacs_sdk.network import (
    DicomServer,
    DicomService,
    Exchange,
    Peer,
    ProposedContext,
    ServerConfig,
    SupportedContext,
)
from pacs_sdk.network.dimse import CGetRQ, CGetRSP, CMoveRQ, CMoveRSP
from pacs_sdk.services import InformationModel
from tests.services.conftest import CT, made_instance

__all__ = ["CONTEXTS", "Act", "odd_archive", "says", "sends"]

Act = Callable[[Exchange], None]

SYNTAX = EXPLICIT_VR_LITTLE_ENDIAN.uid
CONTEXTS = [ProposedContext(CT, (SYNTAX,), as_scu=False, as_scp=True)]


class Odd(DicomService):
    """Answers a C-GET or C-MOVE as a test says."""

    def __init__(self, *acts: Act) -> None:
        self._acts = acts

    def supported_contexts(self) -> list[SupportedContext]:
        classes = [uid for model in InformationModel for uid in (model.get, model.move)]
        contexts = [SupportedContext(uid, (SYNTAX,)) for uid in classes]
        return [*contexts, SupportedContext(CT, (SYNTAX,), as_scp=False, as_scu=True)]

    def handle(self, exchange: Exchange) -> None:
        for act in self._acts:
            act(exchange)


def sends(exchange: Exchange) -> None:
    """Send an instance in a C-GET."""
    (context,) = exchange.contexts_as_scu()
    instance = made_instance()
    exchange.store(context, instance.sop_class_uid, instance.sop_instance_uid, instance.encoded)


def says(
    status: int,
    counts: tuple[int | None, int | None, int | None] = (None, None, None),
    remaining: int | None = None,
    failed_uids: list[str] | None = None,
) -> Act:
    """Give a response, with the counts of completed, failed and warned-of sub-operations."""

    def act(exchange: Exchange) -> None:
        request = exchange.request
        assert isinstance(request, CGetRQ | CMoveRQ)
        response: CGetRSP | CMoveRSP = request.response_type(
            request.message_id,
            status,
            request.affected_sop_class_uid,
            number_of_remaining_suboperations=remaining,
            number_of_completed_suboperations=counts[0],
            number_of_failed_suboperations=counts[1],
            number_of_warning_suboperations=counts[2],
        )
        data = None
        if failed_uids is not None:
            listed = DicomDataset(FailedSOPInstanceUIDList=failed_uids)
            syntax = transfer_syntax(exchange.context.transfer_syntax).unwrap()
            data = MemoryBytes(encode_dataset(listed, syntax).unwrap())
        exchange.respond(response, data)

    return act


@contextmanager
def odd_archive(*acts: Act) -> Iterator[Peer]:
    """Run such an archive, which does one thing after the other."""
    with DicomServer(ServerConfig(port=0), [Odd(*acts)]) as server:
        yield Peer("127.0.0.1", server.port)
