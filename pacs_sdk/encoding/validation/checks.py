"""Whether a data set keeps to the rules for its values (PS3.5 6.2, 6.4; PS3.6)."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterator
from typing import Final

import attrs
import pydicom
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.sequence import Sequence as PydicomSequence

from pacs_sdk.core.automatic_vr import UNREADABLE, vr_in
from pacs_sdk.core.dataset import DatasetLike, as_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.path import DatasetPath, PathStep
from pacs_sdk.core.path_access import name_in
from pacs_sdk.core.ports import Logger, NullLogger
from pacs_sdk.core.results import edge
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.core.tags import SPECIFIC_CHARACTER_SET, DicomTag
from pacs_sdk.core.value_rules import FindingKind, ValueContext, values_in
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding.charsets import (
    DEFAULT_CHARACTER_SETS,
    DEFAULT_POLICY,
    CharacterSetPolicy,
    CharacterSets,
    Undecodable,
    effective_character_sets,
)
from pacs_sdk.encoding.datasets.elements import MAX_NESTING
from pacs_sdk.encoding.datasets.lazy_dataset import LazyDataset
from pacs_sdk.encoding.transfer_syntax import EXPLICIT_VR_LITTLE_ENDIAN
from pacs_sdk.encoding.validation.element_faults import element_faults, is_plainly_right

__all__ = ["Finding", "ValidationMode", "check_dataset", "validate_dataset"]

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
    path: DatasetPath
    """The way to it from the top, which :meth:`DicomDataset.get_path` takes."""
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
    *,
    context: ValueContext = ValueContext.DATA_SET,
    changed_only: bool = False,
    policy: CharacterSetPolicy = DEFAULT_POLICY,
    most: int | None = None,
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
        context: :attr:`ValueContext.QUERY` for the identifier of a C-FIND, whose keys may
            be ranges, have wild cards, and more (PS3.4 C.2.2.2).
        changed_only: Leave out what is as it was read, which a writer repeats byte for
            byte: others have to answer for that.
        policy: How text that was read and not looked at since is decoded. Bytes that are
            no characters of the character set are a finding, whatever it says of them.
        most: How many findings to look for; all by default.

    Returns:
        ``Success`` with the findings in the order of the data set, or ``Failure`` with
        ``INVALID_VALUE`` where there are any and the mode is strict, or with
        ``LIMIT_EXCEEDED`` for sequences nested too deeply.
    """
    return check_dataset(
        dataset, mode, logger, context=context, changed_only=changed_only, policy=policy, most=most
    )


def check_dataset(
    dataset: DatasetLike,
    mode: ValidationMode,
    logger: Logger | None = None,
    *,
    context: ValueContext = ValueContext.DATA_SET,
    changed_only: bool = False,
    policy: CharacterSetPolicy = DEFAULT_POLICY,
    most: int | None = None,
) -> tuple[Finding, ...]:
    """Check a data set as :func:`validate_dataset` does, for callers inside a layer.

    Raises:
        PacsException: ``INVALID_VALUE`` or ``LIMIT_EXCEEDED``.
    """
    top = as_dataset(dataset).pydicom
    # Undecodable bytes are a finding here, not a failure.
    lenient = attrs.evolve(policy, on_undecodable=Undecodable.REPLACE)
    scope = _Scope(context, changed_only, lenient)
    place = _Place(top, None, 0, 0, DEFAULT_CHARACTER_SETS, 1)
    findings = tuple(itertools.islice(_findings(place, scope), most))
    if mode is ValidationMode.WARN:
        log = logger or NullLogger()
        for one in findings:
            log.warning(
                "invalid value",
                tag=str(one.tag),
                path=str(one.path),
                vr=str(one.vr),
                kind=str(one.kind),
                reason=one.reason,
            )
    if mode is ValidationMode.STRICT and findings:
        raise PacsException(
            ErrorCode.INVALID_VALUE,
            f"{len(findings)} value(s) break the rules, the first is {findings[0]}",
            tag=str(findings[0].tag),
            path=str(findings[0].path),
            findings=tuple(str(one) for one in findings[:_LISTED_FINDINGS]),
            finding_count=len(findings),
        )
    return findings


@attrs.frozen
class _Scope:
    """What is checked, and by which rules."""

    context: ValueContext
    """What the values are for."""
    changed_only: bool
    """Whether what is as it was read is left out."""
    policy: CharacterSetPolicy
    """What is known better than the data set says."""


@attrs.frozen
class _Place:
    """The data set or item that is being checked."""

    dataset: pydicom.Dataset
    """It."""
    outer: _Place | None
    """Where the sequence lies that it is an item of; ``None`` at the top."""
    tag: int
    """The tag of that sequence."""
    index: int
    """Which item it is."""
    sets: CharacterSets
    """The Specific Character Set that it is under."""
    depth: int
    """How many data sets it lies in, itself included."""

    @property
    def around(self) -> tuple[pydicom.Dataset, ...]:
        """It, then the data sets that it lies in, the nearest first."""
        outer = () if self.outer is None else self.outer.around
        return (self.dataset, *outer)

    @property
    def steps(self) -> tuple[PathStep, ...]:
        """The way to it; worked out where there is something to report."""
        if self.outer is None:
            return ()
        name = name_in(self.outer.dataset, DicomTag(self.tag))
        return (*self.outer.steps, PathStep(name, self.index))


def _findings(place: _Place, scope: _Scope) -> Iterator[Finding]:
    dataset = place.dataset
    if place.depth > MAX_NESTING:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED, f"sequences lie more than {MAX_NESTING} deep in one another"
        )
    place = attrs.evolve(place, sets=_character_sets_of(place, scope))
    a_glance_suffices = scope.context is ValueContext.DATA_SET
    for number in sorted(dataset.keys(), key=int):
        element = stored_element(dataset, number)
        tag = int(number)
        vr = _vr_of(tag, element, place)
        if vr is None:
            continue
        if vr is not VR.SQ and a_glance_suffices and is_plainly_right(tag, vr, element):
            continue
        if scope.changed_only and _is_as_read(dataset, element):
            continue
        yield from _element_findings(place, DicomTag(tag), vr, scope)
        if vr is VR.SQ:
            for index, item in enumerate(_items(dataset, tag)):
                inner = _Place(item, place, tag, index, place.sets, place.depth + 1)
                yield from _findings(inner, scope)


def _is_as_read(dataset: pydicom.Dataset, element: DataElement | RawDataElement) -> bool:
    """Whether an element has the bytes that it was read with, or would be given them again."""
    if isinstance(element, RawDataElement):
        return True
    return isinstance(dataset, LazyDataset) and dataset.as_read(element) is not None


def _element_findings(place: _Place, tag: DicomTag, vr: VR, scope: _Scope) -> Iterator[Finding]:
    dataset, policy = place.dataset, scope.policy
    known = isinstance(dataset, LazyDataset) and not (policy.assume or policy.override)
    read = dataset.sets_read if known else None
    faults = element_faults(dataset, tag, vr, place.sets, scope.context, read)
    if faults:
        path = DatasetPath((*place.steps, PathStep(name_in(place.dataset, tag))))
        for fault in faults:
            yield Finding(tag, path, vr, fault.kind, fault.reason)


def _character_sets_of(place: _Place, scope: _Scope) -> CharacterSets:
    """Return what a data set declares itself, or what an item inherits."""
    value = b""
    if SPECIFIC_CHARACTER_SET in place.dataset:
        found = stored_element(place.dataset, SPECIFIC_CHARACTER_SET).value
        if isinstance(found, bytes):
            value = found
        else:
            terms = values_in(VR.CS, found)
            value = "\\".join(str(term) for term in terms).encode("ascii", errors="replace")
    if place.outer is not None and not value.strip(b" \0"):
        return place.sets
    return effective_character_sets(value, scope.policy)


_BY_NAME: Final = {str(vr): vr for vr in VR}


def _vr_of(tag: int, element: DataElement | RawDataElement, place: _Place) -> VR | None:
    """Return the VR an element has, or would have; ``None`` for delimiters, without one."""
    named = _BY_NAME.get(element.VR or "")
    if named is not None:
        return named
    if tag >> 16 == _DELIMITER_GROUP:
        return None
    return vr_in(tag, place.around, EXPLICIT_VR_LITTLE_ENDIAN)


_DELIMITER_GROUP: Final = 0xFFFE


def _items(dataset: pydicom.Dataset, tag: int) -> tuple[pydicom.Dataset, ...]:
    try:
        value = dataset[tag].value
    except UNREADABLE:
        return ()
    return tuple(value) if isinstance(value, PydicomSequence) else ()
