"""Files that lie about their character set, and what reads them right."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.valuerep import PersonName

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.value_rules import FindingKind
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding import ValidationMode, read_bytes, scan_header, validate_dataset
from pacs_sdk.encoding.charsets import (
    DEFAULT_POLICY,
    CharacterSetPolicy,
    Undecodable,
    character_sets,
    decode_text,
    effective_character_sets,
)
from pacs_sdk.encoding.datasets.element_reader import Found
from pacs_sdk.encoding.datasets.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from pacs_sdk.encoding.datasets.lazy_dataset import Inherited, LazyDataset, build_dataset
from pacs_sdk.encoding.datasets.writer import encode_dataset
from pacs_sdk.encoding.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from tests.encoding.charset_vectors import ANNEXES, OWN, SHIPPED, Vector

PATIENT_NAME = 0x00100010
STUDY_DESCRIPTION = 0x00081030

UTF_8 = CharacterSetPolicy(override="ISO_IR 192")
GREEK = CharacterSetPolicy(assume="ISO_IR 126")
STRICT = CharacterSetPolicy(on_undecodable="error")


def _terms(declared: bytes | None, policy: CharacterSetPolicy) -> tuple[str, ...]:
    return tuple(one.term for one in effective_character_sets(declared, policy))


@pytest.mark.parametrize(
    ("declared", "policy", "terms"),
    [
        (None, CharacterSetPolicy(), ("ISO_IR 6",)),
        (b"ISO_IR 100", CharacterSetPolicy(), ("ISO_IR 100",)),
        (None, GREEK, ("ISO_IR 126",)),
        (b"", GREEK, ("ISO_IR 126",)),
        (b" ", GREEK, ("ISO_IR 126",)),
        (b"ISO_IR 100", GREEK, ("ISO_IR 100",)),
        (b"\\ISO 2022 IR 87", GREEK, ("ISO_IR 6", "ISO 2022 IR 87")),
        (None, UTF_8, ("ISO_IR 192",)),
        (b"ISO_IR 100", UTF_8, ("ISO_IR 192",)),
        (b"KLINGON", UTF_8, ("ISO_IR 192",)),
        (b"KLINGON", CharacterSetPolicy(), ("ISO_IR 6",)),
        (
            b"ISO_IR 100",
            CharacterSetPolicy(override=("", "ISO 2022 IR 149")),
            ("ISO_IR 6", "ISO 2022 IR 149"),
        ),
        (None, CharacterSetPolicy(assume="\\ISO 2022 IR 58"), ("ISO_IR 6", "ISO 2022 IR 58")),
    ],
)
def test_what_holds(
    declared: bytes | None, policy: CharacterSetPolicy, terms: tuple[str, ...]
) -> None:
    """What is overridden holds always, what is assumed where nothing is declared."""
    assert _terms(declared, policy) == terms


def test_unknown_term_by_strict_policy() -> None:
    """An unknown term is an error where the policy asks for that."""
    with pytest.raises(PacsException) as caught:
        effective_character_sets(b"KLINGON", STRICT)
    assert caught.value.error.code is ErrorCode.DECODE_FAILED
    assert STRICT.on_undecodable is Undecodable.ERROR


def test_policy_of_unknown_terms() -> None:
    """A policy with a term that is none cannot be made; misspelt ones are put right."""
    with pytest.raises(ValueError, match="KLINGON"):
        CharacterSetPolicy(override="KLINGON")
    with pytest.raises(ValueError, match="maybe"):
        CharacterSetPolicy(on_undecodable="maybe")
    assert CharacterSetPolicy(assume="ISO-IR 100").assume == ("ISO_IR 100",)
    assert CharacterSetPolicy(override=()) == CharacterSetPolicy(override="")


# -- headers ---------------------------------------------------------------------------


def _element(tag: int, vr: bytes, value: bytes) -> bytes:
    value += b" " * (len(value) % 2)
    return (
        (tag >> 16).to_bytes(2, "little")  # group
        + (tag & 0xFFFF).to_bytes(2, "little")  # element
        + vr
        + len(value).to_bytes(2, "little")
        + value
    )


def _encoded(declared: bytes | None, name: bytes, description: bytes = b"") -> bytes:
    character_set = b"" if declared is None else _element(0x00080005, b"CS", declared)
    described = _element(STUDY_DESCRIPTION, b"LO", description) if description else b""
    return character_set + described + _element(PATIENT_NAME, b"PN", name)


@pytest.mark.parametrize(
    ("declared", "name", "policy", "text"),
    [
        (b"ISO_IR 100", "Łódź".encode(), UTF_8, "Łódź"),
        (None, b"\xc4\xe9\xef\xed", GREEK, "Διον"),
        (b"ISO_IR 100", b"J\xe9r\xf4me", GREEK, "Jérôme"),
        (b"ISO_IR 192", b"J\xe9r\xf4me", CharacterSetPolicy(), "J\ufffdr\ufffdme"),
        (b"ISO_IR 13", b"a~b", CharacterSetPolicy(), "a‾b"),
        (b"ISO_IR 100", b"a~b", CharacterSetPolicy(), "a~b"),
    ],
)
def test_header_obeys(
    declared: bytes | None, name: bytes, policy: CharacterSetPolicy, text: str
) -> None:
    """The header reads text as the policy of the source says."""
    data = _encoded(declared, name)
    header = scan_header(data, EXPLICIT_VR_LITTLE_ENDIAN, policy=policy).unwrap()
    assert header.text(PATIENT_NAME) == text


def test_strict_header() -> None:
    """With a strict policy undecodable text is an error when it is asked for, and only then."""
    data = _encoded(b"ISO_IR 192", b"J\xe9r\xf4me", b"fine")
    header = scan_header(data, EXPLICIT_VR_LITTLE_ENDIAN, policy=STRICT).unwrap()
    assert header.text(STUDY_DESCRIPTION) == "fine"
    with pytest.raises(PacsException) as caught:
        header.text(PATIENT_NAME)
    assert caught.value.error.code is ErrorCode.DECODE_FAILED


@pytest.mark.parametrize("vector", [*ANNEXES, *SHIPPED], ids=lambda one: one.name)
def test_names_in_headers(vector: Vector) -> None:
    """Each example is read right from a header."""
    if vector.vr is not VR.PN:
        return
    header = scan_header(_encoded(vector.declared, vector.field), EXPLICIT_VR_LITTLE_ENDIAN)
    assert header.unwrap().text(PATIENT_NAME) == vector.text


def test_instance_header_obeys() -> None:
    """An instance hands the policy on."""
    (path,) = pydicom.data.get_charset_files("chrFren.dcm")
    instance = read_bytes(Path(path).read_bytes()).unwrap()
    assert instance.header().unwrap().text(PATIENT_NAME) == "Buc^Jérôme"
    thai = CharacterSetPolicy(override="ISO_IR 166")
    assert instance.header(policy=thai).unwrap().text(PATIENT_NAME) == "Buc^J้r๔me"


# -- validation ------------------------------------------------------------------------


def _raw(tag: int, vr: VR, value: bytes) -> RawDataElement:
    return RawDataElement(BaseTag(tag), str(vr), len(value), value, 0, False, True)


def test_validation_obeys() -> None:
    """What a set assumed for the source has is no finding; without it, it is."""
    dataset = Dataset({BaseTag(PATIENT_NAME): _raw(PATIENT_NAME, VR.PN, b"\xc4\xe9\xef\xed")})
    (finding,) = validate_dataset(dataset, ValidationMode.LENIENT).unwrap()
    assert finding.kind is FindingKind.REPERTOIRE
    assert validate_dataset(dataset, ValidationMode.LENIENT, policy=GREEK).unwrap() == ()


@pytest.mark.parametrize("term", ["ISO_IR 192", "\\ISO 2022 IR 87", "ISO_IR 127", "ISO_IR 6"])
def test_validation_of_undecodable_bytes(term: str) -> None:
    """Bytes that the character set does not have are a finding, read leniently or not."""
    dataset = Dataset({BaseTag(PATIENT_NAME): _raw(PATIENT_NAME, VR.PN, b"J\xf9r\xf4me")})
    policy = CharacterSetPolicy(override=term)
    (finding,) = validate_dataset(dataset, ValidationMode.LENIENT, policy=policy).unwrap()
    assert finding.kind is FindingKind.REPERTOIRE


# -- pydicom's data sets ---------------------------------------------------------------


def _dataset(
    vector: Vector,
    tag: int,
    vr: VR | None,
    policy: CharacterSetPolicy = DEFAULT_POLICY,
) -> LazyDataset:
    field = vector.field + b" " * (len(vector.field) % 2)
    raw = RawDataElement(
        BaseTag(tag), None if vr is None else str(vr), len(field), field, 0, vr is None, True
    )
    character_set = _raw(0x00080005, VR.CS, vector.declared)
    found: Found = {character_set.tag: character_set, raw.tag: raw}
    layout = IMPLICIT_LITTLE if vr is None else EXPLICIT_LITTLE
    return build_dataset(found, layout, Inherited(policy=policy))


TAGS = {VR.PN: PATIENT_NAME, VR.LO: STUDY_DESCRIPTION, VR.LT: 0x00104000, VR.UT: 0x0040A160}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("vector", [*ANNEXES, *SHIPPED, *OWN], ids=lambda one: one.name)
def test_data_sets_of_pydicom(vector: Vector, implicit: bool) -> None:
    """A data set says the same as our decoder, and the raw element stays till then."""
    tag = TAGS[vector.vr]
    dataset = _dataset(vector, tag, None if implicit else vector.vr)
    assert isinstance(dataset.get_item(tag), RawDataElement)
    expected = vector.text.rstrip(" =" if vector.vr is VR.PN else " ")
    value = dataset[tag].value
    if vector.vr is VR.LO and "\\" in expected:
        assert list(value) == expected.split("\\")
    else:
        assert str(value) == expected
    assert vector.vr == dataset[tag].VR


def test_several_names() -> None:
    """Several person names become several, each with its groups."""
    vector = ANNEXES[0]
    twice = Vector("", vector.declared, vector.field + b"\\" + vector.field, "")
    names = _dataset(twice, 0x00101001, VR.PN)[0x00101001].value
    assert [type(one) for one in names] == [PersonName, PersonName]
    assert [one.ideographic for one in names] == ["山田^太郎"] * 2


def test_copies_of_data_sets() -> None:
    """Copies and pickles of such a data set read text the same way."""
    vector = ANNEXES[1]
    for dataset in (
        copy.deepcopy(_dataset(vector, PATIENT_NAME, VR.PN)),
        pickle.loads(pickle.dumps(_dataset(vector, PATIENT_NAME, VR.PN))),  # noqa: S301  # ours
    ):
        assert isinstance(dataset, LazyDataset)
        assert dataset.PatientName == vector.text


def test_bad_keys_of_such_data_sets() -> None:
    """What is no tag is refused as pydicom does, and what is absent is absent."""
    dataset = _dataset(ANNEXES[0], PATIENT_NAME, VR.PN)
    with pytest.raises(KeyError):
        dataset["no such keyword"]
    with pytest.raises(KeyError):
        dataset[0x00100020]
    assert len(dataset[0x00100000:0x00200000]) == 1


def test_data_sets_obey() -> None:
    """A data set built with a policy reads text by it, and strictly if asked to."""
    lying = Vector("", b"ISO_IR 100", "Łódź".encode(), "")
    assert _dataset(lying, PATIENT_NAME, VR.PN, UTF_8).PatientName == "Łódź"
    wrong = Vector("", b"ISO_IR 192", b"J\xe9r\xf4me", "")
    assert _dataset(wrong, PATIENT_NAME, VR.PN).PatientName == "J\ufffdr\ufffdme"
    strict = DicomDataset(_dataset(wrong, PATIENT_NAME, VR.PN, STRICT))
    assert strict.get_string("PatientName").failure().code is ErrorCode.DECODE_FAILED


@pytest.mark.parametrize("vector", ANNEXES, ids=lambda one: one.name)
def test_written_in_another_character_set(vector: Vector) -> None:
    """Text that was read, looked at or not, is written in the set that is declared since."""
    if vector.vr is not VR.PN:
        return
    for look in (False, True):
        dataset = _dataset(vector, PATIENT_NAME, VR.PN)
        if look:
            assert str(dataset.PatientName) == vector.text.rstrip("=")
        dataset.SpecificCharacterSet = "ISO_IR 192"
        encoded = encode_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
        header = scan_header(encoded, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
        assert header.text(PATIENT_NAME).rstrip("=") == vector.text.rstrip("=")
        assert vector.text.rstrip("=").encode() in encoded


@pytest.mark.parametrize("vector", [*ANNEXES, *SHIPPED], ids=lambda one: one.name)
def test_written_as_declared(vector: Vector) -> None:
    """A new value is written with the escape sequences that its declaration needs."""
    if vector.vr is not VR.PN or not vector.canonical:
        return
    dataset = Dataset()
    dataset.SpecificCharacterSet = vector.declared.decode().split("\\")
    dataset.PatientName = vector.text
    encoded = encode_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
    assert vector.field.rstrip(b"=") in encoded


CHARSET_FILES = sorted(pydicom.data.get_charset_files("*.dcm"))


def _text_elements(dataset: Dataset, inherited: bytes = b"") -> Iterator[tuple[bytes, str, str]]:
    """Walk over raw text elements: declared set, our reading, pydicom's."""
    found = dataset.get_item(0x00080005) if 0x00080005 in dataset else None
    declared = inherited
    if found is not None:
        terms = found.value
        one = terms.decode() if isinstance(terms, bytes) else terms
        declared = (one if isinstance(one, str) else "\\".join(one)).encode()
    for tag in sorted(dataset.keys()):
        raw = dataset.get_item(tag)
        element = dataset[tag]
        if element.VR == "SQ":
            for item in element.value:
                yield from _text_elements(item, declared)
        elif isinstance(raw, RawDataElement) and element.VR in ("PN", "LO", "SH", "ST", "LT"):
            ours = decode_text(raw.value or b"", character_sets(declared), VR(element.VR))
            theirs = "\\".join(map(str, element.value)) if element.VM > 1 else str(element.value)
            yield declared, ours.rstrip(" \0="), theirs


@pytest.mark.parametrize("path", CHARSET_FILES, ids=lambda path: Path(path).stem)
def test_files_of_pydicom(path: str) -> None:
    """In pydicom's own files we read every text element, those of items too, as it does."""
    compared = list(_text_elements(pydicom.dcmread(path, force=True)))
    assert compared
    for _, ours, theirs in compared:
        assert ours == theirs
