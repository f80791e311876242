"""C-FIND as PS3.4 C.4.1 has it: levels, statuses, negotiation, character sets, cancelling."""

from __future__ import annotations

import datetime as dt
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import Failure, PacsResult, Success
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.uids import new_uid
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    CharacterSetPolicy,
    character_sets,
    decode_dataset,
    encode_dataset,
)
from pacs_sdk.encoding.charsets import encode_text
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import (
    BackgroundServer,
    ClientTimeouts,
    DicomServer,
    Exchange,
    Peer,
    ProposedContext,
    RequestorOptions,
    ServerConfig,
    SupportedContext,
    connect,
)
from pacs_sdk.network.dimse import CFindRQ, CFindRSP, Response, Status
from pacs_sdk.services import (
    FindNegotiation,
    InformationModel,
    QueryRules,
    QueryScp,
    QueryScu,
    QuerySource,
    identifier_of,
)
from pacs_sdk.storage import (
    Match,
    MatchingOptions,
    Query,
    QueryLevel,
    SeriesRecord,
    StudyRecord,
)
from pacs_sdk.testing import FakeClock, RecordingLogger
from tests.services.conftest import made_instance

PATIENT_ROOT, STUDY_ROOT, PATIENT_STUDY_ONLY = InformationModel
STUDY_UID = 0x0020000D


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    """Hold two patients: Doe with two studies (three instances), Müller with one."""
    pacs = Pacs.embedded(tmp_path_factory.mktemp("filled"), ae_title="ARCHIVE")
    stored: tuple[dict[str, Any], ...] = (
            {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.1"},
            {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.1"},
            {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.1", "Modality": "MR"},
            {
                "StudyInstanceUID": "2.1", "SeriesInstanceUID": "2.1.1", "PatientID": "P2",
                "PatientName": "Müller^Jörg", "SpecificCharacterSet": "ISO_IR 192",
            },
    )  # fmt: skip
    for number, elements in enumerate(stored):
        uid = f"{elements['SeriesInstanceUID']}.{number}"
        pacs.archive.store(made_instance(**elements, SOPInstanceUID=uid)).unwrap()
    with pacs:
        yield pacs


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    """Hold whom the tests of character sets store."""
    with Pacs.embedded(tmp_path_factory.mktemp("named")) as pacs:
        yield pacs


def responses(
    peer: Peer,
    identifier: DicomDataset | bytes,
    model: InformationModel = STUDY_ROOT,
    negotiation: FindNegotiation | None = None,
) -> list[tuple[Response, DicomDataset | None]]:
    """Send a C-FIND as it is, without what our client does for its user."""
    syntax = EXPLICIT_VR_LITTLE_ENDIAN
    extended = {} if negotiation is None else {model.find: negotiation.encode()}
    options = RequestorOptions(extended=extended)
    contexts = [ProposedContext(model.find, (syntax.uid,))]
    data = (
        identifier if isinstance(identifier, bytes) else encode_dataset(identifier, syntax).unwrap()
    )
    with connect(peer, "TEST", contexts, options=options).unwrap() as association:
        context = association.context_for(model.find).unwrap()
        return [
            (reply.response, None if reply.data is None else _read(reply.data))
            for reply in association.replies(context, CFindRQ(1, model.find), MemoryBytes(data))
        ]


def _read(data: ByteSource) -> DicomDataset:
    return decode_dataset(bytes(data.view()), EXPLICIT_VR_LITTLE_ENDIAN).unwrap()


def encoded(level: str, **texts: str | bytes) -> bytes:
    """Encode keys in Explicit VR Little Endian as they are, whatever they hold."""
    data = b""
    keys = {"QueryRetrieveLevel": level, **texts}
    for keyword, text in sorted(keys.items(), key=lambda one: int(DicomTag.of(one[0]))):
        tag = DicomTag.of(keyword)
        value = text.encode() if isinstance(text, str) else text
        value += (b"\0" if tag.dictionary_vr == "UI" else b" ") * (len(value) % 2)
        data += struct.pack("<HH", int(tag) >> 16, int(tag) & 0xFFFF)
        data += tag.dictionary_vr.encode() + struct.pack("<H", len(value)) + value
    return data


def asked(level: str, **keys: object) -> DicomDataset:
    """Make an identifier."""
    return DicomDataset(None, QueryRetrieveLevel=level, **keys)


# -- levels and models -----------------------------------------------------------------------

HIERARCHY = [
    (PATIENT_ROOT, "PATIENT", {"PatientID": ""}, None),
    (PATIENT_ROOT, "STUDY", {"PatientID": "P1", "StudyInstanceUID": ""}, None),
    (PATIENT_ROOT, "STUDY", {"StudyInstanceUID": "1.1"}, "PatientID"),
    (PATIENT_ROOT, "STUDY", {"PatientID": "P*"}, "PatientID"),
    (PATIENT_ROOT, "SERIES", {"PatientID": "P1"}, "StudyInstanceUID"),
    (PATIENT_ROOT, "SERIES", {"PatientID": "P1", "StudyInstanceUID": "1.1"}, None),
    (STUDY_ROOT, "STUDY", {"PatientName": "doe*"}, None),
    (STUDY_ROOT, "SERIES", {"StudyInstanceUID": "1.1"}, None),
    (STUDY_ROOT, "SERIES", {"StudyInstanceUID": ["1.1", "1.2"]}, "StudyInstanceUID"),
    (STUDY_ROOT, "SERIES", {"SeriesInstanceUID": "1.1.1"}, "StudyInstanceUID"),
    (STUDY_ROOT, "IMAGE", {"StudyInstanceUID": "1.1"}, "SeriesInstanceUID"),
    (STUDY_ROOT, "IMAGE", {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.1"}, None),
    (STUDY_ROOT, "PATIENT", {"PatientID": ""}, "QueryRetrieveLevel"),
    (PATIENT_STUDY_ONLY, "PATIENT", {"PatientID": ""}, None),
    (PATIENT_STUDY_ONLY, "STUDY", {"PatientID": "P1"}, None),
    (PATIENT_STUDY_ONLY, "SERIES", {"PatientID": "P1", "StudyInstanceUID": "1.1"},
     "QueryRetrieveLevel"),
    (STUDY_ROOT, "ROOM", {}, "QueryRetrieveLevel"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "level", "keys", "offending"), HIERARCHY)
def test_a_hierarchical_search_names_what_is_above(
    filled: Pacs,
    model: InformationModel,
    level: str,
    keys: dict[str, object],
    offending: str | None,
) -> None:
    """A strict server wants one unique key of each level above, or else answers A900H."""
    scp = QueryScp(filled.archive, "STRICT", QueryRules(always_relational=False))
    with DicomServer(ServerConfig(port=0), [scp]) as server:
        strict = Peer("127.0.0.1", server.port)
        *_, (final, _) = responses(strict, asked(level, **keys), model)
    assert isinstance(final, CFindRSP)
    if offending is None:
        assert final.status == Status.SUCCESS
        return
    assert final.status == Status.DATA_SET_MISMATCH
    assert final.error_comment
    assert [DicomTag(tag).keyword for tag in final.offending_element] == [offending]


def test_relational_queries_are_agreed_on(filled: Pacs) -> None:
    """A strict server finds a series without its study once they are (PS3.4 C.4.1.2.2.2)."""
    relational = FindNegotiation(relational=True)
    question = asked("SERIES", Modality="MR", SeriesInstanceUID="")
    scp = QueryScp(filled.archive, "STRICT", QueryRules(always_relational=False))
    with DicomServer(ServerConfig(port=0), [scp]) as server:
        strict = Peer("127.0.0.1", server.port)
        (_, match), (final, _) = responses(strict, question, STUDY_ROOT, relational)
    assert final.status == Status.SUCCESS
    assert match is not None
    assert match["SeriesInstanceUID"] == "1.2.1"


def test_our_client_asks_for_relational_queries_where_it_needs_them(filled: Pacs) -> None:
    """A user who leaves the unique keys out need not know of negotiation."""
    found = QueryScu().find(filled.peer, asked("IMAGE", StudyInstanceUID="1.1")).unwrap()
    assert len(found) == 2
    with QueryScu().stream(filled.peer, asked("STUDY", StudyInstanceUID="")).unwrap() as studies:
        assert studies.negotiated == FindNegotiation()


def test_nobody_has_to_negotiate_relational_queries(filled: Pacs) -> None:
    """Many clients ask for a series by nothing but what they know of it."""
    answers = responses(filled.peer, asked("SERIES", Modality="MR", SeriesInstanceUID=""))
    assert len(answers) == 2


# -- extended negotiation -------------------------------------------------------------------

NEGOTIATED = [
    (FindNegotiation(fuzzy=True), {"PatientName": "Mueler"}, ["2.1"]),
    (FindNegotiation(), {"PatientName": "Mueler"}, []),
    (FindNegotiation(empty_values=True), {"AccessionNumber": '""'}, ["1.1", "1.2", "2.1"]),
    (FindNegotiation(), {"AccessionNumber": '""'}, []),
    (FindNegotiation(multiple_values=True), {"ModalitiesInStudy": ["CT", "MR"]}, []),
    (FindNegotiation(), {"ModalitiesInStudy": ["CT", "MR"]}, ["1.1", "1.2", "2.1"]),
]


@pytest.mark.parametrize(("negotiation", "keys", "found"), NEGOTIATED)
def test_what_is_negotiated_decides_what_matches(
    filled: Pacs, negotiation: FindNegotiation, keys: dict[str, object], found: list[str]
) -> None:
    """Each kind of matching holds where both sides agreed on it, and only there."""
    question = asked("STUDY", StudyInstanceUID="", **keys)
    matches = QueryScu().find(filled.peer, question, negotiation=negotiation).unwrap()
    assert [match["StudyInstanceUID"] for match in matches] == found


def test_what_the_peer_does_not_agree_to_is_an_error(filled: Pacs) -> None:
    """Matches that would mean something else are not fetched: the failure says what is lacking."""
    scp = QueryScp(filled.archive, "PLAIN", QueryRules(offered=FindNegotiation(relational=True)))
    query = Query.of("STUDY", PatientName="Mueler", fuzzy=True).unwrap()
    with DicomServer(ServerConfig(port=0), [scp]) as server:
        error = QueryScu().find(Peer("127.0.0.1", server.port, "PLAIN"), query).failure()
    assert error.code is ErrorCode.OPERATION_NOT_SUPPORTED
    assert error.details["lacking"] == ("fuzzy matching of names",)
    assert "PLAIN does not agree to fuzzy matching of names" in error.message


@pytest.mark.parametrize(
    ("negotiation", "information"),
    [
        (FindNegotiation(), b"\0"),
        (FindNegotiation(relational=True), b"\1"),
        (FindNegotiation(combined_datetime=True), b"\0\1\0"),
        (FindNegotiation(fuzzy=True), b"\0\0\1"),
        (FindNegotiation(timezone_adjustment=True), b"\0\0\0\1"),
        (FindNegotiation(enhanced_conversion=True), b"\0\0\0\0\1"),
        (FindNegotiation(empty_values=True), b"\0\0\0\0\0\1"),
        (FindNegotiation(relational=True, multiple_values=True), b"\1\0\0\0\0\0\1"),
    ],
)
def test_the_bytes_are_those_of_the_standard(
    negotiation: FindNegotiation, information: bytes
) -> None:
    """PS3.4 Table C.5-1: a byte a behaviour, in this order; what is not sent is not wanted."""
    assert negotiation.encode() == information
    assert FindNegotiation.decode(information) == negotiation
    assert FindNegotiation.decode(information + b"\0\0\0\0\0\0\0\1") == negotiation
    assert FindNegotiation.decode(b"\2\xff") == FindNegotiation()


# -- statuses ------------------------------------------------------------------------------


@attrs.frozen
class _Failing(QuerySource):
    """Fails every search."""

    error: PacsError

    def find(self, query: Query) -> PacsResult[Iterator[Match]]:
        """Fail."""
        return Failure(self.error)


@contextmanager
def serving(source: QuerySource, rules: QueryRules | None = None) -> Iterator[Peer]:
    """Run a server that answers C-FIND from something."""
    with DicomServer(ServerConfig(port=0), [QueryScp(source, "SOURCE", rules)]) as server:
        yield Peer("127.0.0.1", server.port, "SOURCE")


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


# -- answers -------------------------------------------------------------------------------


def test_a_sequence_comes_back_with_its_items(named: Pacs) -> None:
    """Request Attributes Sequence is matched in one item, and returned with what was asked."""
    requests = [
        DicomDataset(None, RequestedProcedureID=f"R{number}", AccessionNumber=f"Ä{number}")
        for number in (1, 2)
    ]
    sequence = [one.pydicom for one in requests]
    instance = made_instance(RequestAttributesSequence=sequence, SpecificCharacterSet="ISO_IR 192")
    named.archive.store(instance).unwrap()
    key = DicomDataset(None, RequestedProcedureID="R2", AccessionNumber="").pydicom
    question = asked("SERIES", StudyInstanceUID="1.2.3", RequestAttributesSequence=[key])
    (match,) = QueryScu().find(named.peer, question).unwrap()
    (item,) = match["RequestAttributesSequence"]
    assert (item["RequestedProcedureID"], item["AccessionNumber"]) == ("R2", "Ä2")


COMPUTED: dict[str, dict[str, object]] = {
    "PATIENT": {
        "NumberOfPatientRelatedStudies": 2,
        "NumberOfPatientRelatedSeries": 2,
        "NumberOfPatientRelatedInstances": 3,
    },
    "STUDY": {
        "NumberOfStudyRelatedSeries": 1,
        "NumberOfStudyRelatedInstances": 2,
        "ModalitiesInStudy": "CT",
        "SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.2",
    },
    "SERIES": {"NumberOfSeriesRelatedInstances": 2},
    "IMAGE": {},
}


@pytest.mark.parametrize("level", COMPUTED)
def test_computed_keys_are_answered(filled: Pacs, level: str) -> None:
    """Counts, what a study has in it, availability and Retrieve AE Title, at each level."""
    keys: dict[str, object] = {"PatientID": "P1"}
    if level != "PATIENT":
        keys["StudyInstanceUID"] = "1.1"
    wanted: dict[str, object] = {
        **COMPUTED[level], "InstanceAvailability": "ONLINE", "RetrieveAETitle": "ARCHIVE",
        "QueryRetrieveLevel": level,
    }  # fmt: skip
    keys |= dict.fromkeys([*wanted, "SeriesInstanceUID", "SOPInstanceUID"], "")
    keys["QueryRetrieveLevel"] = level
    match = QueryScu().find(filled.peer, DicomDataset(None, **keys)).unwrap()[0]
    assert {keyword: match[keyword] for keyword in wanted} == wanted


CHARACTER_SETS = [
    ("", "Doe^John", ""),
    ("ISO_IR 192", "Doe^John", ""),
    ("", "Müller^Jörg", "ISO_IR 100"),
    ("ISO_IR 100", "Müller^Jörg", "ISO_IR 100"),
    ("ISO_IR 192", "Müller^Jörg", "ISO_IR 192"),
    ("ISO_IR 101", "Wałęsa^Lech", "ISO_IR 101"),
    ("ISO_IR 100", "Wałęsa^Lech", "ISO_IR 101"),
    ("ISO_IR 144", "Люкceмбypг", "ISO_IR 144"),
    ("", "Люкceмбypг", "ISO_IR 144"),
    ("ISO_IR 127", "قباني^لنزار", "ISO_IR 127"),
    ("ISO_IR 126", "Διονυσιος", "ISO_IR 126"),
    ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう", "\\ISO 2022 IR 87"),
    ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동", "\\ISO 2022 IR 149"),
    ("GB18030", "Wang^XiaoDong=王^小东", "GB18030"),
    ("ISO_IR 100", "Wang^XiaoDong=王^小东", "ISO 2022 IR 6\\ISO 2022 IR 58"),
    ("", "Wałęsa=山田=やまだ", "ISO_IR 192"),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "name", "answered"), CHARACTER_SETS)
def test_names_are_found_and_told_in_the_character_set_of_the_request(
    named: Pacs, declared: str, name: str, answered: str
) -> None:
    """Keys are read as declared; an answer has the same set if it can, or the smallest that can."""
    who = new_uid()
    named.archive.store(
        made_instance(
            StudyInstanceUID=who,
            SeriesInstanceUID=new_uid(),
            PatientID=who,
            PatientName=name,
            SpecificCharacterSet="ISO_IR 192",
        )
    ).unwrap()
    sets = character_sets(declared.encode())
    try:
        key = encode_text(name, sets, VR.PN)
    except PacsException:  # the client looks for something else, and gets to see the name
        key = b""
    identifier = encoded("PATIENT", SpecificCharacterSet=declared, PatientName=key, PatientID=who)
    (_, match), _ = responses(named.peer, identifier, PATIENT_ROOT)
    assert match is not None
    assert str(match["PatientName"]) == name
    terms = match.get_strings("SpecificCharacterSet").value_or(())
    assert "\\".join(terms) == answered


def test_what_a_client_fails_to_declare_can_be_known(filled: Pacs) -> None:
    """A policy tells how to read the keys of clients that declare nothing, or the wrong thing."""
    latin_1 = encoded("PATIENT", PatientName="Müller*".encode("latin-1"), PatientID="")
    assert len(responses(filled.peer, latin_1, PATIENT_ROOT)) == 1
    rules = QueryRules(character_sets=CharacterSetPolicy(assume="ISO_IR 100"))
    with serving(filled.archive, rules) as peer:
        (_, match), _ = responses(peer, latin_1, PATIENT_ROOT)
    assert match is not None
    assert match["PatientID"] == "P2"


def test_text_that_no_answer_may_have_is_passed_on() -> None:
    """Control characters and other oddities in the index hinder nobody's study list."""
    strange = Match(
        QueryLevel.STUDY, {0x00100010: "Mü\x01ller", 0x00080060: "Ü", 0x00280010: "99999"}
    )
    with serving(_Listed([strange])) as peer:
        identifier = encoded("STUDY", PatientName="", Modality="", Rows="")
        (_, match), (final, _) = responses(peer, identifier)
    assert final.status == Status.SUCCESS
    assert match is not None
    assert match.get_strings("PatientName").unwrap() == ("Mü\x01ller",)
    assert match["Modality"] == "?"
    assert match["Rows"] is None


# -- streams, limits, cancelling -----------------------------------------------------------


@attrs.define
class _Listed(QuerySource):
    """Gives matches one by one, each when it may."""

    matches: list[Match]
    may_go_on: threading.Event = attrs.field(factory=threading.Event)
    """Whether more than the first may come; it is set unless a test clears it."""
    given: int = 0
    is_closed: threading.Event = attrs.field(factory=threading.Event)

    def __attrs_post_init__(self) -> None:
        self.may_go_on.set()

    def find(self, query: Query) -> PacsResult[Iterator[Match]]:
        """Search."""
        return Success(self._each())

    def _each(self) -> Iterator[Match]:
        try:
            for match in self.matches:
                if self.given:
                    assert self.may_go_on.wait(30)
                self.given += 1
                yield match
        finally:
            self.is_closed.set()


def many(count: int) -> _Listed:
    """List so many studies."""
    return _Listed([Match(QueryLevel.STUDY, {STUDY_UID: f"1.{one}"}) for one in range(count)])


STUDIES = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""}


def test_matches_come_while_the_search_goes_on() -> None:
    """The first match can be looked at although the second has not been found yet."""
    source = many(3)
    source.may_go_on.clear()
    with (
        serving(source) as peer,
        QueryScu().stream(peer, DicomDataset(None, **STUDIES)).unwrap() as found,
    ):
        assert next(found)["StudyInstanceUID"] == "1.0"
        assert source.given == 1
        source.may_go_on.set()
        assert [match["StudyInstanceUID"] for match in found] == ["1.1", "1.2"]


@pytest.mark.parametrize("server", [DicomServer, BackgroundServer])
def test_leaving_early_cancels_within_one_match(
    server: type[DicomServer | BackgroundServer],
) -> None:
    """Closing sends C-CANCEL: the server, of either driver, stops after at most one more match."""
    source = many(1000)
    source.may_go_on.clear()
    with server(ServerConfig(port=0), [QueryScp(source, "SOURCE")]) as running:
        peer = Peer("127.0.0.1", running.port, "SOURCE")
        found = QueryScu().stream(peer, DicomDataset(None, **STUDIES)).unwrap()
        next(found)
        found._cancel()  # as `close` does first; the search is held back until it was sent
        source.may_go_on.set()
        found.close()
        assert source.is_closed.wait(30)
        assert source.given <= 2
        assert list(found) == []
        found.close()


@pytest.mark.parametrize("limit", [1, 2, 5, 9])
def test_a_limit_ends_the_query(limit: int) -> None:
    """So many matches come, or as many as there are; the association ends in good order."""
    source = many(5)
    logger = RecordingLogger()
    scp = QueryScp(source, "SOURCE")
    with DicomServer(ServerConfig(port=0), [scp], logger=logger) as server:
        peer = Peer("127.0.0.1", server.port)
        found = QueryScu().find(peer, DicomDataset(None, **STUDIES), limit=limit).unwrap()
        assert len(found) == min(limit, 5)
    assert "association-released" in logger.events


def test_a_limit_of_nothing_is_a_mistake(filled: Pacs) -> None:
    """A limit is at least 1."""
    error = QueryScu().find(filled.peer, DicomDataset(None, **STUDIES), limit=0).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT


class _Deaf:
    """Answers a C-FIND with matches, cancelled or not, for as long as the clock stands."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock

    def supported_contexts(self) -> list[SupportedContext]:
        """List Study Root FIND."""
        return [SupportedContext(STUDY_ROOT.find, [EXPLICIT_VR_LITTLE_ENDIAN.uid])]

    def handle(self, exchange: Exchange) -> None:
        """Send matches until the peer is gone."""
        request = exchange.request
        pending = CFindRSP(request.message_id, Status.PENDING, STUDY_ROOT.find)
        data = MemoryBytes(encoded("STUDY", StudyInstanceUID="1.2"))
        while True:
            exchange.respond(pending, data)
            self._clock.advance(1.0)


def test_a_peer_that_does_not_stop_is_left() -> None:
    """Who goes on after a C-CANCEL is aborted after the time for an answer."""
    clock = FakeClock()
    with DicomServer(ServerConfig(port=0), [_Deaf(clock)]) as server:
        scu = QueryScu(timeouts=ClientTimeouts(dimse_s=30.0), clock=clock)
        found = scu.stream(Peer("127.0.0.1", server.port), DicomDataset(None, **STUDIES)).unwrap()
        next(found)
        found.close()
        assert list(found) == []


def test_a_refusal_is_known_before_one_iterates(filled: Pacs) -> None:
    """``stream`` is a failure where the peer refuses the query."""
    error = QueryScu().stream(filled.peer, encoded_date()).failure()
    assert error.code is ErrorCode.FIND_FAILED
    assert error.details["status"] == 0xA900


def encoded_date() -> DicomDataset:
    """Ask for a date that is none."""
    data = encoded("STUDY", StudyDate="yesterday")
    return decode_dataset(data, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()


def test_a_model_that_the_peer_does_not_have_is_a_typed_error(filled: Pacs) -> None:
    """The failure names the model and says why the peer refused it."""
    with DicomServer(ServerConfig(port=0), [_Deaf(FakeClock())]) as server:
        peer = Peer("127.0.0.1", server.port)
        error = QueryScu().find(peer, asked("PATIENT", PatientID="")).failure()
    assert error.code is ErrorCode.PRESENTATION_CONTEXT_REFUSED
    assert "PATIENT_ROOT FIND" in error.message


def test_what_goes_wrong_on_the_way_is_raised_while_iterating() -> None:
    """Matches that came are not lost; then the error is raised, and the association is over."""

    class Breaking(QuerySource):
        def find(self, query: Query) -> PacsResult[Iterator[Match]]:
            """Give one match and fail."""
            return Success(self._each())

        def _each(self) -> Iterator[Match]:
            yield Match(QueryLevel.STUDY, {STUDY_UID: "1.0"})
            raise PacsException(ErrorCode.INDEX_FAILED, "the disk is gone")

    with serving(Breaking()) as peer:
        found = QueryScu().stream(peer, DicomDataset(None, **STUDIES)).unwrap()
        assert next(found)["StudyInstanceUID"] == "1.0"
        with pytest.raises(PacsException, match="A700H: the disk is gone"):
            next(found)
        assert list(found) == []


# -- typed matches -------------------------------------------------------------------------


def test_a_query_is_asked_of_a_peer_as_of_an_archive(filled: Pacs) -> None:
    """The same query gives the same matches here and there, with its options and its limit."""
    query = Query.of("STUDY", PatientName="mueler", fuzzy=True).unwrap()
    (here,) = filled.archive.find(query).unwrap()
    table = QueryScu().table(filled.peer, query).unwrap()
    (there,) = table.matches
    assert {tag: there.values[tag] for tag in here.values} == dict(here.values)
    assert there.record() == here.record()
    assert len(QueryScu().table(filled.peer, Query.of("STUDY", limit=2).unwrap()).unwrap()) == 2


def test_matches_are_records_of_their_level(filled: Pacs) -> None:
    """Dates and numbers have Python's types, what was not asked for is None or empty."""
    question = asked(
        "STUDY", StudyInstanceUID="1.1", StudyDate="", NumberOfStudyRelatedInstances=""
    )
    with QueryScu().stream(filled.peer, question).unwrap() as found:
        (record,) = found.records()
    assert isinstance(record, StudyRecord)
    assert record.study_date == dt.date(2025, 1, 31)
    assert (record.number_of_instances, record.number_of_series) == (2, None)
    query = Query.of("SERIES", StudyInstanceUID="1.1").unwrap()
    (series,) = QueryScu().table(filled.peer, query).unwrap().records()
    assert isinstance(series, SeriesRecord)


def test_matches_are_a_data_frame(filled: Pacs) -> None:
    """A column has the keyword of its attribute; dates and numbers have types of their own."""
    query = Query.of("STUDY", PatientID="P1").unwrap()
    table = QueryScu().table(filled.peer, query).unwrap()
    frame = table.to_pandas().unwrap()
    assert list(frame["StudyInstanceUID"]) == ["1.1", "1.2"]
    assert list(frame["NumberOfStudyRelatedInstances"]) == [2, 1]
    assert table.to_arrow().unwrap().num_rows == 2


def test_a_c_find_has_no_order_and_no_pages(filled: Pacs) -> None:
    """A query with an order is refused in words before anybody is asked."""
    query = Query.of("STUDY", sort="-StudyDate").unwrap()
    error = QueryScu().find(filled.peer, query).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "no order" in error.message


def test_an_identifier_is_written_in_the_smallest_character_set() -> None:
    """Keys keep their wild cards, ranges and lists; text declares what it needs."""
    query = Query.of(
        "SERIES", return_keys=["Modality"], PatientName="Mü*", StudyDate="20240101-",
        StudyInstanceUID=["1.2", "1.3"], SeriesNumber='""',
        options=MatchingOptions(empty_values=True),
        RequestAttributesSequence={"RequestedProcedureID": "R?"},
    )  # fmt: skip
    data = encode_dataset(
        identifier_of(query.unwrap()).unwrap(), EXPLICIT_VR_LITTLE_ENDIAN
    ).unwrap()
    found = decode_dataset(data, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
    assert Query.from_identifier(found, MatchingOptions(empty_values=True)).unwrap().matching == {
        0x00100010: "Mü*", 0x00080020: "20240101-", STUDY_UID: "1.2\\1.3", 0x00200011: '""',
    }  # fmt: skip
    assert found["SpecificCharacterSet"] == "ISO_IR 100"


def test_a_number_that_is_none_cannot_be_a_key() -> None:
    """What the VR cannot say is refused, and not asked as something else."""
    query = Query(QueryLevel.IMAGE, {0x00280010: "5"}, (), {})
    assert identifier_of(query).unwrap()["Rows"] == 5
    query = Query.of("IMAGE", Rows='""', options=MatchingOptions(empty_values=True)).unwrap()
    assert identifier_of(query).failure().code is ErrorCode.INVALID_ARGUMENT
