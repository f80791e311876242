"""The conformance statement: what it claims is negotiated with a running server, and nothing else is."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from dependency_injector import providers
from hypothesis import given
from hypothesis import strategies as st
from pydicom._uid_dict import UID_dictionary

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.results import raised
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import IMPLICIT_VR_LITTLE_ENDIAN, all_transfer_syntaxes, encode_dataset
from pacs_sdk.integration.config import PacsConfig
from pacs_sdk.integration.conformance import (
    Bullets,
    ConformanceStatement,
    Contents,
    Document,
    Paragraph,
    Section,
    Table,
    conformance_statement,
)
from pacs_sdk.integration.conformance.keys import _MATCHING
from pacs_sdk.integration.container import PacsContainer
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import (
    AccessControl,
    FunctionService,
    PasswordVerifier,
    Peer,
    ProposedContext,
    ServiceRequest,
    connect,
)
from pacs_sdk.network.dimse import CMoveRQ, NCreateRQ, NSetRQ
from pacs_sdk.services import all_sop_classes
from pacs_sdk.storage.index.attributes import (
    ATTRIBUTES,
    COMPUTED_ATTRIBUTES,
    REQUEST_ATTRIBUTES,
    AttributeKind,
)
from pacs_sdk.testing import FakeClock

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
MPPS = "1.2.840.10008.3.1.2.3.3"
PRIVATE = "1.3.6.1.4.1.9590.100.1.7"
EXPLICIT = "1.2.840.10008.1.2.1"
JPEG_2000 = "1.2.840.10008.1.2.4.90"

MOST_CONTEXTS = 128


def configured(tmp_path: Path, **parts: dict[str, object]) -> PacsConfig:
    """Build a configuration over the usual one of these tests."""
    values: dict[str, dict[str, object]] = {
        "server": {"port": 0, "ae_title": "ARCHIVE_1"},
        "storage": {"data_dir": str(tmp_path / "data"), "durability": "relaxed"},
    }
    for part, settings in parts.items():
        values.setdefault(part, {}).update(settings)
    return PacsConfig.from_dict(values).unwrap()


# -- reading the document back -------------------------------------------------------------------


def section_of(markdown: str, title: str) -> str:
    """Return the text of a section, its parts included, found by its title without the number."""
    lines = markdown.splitlines()
    for start, line in enumerate(lines):
        found = re.fullmatch(rf"(#+) (Annex )?[\dA-Z.]+ {re.escape(title)}", line)
        if found:
            depth = len(found[1])
            text = "\n".join(lines[start + 1 :])
            return re.split(rf"^#{{1,{depth}}} ", text, maxsplit=1, flags=re.MULTILINE)[0]
    raise AssertionError(f"no section {title!r}")


def tables_in(text: str) -> Iterator[list[list[str]]]:
    """Yield the rows of each table, the heading first."""
    rows: list[list[str]] = []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            rows.append([re.sub(r"\\(.)", r"\1", cell.strip()) for cell in cells])
        elif rows:
            yield [rows[0], *rows[2:]]
            rows = []


Claims = dict[str, tuple[frozenset[str], frozenset[str]]]
"""SOP class -> transfer syntaxes as SCP, and as SCU."""


def claims_in(markdown: str) -> Claims:
    """Read the claimed contexts."""
    contexts = section_of(markdown, "Presentation Contexts")
    groups = {"–": frozenset[str]()}
    for name in re.findall(r"^#+ [\d.]+ Transfer Syntaxes (T\d+)$", contexts, re.MULTILINE):
        (rows,) = tables_in(section_of(markdown, f"Transfer Syntaxes {name}"))
        groups[name] = frozenset(uid for _, uid in rows[1:])
    heading, *rows = next(tables_in(contexts))
    assert heading == ["SOP class", "UID", "as SCP", "as SCU"]
    return {uid: (groups[scp], groups[scu]) for _, uid, scp, scu in rows}


# -- negotiating what is claimed -----------------------------------------------------------------

Pair = tuple[str, str]
"""A SOP class and a transfer syntax."""


def accepted(peer: Peer, pairs: Iterable[Pair], *, as_scu: bool, as_scp: bool) -> set[Pair]:
    """Propose each pair in a context of its own, in one role; return what is accepted so."""
    found: set[Pair] = set()
    waiting = iter(pairs)
    while batch := list(itertools.islice(waiting, MOST_CONTEXTS)):
        contexts = [
            ProposedContext(uid, (syntax,), as_scu=as_scu, as_scp=as_scp) for uid, syntax in batch
        ]
        with connect(peer, "TESTER", contexts).unwrap() as association:
            for one in association.contexts:
                if (one.as_scu, one.as_scp) == (as_scu, as_scp):
                    found.add((one.abstract_syntax, one.transfer_syntax))
    return found


SYNTAXES = [*(one.uid for one in all_transfer_syntaxes()), "1.2.840.113619.5.2"]
"""Every transfer syntax, and a private one."""

CLASSES = [*(one.uid for one in all_sop_classes()), PRIVATE, "1.2.840.10008.3.1.1.1"]
"""Every SOP class, a private one, and what is none."""


def assert_claims_hold(
    statement: ConformanceStatement, peer: Peer, classes: Sequence[str] = CLASSES
) -> None:
    """Check what is claimed of SOP classes, and that nothing else holds of them.

    Every transfer syntax is tried with those that are claimed, and three with the others. In
    the other roles every one is tried with one SOP class of each kind, and three with all.
    """
    claims = claims_in(statement.markdown())
    assert {one.sop_class_uid: (one.scp, one.scu) for one in statement.claims} == claims
    kinds = {groups: uid for uid, groups in claims.items()}.values()
    usual = [(uid, one) for uid in classes for one in (SYNTAXES if uid in claims else FEW)]
    turned = [(uid, one) for uid in classes for one in (SYNTAXES if uid in kinds else FEW)]
    scp, scu = _pairs(claims, 0), _pairs(claims, 1)
    assert accepted(peer, usual, as_scu=True, as_scp=False) == scp.intersection(usual)
    assert accepted(peer, turned, as_scu=False, as_scp=True) == scu.intersection(turned)
    assert accepted(peer, turned, as_scu=True, as_scp=True) == (scp & scu).intersection(turned)


FEW = (EXPLICIT, JPEG_2000, "1.2.840.10008.1.2")


def _pairs(claims: Claims, column: int) -> set[Pair]:
    return {(uid, syntax) for uid, groups in claims.items() for syntax in groups[column]}


def test_every_claimed_context_is_negotiated_and_no_other(tmp_path: Path) -> None:
    """All SOP classes, in all transfer syntaxes, in every role, against a running server."""
    with Pacs.configured(configured(tmp_path)) as pacs:
        assert_claims_hold(conformance_statement(pacs).unwrap(), pacs.peer)


def test_the_same_with_services_and_settings_of_a_site(tmp_path: Path) -> None:
    """A service that takes CT images from ours, one for MPPS, and fewer storage SOP classes."""
    ct = FunctionService([CT_IMAGE, PRIVATE], transfer_syntaxes=[EXPLICIT])
    mpps = FunctionService([MPPS])

    @mpps.handles(NCreateRQ)
    def create(request: ServiceRequest[NCreateRQ]) -> None: ...

    @mpps.handles(NSetRQ)
    def change(request: ServiceRequest[NSetRQ]) -> None: ...

    config = configured(
        tmp_path,
        services={"storage_sop_classes": ["CT", "SR"], "enabled": ["storage", "retrieve"]},
    )
    with Pacs.configured(config, services=[ct, mpps]) as pacs:
        statement = conformance_statement(pacs).unwrap()
        some = [CT_IMAGE, VERIFICATION, MPPS, PRIVATE, "1.2.840.10008.5.1.4.1.1.4"]
        assert_claims_hold(statement, pacs.peer, some)
    claims = claims_in(statement.markdown())
    assert VERIFICATION not in claims
    assert claims[CT_IMAGE][0] == {EXPLICIT}
    assert JPEG_2000 in claims[CT_IMAGE][1]
    text = statement.markdown()
    performed = section_of(text, "Procedure Step Service")
    assert "N-CREATE, N-SET | FunctionService, a service of the site" in performed
    assert "C-FIND" not in section_of(text, "Application Data Flow")
    assert "C-FIND" in section_of(text, "Functional Definition of the Client")
    assert PRIVATE in section_of(text, "Private SOP Classes")


def test_unknown_sop_classes_are_claimed_in_words(tmp_path: Path) -> None:
    """Where private SOP classes are taken for Storage, the document says so, and it is so."""
    config = configured(tmp_path, server={"unknown_storage_classes": True})
    with Pacs.configured(config) as pacs:
        text = conformance_statement(pacs).unwrap().markdown()
        assert accepted(pacs.peer, [(PRIVATE, EXPLICIT)], as_scu=True, as_scp=False)
    assert "except unknown SOP classes" in section_of(text, "Presentation Contexts")
    assert "that PS3.6 does not have are accepted" in section_of(text, "Acceptance of Associations")


# -- what stands in it ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Write the statement of a PACS that does not run."""
    pacs = Pacs.configured(configured(tmp_path_factory.mktemp("conformance")))
    statement = conformance_statement(pacs, product="Ward | Archive", manufacturer="Ours").unwrap()
    pacs.archive.close()
    return statement.markdown()


def test_the_sections_are_those_of_annex_n(text: str) -> None:
    """Eight sections in the order of PS3.2 Annex N, then annexes; the contents name them."""
    found = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert found == [
        "1 Conformance Statement Overview",
        "2 Table of Contents",
        "3 Introduction",
        "4 Implementation Model",
        "5 Service and Interoperability Description",
        "6 Configuration",
        "7 Network and Media Communication Details",
        "8 Security",
        "Annex A Changes to Received Objects",
        "Annex B Retired and Foreign SOP Classes",
    ]
    contents = section_of(text, "Table of Contents")
    assert all(f"- {title}" in contents for title in found)


def test_every_reference_to_a_section_leads_there(text: str) -> None:
    """The numbers that the text mentions are those of the sections that it means."""
    assert "### 1.1 Network Services" in text
    assert "### 3.3 Remarks" in text
    assert "### 5.4 Specific Character Sets" in text
    assert "### 7.2 Acceptance of Associations" in text
    numbers = set(re.findall(r"^#+ (?:Annex )?([\dA-Z.]+) ", text, re.MULTILINE))
    for mentioned in re.findall(r"\b(?:section|Annex) (\d[\d.]*|[AB])\b", text):
        assert mentioned.rstrip(".") in numbers


def test_the_overview_lists_every_sop_class_with_its_roles(text: str) -> None:
    """One row each: CT images are received, and sent in a C-GET; C-FIND is performed only."""
    (rows,) = tables_in(section_of(text, "Network Services"))
    listed = {row[1]: row for row in rows[1:]}
    assert listed["CT Image Storage"] == ["Storage (PS3.4 B)", "CT Image Storage", "Yes", "Yes"]
    find = "Study Root Query/Retrieve Information Model - FIND"
    assert listed[find] == ["Query/Retrieve (PS3.4 C)", find, "No", "Yes"]
    assert {UID_dictionary[uid][0] for uid in claims_in(text)} == set(listed)


def test_every_key_of_the_index_is_listed(text: str) -> None:
    """The index's own table is the source: attribute, tag, VR and type."""
    keys = section_of(text, "Keys")
    for tag in (*ATTRIBUTES, *COMPUTED_ATTRIBUTES):
        assert f"| {DicomTag(tag).keyword} | ({tag >> 16:04X},{tag & 0xFFFF:04X}) |" in keys
    for tag in REQUEST_ATTRIBUTES:
        assert f"| \\> {DicomTag(tag).keyword} |" in keys
    assert re.search(r"\| StudyInstanceUID \| \(0020,000D\) \| UI \| U \|", keys)
    assert re.search(r"\| StudyDate \| \(0008,0020\) \| DA \| R \|.*range", keys)
    assert re.search(r"\| PatientBirthDate \| \(0010,0030\) \| DA \| O \|", keys)


def test_what_a_site_adds_to_the_index_is_a_key(tmp_path: Path) -> None:
    """Further attributes stand at their levels, with how they are matched."""
    further = ["KVP", "AcquisitionDateTime", "PatientSpeciesDescription"]
    pacs = Pacs.configured(configured(tmp_path, storage={"further_attributes": further}))
    text = conformance_statement(pacs).unwrap().markdown()
    pacs.archive.close()
    assert "| KVP | (0018,0060) | DS | O | single value, universal |" in text
    assert "| AcquisitionDateTime | (0008,002A) | DT | O | single value, range" in text
    assert "| PatientSpeciesDescription |" in section_of(text, "PATIENT Level")
    assert set(AttributeKind) == _MATCHING.keys()


@pytest.mark.parametrize(
    ("operation", "statuses"),
    [
        ("C-ECHO", "0000 0110 0122 0211"),
        ("C-STORE", "0000 0110 0111 0122 0211 A700 A900 C000"),
        ("C-FIND", "0000 0110 0122 0211 A700 A900 C000 FE00 FF00 FF01"),
        ("C-GET", "0000 0110 0122 0211 A701 A702 A900 B000 C000 FE00 FF00"),
        ("C-MOVE", "0000 0110 0122 0211 A701 A702 A801 A900 B000 C000 FE00 FF00"),
    ],
)
def test_statuses_of_each_operation(operation: str, statuses: str, text: str) -> None:
    """Each with its kind, its meaning in the service class, and what makes us send it."""
    (rows,) = tables_in(section_of(text, f"Statuses of {operation}"))
    assert " ".join(row[0].removesuffix("H") for row in rows[1:]) == statuses
    assert all(all(row) for row in rows)


def test_extended_negotiation_is_what_the_services_answer(text: str) -> None:
    """The flags come from asking the service for everything."""
    heading, *rows = next(tables_in(section_of(text, "Extended Negotiation of C-FIND")))
    assert heading[1:4] == ["relational", "combined datetime", "fuzzy"]
    assert all(row[1:4] == ["yes", "yes", "yes"] for row in rows)
    assert all(row[4] == "no" for row in rows)  # timezone adjustment


def test_names_cannot_break_the_document(text: str) -> None:
    """What a person chose is text: it opens no cell and no tag."""
    (cover,) = tables_in(text[: text.index("## 1 ")])
    assert ["Product", "Ward | Archive"] in cover
    assert ["Manufacturer", "Ours"] in cover


def test_a_configuration_shows_in_its_statement(tmp_path: Path) -> None:
    """TLS, rules, limits, destinations, coercion, users; neither paths nor passwords."""
    config = PacsConfig.from_dict(
        {
            "server": {
                "ae_title": "STRICT",
                "require_called_ae_title": True,
                "called_ae_titles": ["ALIAS"],
                "calling_ae_titles": ["CT1", "CT2"],
                "peers": ["CT*@10.1.0.0/16"],
                "max_associations_per_peer": 3,
                "identity_required": True,
                "tls": {
                    "certificate": str(tmp_path / "cert.pem"),
                    "private_key": str(tmp_path / "key.pem"),
                    "password": "geheim",
                    "client_ca": str(tmp_path / "ca.pem"),
                },
            },
            "storage": {
                "data_dir": str(tmp_path / "data"),
                "duplicates": "replace",
                "quota_bytes": 12_345_678,
                "issuer_of_patient_ids": "WARD 7",
                "assume_character_set": "ISO_IR 100",
                "durability": "relaxed",
            },
            "query": {"always_relational": False},
            "destinations": [
                {
                    "ae_title": "VIEWER",
                    "host": "10.0.0.9",
                    "port": 104,
                    "transfer_syntaxes": ["JPEG2000Lossless"],
                }
            ],
        }
    ).unwrap()
    container = PacsContainer(config=providers.Object(config))
    container.core.clock.override(providers.Object(FakeClock(datetime(2031, 2, 3, tzinfo=UTC))))
    container.network.access.override(
        providers.Object(AccessControl(identity_verifier=PasswordVerifier({})))
    )
    pacs = Pacs(container)
    text = conformance_statement(pacs).unwrap().markdown()
    pacs.archive.close()
    plain = text.replace("\\", "")
    for words in (
        "2031-02-03",
        "one of: STRICT, ALIAS",
        "one of: CT1, CT2",
        "CT*@10.1.0.0/16",
        "The same from one peer | 3",
        "a request without one is rejected",
        "| Profile | bcp-195 |",
        "TLS 1.2 or 1.3",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "| Client certificate | demanded |",
        "it replaces the first",
        "at most 12345678 bytes",
        "set to WARD 7 where",
        "ISO_IR 100 is assumed",
        "durability is relaxed",
        "where they were negotiated, otherwise A900H",
        "| VIEWER | STRICT | no | JPEG 2000 Image Compression (Lossless Only) | 1 | 1 |",
        "| query.always_relational | no |",
    ):
        assert words in plain, words
    assert "geheim" not in text
    assert str(tmp_path) not in text


def test_rules_of_reception_show(tmp_path: Path) -> None:
    """What is refused by rule, the statuses that senders may get, and what is preferred."""
    config = configured(
        tmp_path,
        reception={
            "preferred_transfer_syntaxes": ["JPEG2000Lossless"],
            "rules": [{"sop_classes": ["SR"], "status": 0xA901, "comment": "no reports"}],
        },
    )
    with Pacs.configured(config) as pacs:
        statement = conformance_statement(pacs).unwrap()
        assert_claims_hold(statement, pacs.peer, [CT_IMAGE, VERIFICATION])
    text = statement.markdown().replace("\\", "")
    assert "1 rule decides by sender, SOP class and attributes" in text
    assert "| A901H | failure |" in section_of(text, "Statuses of C-STORE")
    assert "(sop_classes: SR; status: 43265; comment: no reports)" in section_of(text, "Reception")
    preferred = "if one is there: JPEG 2000 Image Compression (Lossless Only)."
    assert preferred in section_of(text, "Acceptance of Associations")


def test_a_hook_that_says_nothing_may_give_any_status(tmp_path: Path) -> None:
    """The warnings and failures of C-STORE are all possible, and listed."""
    pacs = Pacs.configured(configured(tmp_path))
    pacs.container.services.before_store.override(providers.Object((lambda _: None,)))
    text = conformance_statement(pacs).unwrap().markdown()
    pacs.archive.close()
    (rows,) = tables_in(section_of(text, "Statuses of C-STORE"))
    assert {"B000H", "B006H", "B007H", "0124H", "A900H"} <= {row[0] for row in rows}


def test_a_status_in_the_statement_is_the_one_that_is_sent(tmp_path: Path) -> None:
    """An unknown destination is A801H on the wire, as the table says."""
    with Pacs.configured(configured(tmp_path)) as pacs:
        text = conformance_statement(pacs).unwrap().markdown()
        uid = "1.2.840.10008.5.1.4.1.2.2.2"
        contexts = [ProposedContext(uid, (IMPLICIT_VR_LITTLE_ENDIAN.uid,))]
        keys = DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2.3")
        data = MemoryBytes(encode_dataset(keys, IMPLICIT_VR_LITTLE_ENDIAN).unwrap())
        with connect(pacs.peer, "TESTER", contexts).unwrap() as association:
            context = association.context_for(uid).unwrap()
            request = CMoveRQ(1, uid, "NOWHERE")
            response = raised(association.call(context, request, data))
    assert f"| {response.status:04X}H | failure |" in section_of(text, "Statuses of C-MOVE")
    assert response.status == 0xA801


# -- the document as such ------------------------------------------------------------------------

SMALL = Document(
    "A <small> one",
    (Paragraph("Before & after."),),
    (
        Section(
            "First",
            (Bullets(("one | two", "*three*")), Contents()),
            (Section("Part", (Table(("a", "b"), [("1", "<x>")]),)),),
        ),
    ),
    (Section("Rest_of_it"),),
)


def test_markdown_of_a_document() -> None:
    """Numbers, letters, contents and tables; nothing in it is taken for markup."""
    assert SMALL.markdown() == (
        "# A \\<small\\> one\n\nBefore & after.\n\n## 1 First\n\n- one \\| two\n- \\*three\\*\n\n"
        "- 1 First\n  - 1.1 Part\n- Annex A Rest\\_of\\_it\n\n"
        "### 1.1 Part\n\n| a | b |\n|---|---|\n| 1 | \\<x\\> |\n\n## Annex A Rest\\_of\\_it\n"
    )


class _Checker(HTMLParser):
    """Sees to it that every tag is closed in its turn."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text: list[str] = []
        self.cells: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        """Note what is open."""
        if tag != "meta":
            self.open.append(tag)
        if tag == "td":
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        """Close the last one."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Keep the text, that of cells by itself."""
        self.text.append(data)
        if self.open[-1:] == ["td"]:
            self.cells[-1] += data


def test_html_of_a_document() -> None:
    """Well-formed, with links from the contents to the sections; text stays text."""
    page = SMALL.html()
    checker = _Checker()
    checker.feed(page)
    assert checker.open == []
    words = "".join(checker.text)
    assert "A <small> one" in words
    assert "1.1 Part" in words
    assert "<x>" in words
    for number in ("1", "1.1", "A"):
        assert f'<a href="#s{number}">' in page
        assert f'id="s{number}"' in page


@given(st.text(), st.text())
def test_no_text_breaks_a_table(left: str, right: str) -> None:
    """Whatever a cell holds, it is read back, in Markdown as in HTML; white space is one space."""
    document = Document("T", (Table(("a", "b"), [(left, right)]),), ())
    wanted = [" ".join(text.split()) for text in (left, right)]
    (rows,) = tables_in(document.markdown())
    assert rows == [["a", "b"], wanted]
    checker = _Checker()
    checker.feed(document.html())
    assert checker.open == []
    assert [" ".join(cell.split()) for cell in checker.cells] == wanted
