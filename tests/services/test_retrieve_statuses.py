"""What a C-GET or C-MOVE that fails as a whole is answered with (PS3.4 Tables C.4-2, C.4-3)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import attrs
import pytest

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import Failure, PacsResult, Success
from pacs_sdk.encoding import Instance
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DicomServer, Peer, ServerConfig
from pacs_sdk.services import (
    ConfiguredDestinations,
    Destination,
    InMemory,
    Moves,
    RetrieveReport,
    RetrieveScp,
    RetrieveScu,
)
from pacs_sdk.storage import Archive, Query
from tests.services.conftest import MakeInstance

THE_STUDY = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")


@attrs.frozen
class Failing:
    """Finds nothing out: the search fails, or what it gives does."""

    code: ErrorCode
    while_iterating: bool = False

    def instances(self, query: Query) -> PacsResult[Iterator[Instance]]:
        """Fail."""
        error = PacsError(self.code, "no such luck")
        return Success(self._broken(error)) if self.while_iterating else Failure(error)

    def _broken(self, error: PacsError) -> Iterator[Instance]:
        raise PacsException(error.code, error.message)
        yield


@contextmanager
def serving(archive: Any) -> Iterator[Peer]:
    """Run a server that retrieves from something, and knows a destination that is down."""
    moves = Moves(ConfiguredDestinations([Destination("DOWN", "127.0.0.1", 1)]), "ARCHIVE")
    service = RetrieveScp(cast(Archive, archive), moves)
    with DicomServer(ServerConfig(port=0), [service]) as server:
        yield Peer("127.0.0.1", server.port)


def asked(peer: Peer, operation: str) -> PacsResult[RetrieveReport]:
    """Ask for a study by C-GET or C-MOVE."""
    scu = RetrieveScu()
    if operation == "C-MOVE":
        return scu.move(peer, THE_STUDY, "DOWN")
    return scu.get(peer, THE_STUDY, InMemory().keep)


@pytest.mark.parametrize("operation", ["C-GET", "C-MOVE"])
@pytest.mark.parametrize("while_iterating", [False, True], ids=["search", "iterating"])
@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.INDEX_FAILED, 0xA701),
        (ErrorCode.LIMIT_EXCEEDED, 0xA701),
        (ErrorCode.STORAGE_READ_FAILED, 0xA701),
        (ErrorCode.RETRIEVE_INVALID_IDENTIFIER, 0xA900),
        (ErrorCode.RETRIEVE_FAILED, 0xC000),
        (ErrorCode.NOT_AUTHORISED, 0x0124),
    ],
)
def test_a_search_that_fails(
    operation: str, while_iterating: bool, code: ErrorCode, status: int
) -> None:
    """A701H with the reason, unless the error has a status of the table itself."""
    with serving(Failing(code, while_iterating)) as peer:
        error = asked(peer, operation).failure()
    assert error.code is ErrorCode.RETRIEVE_FAILED
    assert error.details["status"] == status
    assert "no such luck" in error.message


@pytest.mark.parametrize("operation", ["C-GET", "C-MOVE"])
def test_an_index_that_is_closed(pacs: Pacs, operation: str) -> None:
    """What a real database gives is A701H, too."""
    with serving(pacs.archive) as peer:
        pacs.archive.close()
        error = asked(peer, operation).failure()
    assert error.details["status"] == 0xA701


@pytest.mark.parametrize("operation", ["C-GET", "C-MOVE"])
def test_an_archive_that_cannot_be_read(
    pacs: Pacs, make_instance: MakeInstance, operation: str
) -> None:
    """Found and not readable: A702H, with the instances that were not delivered."""
    instances = [make_instance() for _ in range(3)]
    for one in instances:
        pacs.archive.store(one).unwrap()
        (path,) = pacs.container.config().storage.data_dir.rglob(f"*{one.sop_instance_uid}*")
        path.unlink()
    with serving(pacs.archive) as peer:
        report = asked(peer, operation).unwrap()
    assert (report.status, report.completed, report.failed) == (0xA702, 0, 3)
    assert set(report.failed_sop_instance_uids) == {one.sop_instance_uid for one in instances}
