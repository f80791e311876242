"""Whether a data set keeps to the rules for its values (PS3.5 6.2, 6.4; PS3.6)."""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterator
from typing import Final

import attrs
import pydicom
from pydicom.datadict import dictionary_VM
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.sequence import Sequence as PydicomSequence

from pacs_sdk.core.automatic_vr import UNREADABLE, resolve_vr
from pacs_sdk.core.dataset import DatasetLike, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Logger, NullLogger
from pacs_sdk.core.results import Failure, Success, edge
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.value_rules import FindingKind, ValueFault, validate_value, values_in
from pacs_sdk.core.vr import VR, Repertoire, VrKind
from pacs_sdk.encoding.charsets import (
    DEFAULT_CHARACTER_SETS,
    DEFAULT_POLICY,
    CharacterSetPolicy,
    CharacterSets,
    Undecodable,
    decode_text,
    effective_character_sets,
)
from pacs_sdk.encoding.elements import MAX_NESTING
from pacs_sdk.encoding.header import SPECIFIC_CHARACTER_SET
from pacs_sdk.encoding.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_sdk.encoding.values import decode_values, encode_values

__all__ = ["Finding", "ValidationMode", "validate_dataset"]

_LISTED_FINDINGS: Final = 20
"""How many findings a failure spells out; it counts them all."""


class ValidationMode(enum.StrEnum):
    """What becomes of findings."""

    STRICT = "strict"
    """They are a failure: for what is written."""
    WARN = "warn"
    """They are logged and returned."""
    LENIENT = "lenient"
    """They are returned: for what others have written."""


@attrs.frozen
class Finding:
    """One value of a data set that breaks a rule."""

    tag: DicomTag
    """The element."""
    path: str
    """The way to it from the top: ``ReferencedSeriesSequence[0].SeriesInstanceUID``."""
    vr: VR
    """The VR whose rules were applied."""
    kind: FindingKind
    """Which rule."""
    reason: str
    """What is wrong, in words that don't repeat the value."""

    def __str__(self) -> str:
        return f"{self.path} {self.tag} {self.vr}: {self.reason}"


@edge()
def validate_dataset(
    dataset: DatasetLike,
    mode: ValidationMode = ValidationMode.STRICT,
    logger: Logger | None = None,
    policy: CharacterSetPolicy = DEFAULT_POLICY,
) -> tuple[Finding, ...]:
    """Check all values of a data set, those of its sequences included.

    Checked are lengths, characters, formats and the number of values for the VR (PS3.5
    Table 6.2-1), the number of values for the attribute (PS3.6), and that value fields
    as read have an even length (PS3.5 7.1.1). Values that were read and not looked at
    since are checked as they are encoded, padding included.

    Args:
        dataset: What to check; it stays as it is.
        mode: What becomes of findings.
        logger: Where :attr:`ValidationMode.WARN` writes them.
        policy: How text that was read and not looked at since is decoded. Bytes that are
            no characters of the character set are a finding, whatever it says of them.

    Returns:
        ``Success`` with the findings in the order of the data set, or ``Failure`` with
        ``INVALID_VALUE`` where there are any and the mode is strict, or with
        ``LIMIT_EXCEEDED`` for sequences nested too deeply.
    """
    top = as_dataset(dataset).pydicom
    findings = tuple(_findings(top, _Place((top,), policy=policy)))
    if mode is ValidationMode.WARN:
        log = logger or NullLogger()
        for one in findings:
            log.warning(
                "invalid value",
                tag=str(one.tag),
                path=one.path,
                vr=str(one.vr),
                kind=str(one.kind),
                reason=one.reason,
            )
    if mode is ValidationMode.STRICT and findings:
        raise PacsException(
            ErrorCode.INVALID_VALUE,
            f"{len(findings)} value(s) break the rules, the first is {findings[0]}",
            tag=str(findings[0].tag),
            path=findings[0].path,
            findings=tuple(str(one) for one in findings[:_LISTED_FINDINGS]),
            finding_count=len(findings),
        )
    return findings


@attrs.frozen
class _Place:
    """Where in a data set an element lies."""

    around: tuple[pydicom.Dataset, ...]
    """The data set or item, and those it lies in, the nearest first."""
    prefix: str = ""
    """The path of the item, with its dot."""
    sets: CharacterSets = DEFAULT_CHARACTER_SETS
    """The Specific Character Set that holds, or that an item inherits."""
    policy: CharacterSetPolicy = DEFAULT_POLICY
    """What is known better."""


def _findings(dataset: pydicom.Dataset, place: _Place) -> Iterator[Finding]:
    if len(place.around) > MAX_NESTING:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"sequences lie more than {MAX_NESTING} deep in one another at {place.prefix}",
        )
    place = attrs.evolve(place, sets=_character_sets_of(dataset, place))
    for number in sorted(dataset.keys()):
        tag = DicomTag(int(number))
        element = dataset.get_item(number)
        vr = _vr_of(tag, element, place)
        if vr is None:
            continue
        path = place.prefix + (tag.keyword or f"{int(tag):08X}")
        for fault in _faults(dataset, tag, vr, element, place):
            yield Finding(tag, path, vr, fault.kind, fault.reason)
        if vr is VR.SQ:
            for index, item in enumerate(_items(dataset, tag)):
                inner = attrs.evolve(
                    place, around=(item, *place.around), prefix=f"{path}[{index}]."
                )
                yield from _findings(item, inner)


def _character_sets_of(dataset: pydicom.Dataset, place: _Place) -> CharacterSets:
    """Return what a data set declares itself, or what an item inherits."""
    value = b""
    if SPECIFIC_CHARACTER_SET in dataset:
        found = dataset.get_item(SPECIFIC_CHARACTER_SET).value
        if isinstance(found, bytes):
            value = found
        else:
            terms = values_in(VR.CS, found)
            value = "\\".join(str(term) for term in terms).encode("ascii", errors="replace")
    if len(place.around) > 1 and not value.strip(b" \0"):
        return place.sets
    lenient = attrs.evolve(place.policy, on_undecodable=Undecodable.REPLACE)
    return effective_character_sets(value, lenient)


def _vr_of(tag: DicomTag, element: DataElement | RawDataElement, place: _Place) -> VR | None:
    """Return the VR an element has, or would have; ``None`` where there is no telling."""
    named = str(element.VR or "")
    if named in VR.__members__:
        return VR(named)
    match resolve_vr(tag, place.around[0], EXPLICIT_VR_LITTLE_ENDIAN, place.around[1:]):
        case Success(vr):
            return VR(vr)
    return None


def _items(dataset: pydicom.Dataset, tag: DicomTag) -> tuple[pydicom.Dataset, ...]:
    try:
        value = dataset[int(tag)].value
    except UNREADABLE:
        return ()
    return tuple(value) if isinstance(value, PydicomSequence) else ()


# -- one element -----------------------------------------------------------------------


def _faults(
    dataset: pydicom.Dataset,
    tag: DicomTag,
    vr: VR,
    element: DataElement | RawDataElement,
    place: _Place,
) -> list[ValueFault]:
    if vr is VR.SQ:
        return _faults_of_sequence(dataset, tag)
    if not isinstance(element, RawDataElement):
        return [
            *validate_value(vr, element.value),
            *_character_set_faults(vr, element.value, place.sets),
            *_multiplicity(tag, vr, element.value),
        ]
    data = element.value or b""
    faults: list[ValueFault] = []
    if len(data) % 2:
        faults.append(
            ValueFault(FindingKind.ODD_LENGTH, f"value field of {len(data)} bytes, an odd number")
        )
    if vr.kind is VrKind.TEXT:
        value: object = _raw_text(vr, data, place.sets)
        fault = _undecodable(vr, data, place.sets)
        if fault is not None:
            return [*faults, fault, *_multiplicity(tag, vr, value)]
    else:
        match decode_values(vr, data, element.is_little_endian):
            case Success(decoded):
                value = decoded
            case Failure(error):
                return [*faults, ValueFault(FindingKind.LENGTH, error.message)]
    return [*faults, *validate_value(vr, value), *_multiplicity(tag, vr, value)]


def _faults_of_sequence(dataset: pydicom.Dataset, tag: DicomTag) -> list[ValueFault]:
    try:
        dataset[int(tag)].value  # noqa: B018  # decodes it
    except UNREADABLE:
        return [ValueFault(FindingKind.FORMAT, "the items of the sequence cannot be read")]
    return []


def _raw_text(vr: VR, data: bytes, sets: CharacterSets) -> str:
    """Decode a text field; of its padding, the byte that makes it even is removed."""
    bare = data.removesuffix(vr.padding) if len(data) % 2 == 0 else data
    if vr.rule.repertoire is Repertoire.DEFAULT:
        return bare.decode("latin-1")
    return decode_text(bare, sets, vr)


_UNDECLARED: Final = ValueFault(
    FindingKind.REPERTOIRE, "characters beyond ISO-IR 6, and no Specific Character Set has them"
)


def _undecodable(vr: VR, data: bytes, sets: CharacterSets) -> ValueFault | None:
    """Tell whether bytes as read are no characters in the character set that holds."""
    if vr.rule.repertoire is not Repertoire.EXTENDED:
        return None
    if _is_undeclared(vr, data.isascii(), sets):
        return _UNDECLARED
    try:
        decode_text(data, sets, vr, strict=True)
    except PacsException:
        terms = ", ".join(one.term for one in sets)
        return ValueFault(FindingKind.REPERTOIRE, f"bytes that are no characters in {terms}")
    return None


def _is_undeclared(vr: VR, is_ascii: bool, sets: CharacterSets) -> bool:
    """Whether text needs a Specific Character Set and has none (PS3.5 6.1.2.2)."""
    extended = vr.rule.repertoire is Repertoire.EXTENDED
    return extended and not is_ascii and all(one.is_default for one in sets)


def _character_set_faults(vr: VR, value: object, sets: CharacterSets) -> tuple[ValueFault, ...]:
    """Tell whether text that is yet to be written can be, in the declared character set."""
    if vr.rule.repertoire is not Repertoire.EXTENDED:
        return ()
    for text in (str(one) for one in values_in(vr, value)):
        if _is_undeclared(vr, text.isascii(), sets):
            return (_UNDECLARED,)
        match encode_values(vr, (text,), True, sets):
            case Failure(error) if error.code is ErrorCode.ENCODE_FAILED:
                return (ValueFault(FindingKind.REPERTOIRE, error.message),)
    return ()


def _multiplicity(tag: DicomTag, vr: VR, value: object) -> list[ValueFault]:
    """Compare the number of values with the dictionary's; none is type 2, and allowed."""
    if tag.is_private or vr.kind in (VrKind.BYTES, VrKind.SEQUENCE):
        return []
    found = len(values_in(vr, value))
    allowed = _multiplicity_of(int(tag))
    if found == 0 or allowed is None or _fits(found, allowed):
        return []
    return [
        ValueFault(
            FindingKind.MULTIPLICITY, f"{found} value(s), where the dictionary has {allowed}"
        )
    ]


@functools.lru_cache(maxsize=4096)
def _multiplicity_of(tag: int) -> str | None:
    try:
        return str(dictionary_VM(tag))
    except KeyError:
        return None


@functools.lru_cache(maxsize=4096)
def _fits(found: int, allowed: str) -> bool:
    """Whether a number of values is one that a multiplicity allows (PS3.5 6.4).

    ``3``, ``1-8``, ``1-n``, or ``2-2n`` for pairs.
    """
    least, _, most = allowed.partition("-")
    if not most:
        return found == int(least)
    if most.endswith("n"):
        return found >= int(least) and found % int(most[:-1] or 1) == 0
    return int(least) <= found <= int(most)
