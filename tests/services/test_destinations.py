"""Whom a C-MOVE may send to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import Failure, PacsResult, Success
from pacs_sdk.integration.config import PacsConfig
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import ClientTls, DicomServer, Peer, ServerConfig, TlsProfile
from pacs_sdk.services import (
    ConfiguredDestinations,
    Destination,
    InMemory,
    RetrieveScu,
    StorageScp,
    StoredDestinations,
    first_known,
)
from pacs_sdk.storage import DestinationRecord, open_archive, reindex
from tests.services.conftest import MakeInstance

WORKSTATION = Destination("WORKSTATION", "10.0.0.5", 104)
VIEWER = Destination("VIEWER", "10.0.0.6", 104)


def test_a_destination_is_found_by_its_ae_title() -> None:
    """Spaces at the ends of an AE title mean nothing (PS3.5 6.2)."""
    resolve = ConfiguredDestinations([WORKSTATION, VIEWER])
    assert resolve(" VIEWER  ") == Success(VIEWER)
    assert VIEWER.peer == Peer("10.0.0.6", 104, "VIEWER")


def test_an_unknown_one_is_named() -> None:
    """The error has the status of the standard and says whom nobody knows."""
    error = ConfiguredDestinations([VIEWER])("NOBODY").failure()
    assert error.code is ErrorCode.MOVE_DESTINATION_UNKNOWN
    assert "'NOBODY'" in error.message


def test_resolvers_are_asked_in_turn() -> None:
    """The first that knows it wins; one that fails ends the search."""
    asked: list[str] = []

    def failing(ae_title: str) -> PacsResult[Destination]:
        asked.append(ae_title)
        return Failure(PacsError(ErrorCode.INDEX_FAILED, "no database"))

    one, other = ConfiguredDestinations([WORKSTATION]), ConfiguredDestinations([VIEWER])
    assert first_known(one, other)("VIEWER") == Success(VIEWER)
    assert first_known(one, failing)("WORKSTATION") == Success(WORKSTATION)
    assert asked == []
    assert first_known(one, failing)("VIEWER").failure().code is ErrorCode.INDEX_FAILED
    unknown = first_known(one, other)("NOBODY").failure()
    assert unknown.code is ErrorCode.MOVE_DESTINATION_UNKNOWN


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"ae_title": ""}, "ae_title of the destination '' is '', but must be a name"),
        ({"ae_title": "A" * 17}, "is no AE title"),
        ({"ae_title": "A\\B"}, "is no AE title"),
        ({"calling_ae_title": "Ü"}, "is no AE title"),
        ({"host": " "}, "host of the destination 'AE' is ' '"),
        ({"port": 0}, "port of the destination 'AE' is 0, but must be 1 to 65535"),
        ({"parallel": 9}, "parallel of the destination 'AE' is 9, but must be 1 to 8"),
        ({"window": 0}, "window of the destination 'AE' is 0, but must be 1 to 65535"),
        ({"transfer_syntaxes": ["JPEG9"]}, "'JPEG9' is no keyword of a transfer syntax"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], words: str) -> None:
    """A destination that exists can be called."""
    settings: dict[str, Any] = {"ae_title": "AE", "host": "10.0.0.5", "port": 104, **values}
    with pytest.raises(PacsException) as caught:
        Destination(**settings)
    assert words in caught.value.error.message


def test_two_of_one_name_are_refused() -> None:
    """Nobody could tell which is meant."""
    with pytest.raises(PacsException) as caught:
        ConfiguredDestinations([VIEWER, VIEWER])
    assert caught.value.error.code is ErrorCode.INVALID_CONFIGURATION
    assert "two destinations with the AE title VIEWER" in caught.value.error.message


def test_destinations_from_a_file(tmp_path: Path) -> None:
    """Each is a table of TOML, with TLS as a table of its own."""
    path = tmp_path / "pacs.toml"
    path.write_text(
        """
        [[destinations]]
        ae_title = "WORKSTATION"
        host = "10.0.0.5"
        port = 104

        [[destinations]]
        ae_title = "CLOUD"
        host = "pacs.example"
        port = 2762
        calling_ae_title = "HOSPITAL"
        transfer_syntaxes = ["JPEG2000Lossless", "1.2.840.10008.1.2.1"]
        parallel = 4
        window = 8
        tls = { ca = "/etc/pacs/ca.pem" }
        """
    )
    assert PacsConfig.from_toml(path).unwrap().destinations == (
        WORKSTATION,
        Destination(
            "CLOUD",
            "pacs.example",
            2762,
            ClientTls(ca=Path("/etc/pacs/ca.pem")),
            "HOSPITAL",
            ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.1"),
            4,
            8,
        ),
    )


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"ae_title": "A"}, "destinations is a dict, but must be a list of tables"),
        ("A", "destinations is 'A', but must be a list of tables"),
        ([{"ae_title": "A", "host": "b"}], "destinations[0].port must be given"),
        ([{"ae_title": "A", "host": "b", "prt": 1}], "destinations[0].prt is not a setting"),
    ],
)
def test_mistakes_in_a_file_are_named(values: object, words: str) -> None:
    """The error says which destination, and what is wrong with it."""
    error = PacsConfig.from_dict({"destinations": values}).failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert words in error.message


# -- in the database ------------------------------------------------------------------------


def test_the_database_keeps_destinations(pacs: Pacs) -> None:
    """Whatever a destination is, it comes back the same."""
    stored = StoredDestinations(pacs.archive)
    secure = Destination(
        "CLOUD",
        "pacs.example",
        2762,
        ClientTls(ca=Path("/etc/ca.pem"), check_hostname=False, profile=TlsProfile.TLS_1_3_ONLY),
        "HOSPITAL",
        ("1.2.840.10008.1.2.4.90",),
        2,
    )
    for one in (secure, VIEWER):
        assert stored.put(one) == Success(one)
    assert stored("CLOUD") == Success(secure)
    assert stored.all() == Success((secure, VIEWER))
    assert stored.remove("CLOUD") == Success(True)
    assert stored("CLOUD").failure().code is ErrorCode.MOVE_DESTINATION_UNKNOWN


@pytest.mark.parametrize(
    "tls", [{"profile": "tls-0"}, {"colour": "blue"}, {"ca": "a", "certificate": "b"}]
)
def test_a_row_that_is_wrong_is_an_error(pacs: Pacs, tls: dict[str, str | bool]) -> None:
    """Another program may have written it; it is no crash, and not "unknown" either."""
    pacs.archive.destinations.put(DestinationRecord("A", "b", 104, tls=tls)).unwrap()
    error = StoredDestinations(pacs.archive)("A").failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION


def test_a_password_is_not_kept(pacs: Pacs) -> None:
    """A database is read by many: the password of a key stays in the configuration."""
    tls = ClientTls(certificate=Path("a"), private_key=Path("b"), password="secret")
    error = StoredDestinations(pacs.archive).put(Destination("A", "b", 104, tls)).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "secret" not in error.message


def test_a_window_is_not_kept(pacs: Pacs) -> None:
    """The table has no column for it: that is said, and not forgotten."""
    error = StoredDestinations(pacs.archive).put(Destination("A", "b", 104, window=4)).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "the window of A is 4" in error.message


def test_an_archive_moves_to_what_its_database_has(pacs: Pacs, make_instance: MakeInstance) -> None:
    """A destination can be added while the server runs."""
    box = InMemory()
    pacs.archive.store(make_instance()).unwrap()
    wanted = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")
    with DicomServer(ServerConfig(port=0), [StorageScp(box.keep)]) as shelf:
        unknown = RetrieveScu().move(pacs.peer, wanted, "SHELF").failure()
        assert unknown.code is ErrorCode.MOVE_DESTINATION_UNKNOWN
        added = Destination("SHELF", "127.0.0.1", shelf.port)
        StoredDestinations(pacs.archive).put(added).unwrap()
        assert RetrieveScu().move(pacs.peer, wanted, "SHELF").unwrap().completed == 1
    assert len(box.instances) == 1


def test_reindexing_keeps_them(tmp_path: Path) -> None:
    """What no file tells is carried over into an index that is made anew."""
    with open_archive(tmp_path / "archive").unwrap() as archive:
        StoredDestinations(archive).put(VIEWER).unwrap()
    reindex(tmp_path / "archive").unwrap()
    with open_archive(tmp_path / "archive").unwrap() as archive:
        assert StoredDestinations(archive)("VIEWER") == Success(VIEWER)
