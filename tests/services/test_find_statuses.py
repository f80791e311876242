"""What a C-FIND that cannot be performed is answered (PS3.4 Table C.4-1)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.results import Failure, PacsResult
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DicomServer, DicomService, Peer, ProposedContext, ServerConfig, connect
from pacs_sdk.network.dimse import CFindRQ, CFindRSP, CGetRQ, Status
from pacs_sdk.services import QueryRules, QueryScp, QuerySource, RetrieveScp
from pacs_sdk.storage import Match, Query
from pacs_sdk.testing import RecordingLogger
from tests.services.find_helpers import STUDY_ROOT, asked, encoded, responses, serving


@attrs.frozen
class _Failing(QuerySource):
    """Fails every search."""

    error: PacsError

    def find(self, query: Query) -> PacsResult[Iterator[Match]]:
        """Fail."""
        return Failure(self.error)


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (ErrorCode.INDEX_FAILED, 0xA700),
        (ErrorCode.LIMIT_EXCEEDED, 0xA700),
        (ErrorCode.FIND_INVALID_IDENTIFIER, 0xA900),
        (ErrorCode.FIND_FAILED, 0xC000),
        (ErrorCode.STORAGE_READ_FAILED, 0xC000),
        (ErrorCode.INVALID_VALUE, 0xC000),
        (ErrorCode.NOT_AUTHORISED, 0x0124),
    ],
)
def test_failures_have_a_status_of_the_table(code: ErrorCode, status: int) -> None:
    """Whatever hinders a query, the answer has one of PS3.4 Table C.4-1, and a comment."""
    with serving(_Failing(PacsError(code, "no such luck"))) as peer:
        ((final, data),) = responses(peer, asked("STUDY", StudyInstanceUID=""))
    assert (final.status, final.error_comment, data) == (status, "no such luck", None)


@pytest.mark.parametrize(
    ("keys", "status", "offending"),
    [
        ({"StudyDate": "yesterday"}, 0xA900, ["StudyDate"]),
        ({"StudyInstanceUID": "1.2.*"}, 0xA900, ["StudyInstanceUID"]),
        ({"Modality": "computed tomography"}, 0xA900, ["Modality"]),
        ({"SeriesNumber": "many"}, 0xA900, ["SeriesNumber"]),
        ({"ContrastBolusRoute": "A" * 65}, 0xA900, ["ContrastBolusRoute"]),
        ({"PatientName": "Doe*", "StudyDate": "2024-"}, 0xA900, ["StudyDate"]),
        ({"StudyDate": "2024.01.01"}, 0, []),
        ({"PatientName": "*" + "e" * 65}, 0, []),
    ],
)
def test_keys_are_checked_as_keys(
    filled: Pacs, keys: dict[str, str], status: int, offending: list[str]
) -> None:
    """A key that can match nothing gets A900H, which names it; what is a good key doesn't."""
    *_, (final, _) = responses(filled.peer, encoded("STUDY", **keys))
    assert isinstance(final, CFindRSP)
    assert final.status == status
    assert [DicomTag(tag).keyword for tag in final.offending_element] == offending


def test_an_identifier_of_more_values_than_anybody_needs_is_refused(filled: Pacs) -> None:
    """Each is looked at: a megabyte of empty ones would keep a server busy for half a minute."""
    value = b"\\" * (1 << 19)
    key = struct.pack("<HH2s2xI", 0x0009, 0x1001, b"UC", len(value)) + value
    ((final, data),) = responses(filled.peer, encoded("STUDY") + key)
    assert isinstance(final, CFindRSP)
    assert (final.status, data) == (0xA900, None)
    assert final.error_comment.startswith("the keys of an identifier have 524288 values")
    *_, (final, data) = responses(
        filled.peer, encoded("STUDY") + key[:8] + b"\0\x10\0\0" + value[:4096]
    )
    assert isinstance(final, CFindRSP)
    assert (final.status, data) == (0, None)


@pytest.mark.parametrize("sop_class", [STUDY_ROOT.find, STUDY_ROOT.get])
@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ({"PatientBirthDate": "19701399"}, "1970"),
        ({"PatientID": "MRN4711" * 100}, "4711"),
        ({"StudyTime": "Doe^John"}, "Doe"),
    ],
)
def test_the_log_has_no_value_of_a_key(
    filled: Pacs, sop_class: str, keys: dict[str, str], value: str
) -> None:
    """Whoever asked is told what cannot be matched; the log has no patient data."""
    logger = RecordingLogger()
    services: list[DicomService] = [QueryScp(filled.archive, "PACS"), RetrieveScp(filled.archive)]
    contexts = [ProposedContext(sop_class, (EXPLICIT_VR_LITTLE_ENDIAN.uid,))]
    request = CFindRQ(1, sop_class) if sop_class == STUDY_ROOT.find else CGetRQ(1, sop_class)
    data = MemoryBytes(encoded("STUDY", StudyInstanceUID="1.2.3", **keys))
    with DicomServer(ServerConfig(port=0), services, logger=logger) as server:
        peer = Peer("127.0.0.1", server.port)
        with connect(peer, "TEST", contexts).unwrap() as association:
            context = association.context_for(sop_class).unwrap()
            (reply,) = association.replies(context, request, data)
    if sop_class == STUDY_ROOT.find:
        assert value in reply.response.error_comment
        assert logger.named("query-failed", code="FIND_INVALID_IDENTIFIER")
    assert value not in str(logger.entries)


def test_an_identifier_of_more_keys_than_anybody_needs_is_refused(filled: Pacs) -> None:
    """Each answer would have every one of them."""
    keys = b"".join(struct.pack("<HH2sH", 0x0009, 0x1000 + i, b"LO", 0) for i in range(4096))
    ((final, data),) = responses(filled.peer, encoded("STUDY") + keys)
    assert isinstance(final, CFindRSP)
    assert (final.status, data) == (Status.DATA_SET_MISMATCH, None)
    assert final.error_comment == "an identifier has 4097 elements; 4096 are the most"


def test_checking_can_be_switched_off(filled: Pacs) -> None:
    """Then only what cannot be understood is refused."""
    lower_case = encoded("STUDY", Modality="ct")
    with serving(filled.archive, QueryRules(check_values=False)) as peer:
        ((final, _),) = responses(peer, lower_case)
    assert final.status == Status.SUCCESS
    ((final, _),) = responses(filled.peer, lower_case)
    assert final.status == Status.DATA_SET_MISMATCH


@pytest.mark.parametrize("identifier", [b"\x08\x00\x52\x00CS\xff\xff", b"\0", b"not DICOM"])
def test_an_identifier_that_cannot_be_read_is_refused(filled: Pacs, identifier: bytes) -> None:
    """Bytes that are no data set get a failure of the table, and the association goes on."""
    ((final, _),) = responses(filled.peer, identifier)
    assert final.status in (0xA900, *range(0xC000, 0xD000))


TABLE_C_4_1 = {0x0000, 0xFE00, 0xA700, 0xA900, 0x0122, *range(0xC000, 0xD000)}


@given(
    identifier=st.binary(max_size=40)
    | st.builds(
        lambda keyword, value: encoded("STUDY", **{keyword: value}),
        st.sampled_from(["PatientName", "StudyDate", "StudyInstanceUID", "SpecificCharacterSet"]),
        st.binary(max_size=20),
    )
)
@example(identifier=encoded("STUDY", SpecificCharacterSet="ISO 2022 IR 87", PatientName=b"\x1b$B"))
def test_no_identifier_does_harm(filled: Pacs, identifier: bytes) -> None:
    """Whatever bytes come, the final status is one of PS3.4 Table C.4-1, and in order."""
    *pending, (final, _) = responses(filled.peer, identifier)
    assert final.status in TABLE_C_4_1
    assert {response.status for response, _ in pending} <= {0xFF00, 0xFF01}
