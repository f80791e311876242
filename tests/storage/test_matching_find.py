"""The same rules of matching by C-FIND: from the key on the wire to the answer (PS3.4 C.2.2.2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, Instance
from pacs_sdk.network import DicomServer, Peer, ServerConfig
from pacs_sdk.services import QueryScp, QueryScu
from pacs_sdk.storage import Archive, MatchingOptions, Query, open_archive
from tests.storage.databases import address_of, text_of
from tests.storage.entries import CT
from tests.storage.matching_rules import LEVELS, OPTIONS, RULES, SECOND_SERIES, STUDIES

UNIQUE = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}


def encoded(**elements: str | int | bytes) -> bytes:
    """Encode elements in Explicit VR Little Endian and UTF-8, whatever their values are."""
    data = bytearray()
    elements = {"SpecificCharacterSet": "ISO_IR 192", **elements}
    for keyword, given in sorted(elements.items(), key=lambda one: int(DicomTag.of(one[0]))):
        tag = DicomTag.of(keyword)
        match given:
            case int():
                value = struct.pack("<H", given)
            case str():
                value = given.encode()
            case bytes():
                value = given
        value += (b"\0" if tag.dictionary_vr == "UI" else b" ") * (len(value) % 2)
        data += struct.pack("<HH", int(tag) >> 16, int(tag) & 0xFFFF)
        if tag.dictionary_vr == "SQ":
            data += b"SQ\0\0" + struct.pack("<I", len(value))
        else:
            data += tag.dictionary_vr[:2].encode() + struct.pack("<H", len(value))
        data += value
    return bytes(data)


def stored(archive: Archive, **elements: str | int | bytes) -> None:
    """Store an object with these elements."""
    values = {"SOPClassUID": CT, **elements}
    instance = Instance(
        sop_class_uid=str(values["SOPClassUID"]),
        sop_instance_uid=str(values["SOPInstanceUID"]),
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN.uid,
        encoded=MemoryBytes(encoded(**values)),
    )
    archive.store(instance).unwrap()


@attrs.frozen
class Searched:
    """The studies behind a server, and in an archive."""

    archive: Archive
    """The archive."""
    peer: Peer
    """The server that answers from it."""

    def both(self, query: Query) -> tuple[list[str], list[str]]:
        """Return the unique keys that the archive finds, and those that a C-FIND brings."""
        unique = UNIQUE[query.level.value]
        here = [match.get(unique) for match in self.archive.find(query).unwrap()]
        there = QueryScu().find(self.peer, query).unwrap()
        return here, ["" if one[unique] is None else str(one[unique]) for one in there]


@pytest.fixture(scope="module")
def searched(shared_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searched]:
    """Hold the studies of the rules."""
    folder = tmp_path_factory.mktemp("archive")
    address = address_of(folder)
    url = address if isinstance(address, str) else text_of(address)
    archive = open_archive(folder / "objects", database_url=url).unwrap()
    for study in (*STUDIES, SECOND_SERIES):
        stored(archive, **study)
    with DicomServer(ServerConfig(port=0), [QueryScp(archive, "ARCHIVE")]) as server:
        yield Searched(archive, Peer("127.0.0.1", server.port))
    archive.close()


REFUSED = {
    "no wildcard in UIDs: the star is a character",
    "a lone star is no universal match for UIDs",
}
"""What is no UID: the archive finds nothing, a peer is told (PS3.4 C.4.1.1.4)."""

ROWS: list[tuple[str, dict[str, bool], dict[str, Any], str]] = [
    (name, {}, keys, found) for name, keys, found in RULES
]


@pytest.mark.parametrize(
    ("options", "keys", "found"),
    [row[1:] for row in (*ROWS, *OPTIONS) if row[0] not in REFUSED],
    ids=[row[0] for row in (*ROWS, *OPTIONS) if row[0] not in REFUSED],
)
def test_a_peer_finds_by_rule(
    searched: Searched, options: dict[str, bool], keys: dict[str, Any], found: str
) -> None:
    """Each rule finds the same studies in the archive and by C-FIND."""
    matching = MatchingOptions(**options)
    query = Query.of("STUDY", return_keys=["StudyInstanceUID"], options=matching, **keys).unwrap()
    expected = [f"1.{number}" for number in found]
    assert searched.both(query) == (expected, expected)


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_key_that_is_no_uid_is_refused(searched: Searched, name: str) -> None:
    """The answer is A900H and names the element."""
    (keys,) = [row[2] for row in ROWS if row[0] == name]
    query = Query.of("STUDY", return_keys=["StudyInstanceUID"], **keys).unwrap()
    error = QueryScu().find(searched.peer, query).failure()
    assert error.details["status"] == 0xA900
    assert error.details["offending_elements"] == ("(0020,000D)",)


@pytest.mark.parametrize(("level", "keys", "found"), LEVELS)
def test_a_peer_finds_at_each_level(
    searched: Searched, level: str, keys: dict[str, Any], found: list[str]
) -> None:
    """Keys of the levels above and below are honoured at each, as relational queries have it."""
    query = Query.of(level, return_keys=[UNIQUE[level]], **keys).unwrap()
    assert searched.both(query) == (found, found)
