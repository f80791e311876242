"""Holding an object against the IOD of its SOP class."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import attrs
from pydicom.dataset import Dataset

from pacs_sdk.core.dataset import DatasetLike, as_dataset
from pacs_sdk.core.path import DatasetPath, PathStep
from pacs_sdk.core.results import edge, raised
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import (
    Instance,
    ValidationMode,
    read_file,
    transfer_syntax,
    validate_dataset,
)
from pacs_sdk.encoding.files.part10 import read_media_uids
from pacs_sdk.services.iod_validation.bounded import MAX_FINDINGS, bounded
from pacs_sdk.services.iod_validation.deep import deep_findings
from pacs_sdk.services.iod_validation.iod_rules import IodRuleBook, IodRules
from pacs_sdk.services.iod_validation.item_values import text
from pacs_sdk.services.iod_validation.other_attributes import notes_of
from pacs_sdk.services.iod_validation.report import (
    IodFinding,
    IodRule,
    Severity,
    ValidationReport,
)
from pacs_sdk.services.iod_validation.scene import Scene
from pacs_sdk.services.iod_validation.standard_tables import installed_tables
from pacs_sdk.services.iod_validation.subject import TOP, Subject
from pacs_sdk.services.iod_validation.table_checks import table_findings
from pacs_sdk.services.iod_validation.value_representations import representation_findings
from pacs_sdk.services.sop_classes import sop_class_name

__all__ = ["IodValidator", "ObjectSource", "validate_instance"]

ObjectSource: TypeAlias = Instance | DatasetLike | Path | str
"""What can be validated: an instance, a data set, or the path of a file."""


class IodValidator:
    """Validates objects against the IODs of PS3.3.

    Any number of threads may use one together.

    Args:
        rules: The rules; those of the tables that are installed by default.

    Raises:
        PacsException: ``MISSING_DEPENDENCY`` without the tables.
    """

    def __init__(self, rules: IodRuleBook | None = None) -> None:
        self._rules = rules or installed_rules()

    @property
    def sop_classes(self) -> frozenset[str]:
        """The UIDs of the SOP classes that there are tables for."""
        return self._rules.sop_classes()

    @edge()
    def validate(self, source: ObjectSource) -> ValidationReport:
        """Validate one object; see :func:`validate_instance`."""
        subject = _subject_of(source)
        iod = self._rules.of_sop_class(subject.sop_class_uid)
        findings, are_more = bounded(_findings(subject, iod))
        if are_more:
            findings.append(
                IodFinding(
                    Severity.WARNING,
                    IodRule.CONSISTENCY,
                    DatasetPath.of("SOPInstanceUID"),
                    f"there are more than {MAX_FINDINGS} findings; the rest is left out",
                )
            )
        return ValidationReport(
            subject.sop_class_uid,
            subject.sop_instance_uid,
            None if iod is None else iod.title,
            self._rules.source,
            tuple(sorted(findings, key=_place_in_report)),
        )


@functools.cache
def installed_rules() -> IodRuleBook:
    """Return the rules of the tables that are installed; they are read once.

    Raises:
        PacsException: ``MISSING_DEPENDENCY``.
    """
    return IodRuleBook(installed_tables())


@edge()
def validate_instance(source: ObjectSource) -> ValidationReport:
    """Validate an object against the IOD of its SOP class (PS3.3) and the rules for values.

    Checked are, from the tables of PS3.3: attributes of types 1, 1C, 2 and 2C in all modules
    that the object uses, at the top and in items that are there; then Enumerated Values and
    Defined Terms, the values themselves (PS3.5 6.2), and what tables cannot say, such as
    whether Pixel Data has the length that Rows and Columns ask for. A conditional attribute
    that is absent is an error only where the data set tells that its condition holds.

    The first call reads the tables, which takes about a second; then a CT header takes
    milliseconds. Pixel Data is neither decoded nor copied.

    Args:
        source: An instance, a data set, or the path of a DICOM file.

    Returns:
        ``Success`` with the report, whatever it finds. ``Failure`` with
        ``MISSING_DEPENDENCY`` (the extra ``validation`` is not installed),
        ``LIMIT_EXCEEDED`` (sequences nested too deep), or what reading the file or decoding
        the data set gives, such as ``FILE_NOT_FOUND``, ``NOT_DICOM`` and ``DECODE_FAILED``.
    """
    return raised(IodValidator().validate(source))


def _subject_of(source: ObjectSource) -> Subject:
    if isinstance(source, Path | str):
        instance = raised(read_file(source))
        sop_class_uid, sop_instance_uid = raised(read_media_uids(source))
        source = attrs.evolve(
            instance,
            sop_class_uid=sop_class_uid or instance.sop_class_uid,
            sop_instance_uid=sop_instance_uid or instance.sop_instance_uid,
        )
    if isinstance(source, Instance):
        dataset = raised(source.dataset()).pydicom
        return Subject(dataset, source.sop_class_uid, source.sop_instance_uid, source.syntax)
    dataset = as_dataset(source).pydicom
    meta = getattr(dataset, "file_meta", None)
    uid = text(meta, "TransferSyntaxUID") if isinstance(meta, Dataset) else ""
    syntax = transfer_syntax(uid).value_or(None)
    return Subject(dataset, text(dataset, "SOPClassUID"), text(dataset, "SOPInstanceUID"), syntax)


def _findings(subject: Subject, iod: IodRules | None) -> Iterator[IodFinding]:
    dataset = subject.dataset
    mandatory = frozenset[str]() if iod is None else iod.mandatory_modules
    scene = Scene(dataset, (), subject.sop_class_uid, mandatory)
    yield from _class_findings(subject, iod)
    if iod is not None:
        yield from table_findings(iod, scene)
    yield from deep_findings(subject)
    yield from representation_findings(subject)
    yield from _value_findings(dataset)
    if iod is not None:
        yield from notes_of(dataset, iod)


def _class_findings(subject: Subject, iod: IodRules | None) -> Iterator[IodFinding]:
    """Tell whether the identifiers are clear, and the SOP class known."""
    for keyword, announced in (
        ("SOPClassUID", subject.sop_class_uid),
        ("SOPInstanceUID", subject.sop_instance_uid),
    ):
        inside = text(subject.dataset, keyword)
        if inside and inside != announced:
            yield TOP.broken(
                keyword, f"the data set says {inside}, its file or sender {announced}", "C.12.1"
            )
    if iod is None:
        name = sop_class_name(subject.sop_class_uid) or "an object without SOP Class UID"
        yield IodFinding(
            Severity.WARNING,
            IodRule.NO_TABLE,
            DatasetPath.of("SOPClassUID"),
            f"there is no table for {name}: its attributes could not be checked",
        )


def _value_findings(dataset: Dataset) -> Iterator[IodFinding]:
    mode = ValidationMode.LENIENT
    for one in raised(validate_dataset(dataset, mode, most=MAX_FINDINGS + 1)):
        yield IodFinding(
            Severity.ERROR,
            IodRule.VALUE,
            one.path,
            f"{one.reason} ({one.kind} of {one.vr})",
            reference="PS3.6" if one.kind == "multiplicity" else "PS3.5 6.2",
        )


def _place_in_report(finding: IodFinding) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Order findings: the worst first, then as their elements lie in the data set."""
    return finding.severity.rank, tuple(_order_of(step) for step in finding.path.steps)


def _order_of(step: PathStep) -> tuple[int, int]:
    element = step.element
    tag = int(element) if isinstance(element, DicomTag) else (element.group << 16) | 0xFFFF
    return tag, step.item if isinstance(step.item, int) else -1
