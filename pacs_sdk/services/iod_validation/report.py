"""What a validation found."""

from __future__ import annotations

import enum
from collections import Counter
from typing import Any, Final

import attrs

from pacs_sdk.core.path import DatasetPath
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.services.iod_validation.attribute_type import AttributeType

__all__ = ["IodFinding", "IodRule", "Outcome", "Severity", "ValidationReport"]


class Severity(enum.StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    """The standard says "shall", and the object does otherwise."""
    WARNING = "warning"
    """It is allowed, or cannot be told for sure, and often means trouble."""
    NOTE = "note"
    """Nothing is wrong with it; a reader may want to know."""

    @property
    def rank(self) -> int:
        """0 for errors, more for what is less bad."""
        return tuple(Severity).index(self)


class IodRule(enum.StrEnum):
    """Which kind of rule a finding is about."""

    ABSENT = "absent"
    """A type 1 or 2 attribute is not there, or a conditional one whose condition holds."""
    EMPTY = "empty"
    """A type 1 or 1C attribute has no value."""
    ENUMERATED_VALUE = "enumerated value"
    """A value is none of those that the module enumerates."""
    DEFINED_TERM = "defined term"
    """A value is none of the module's terms, which may be extended."""
    VALUE = "value"
    """A value breaks the rules of its VR or has the wrong multiplicity (PS3.5 6.2, PS3.6)."""
    CONSISTENCY = "consistency"
    """Attributes contradict each other, or what they describe."""
    NOT_IN_IOD = "not in IOD"
    """The IOD has no such attribute there: a Standard Extended SOP Class (PS3.2)."""
    RETIRED = "retired"
    """The standard has retired the attribute."""
    PRIVATE = "private"
    """Private attributes."""
    NO_TABLE = "no table"
    """There is no table for the SOP class, so its attributes could not be checked."""


class Outcome(enum.StrEnum):
    """What a report comes to."""

    CONFORMS = "conforms"
    """No rule that was checked is broken."""
    ERRORS = "errors"
    """At least one is."""
    NOT_CHECKED = "not checked"
    """There is no table for the SOP class. The values are right, and more is not known."""


_LONGEST_WORDS: Final = 500
"""A code or an identifier that is repeated has 64 characters; a damaged one may have millions."""


def _legible(words: str) -> str:
    """Leave out of a sentence what cannot be printed, and what nobody reads to its end."""
    if len(words) > _LONGEST_WORDS:
        words = f"{words[:_LONGEST_WORDS]}…"
    return words if words.isprintable() else "".join(c if c.isprintable() else "?" for c in words)


@attrs.frozen
class IodFinding:
    """One thing that was found in an object."""

    severity: Severity
    """How bad it is."""
    rule: IodRule
    """Which kind of rule it is about."""
    path: DatasetPath
    """Where, from the top of the data set."""
    words: str = attrs.field(converter=_legible)
    """What is wrong, in a sentence that doesn't repeat values of free text."""
    module: str = ""
    """The module whose rule it is, such as ``General Image``; empty for rules of no module."""
    type: AttributeType | None = None
    """The attribute's type there."""
    reference: str = ""
    """The section of the standard, where the finding is not from the tables of PS3.3 alone."""

    @property
    def tag(self) -> DicomTag | None:
        """The element; ``None`` where the path names it by its private creator."""
        element = self.path.last.element
        return element if isinstance(element, DicomTag) else None

    def as_dict(self) -> dict[str, str]:
        """Return it in plain values, for JSON and tables."""
        return {
            "severity": str(self.severity),
            "rule": str(self.rule),
            "path": str(self.path),
            "tag": str(self.tag) if self.tag is not None else "",
            "module": self.module,
            "type": "" if self.type is None else str(self.type),
            "reference": self.reference,
            "words": self.words,
        }

    def __str__(self) -> str:
        return f"{self.severity}: {self.path}: {self.words}"


@attrs.frozen
class ValidationReport:
    """What was found in one object."""

    sop_class_uid: str
    """The SOP class it was held against; empty if it has none."""
    sop_instance_uid: str
    """Which object; empty if it doesn't say."""
    iod: str | None
    """The IOD, such as ``CT Image``; ``None`` where there is no table for the SOP class."""
    tables: str
    """Where the tables come from."""
    findings: tuple[IodFinding, ...]
    """What was found, errors first, then in the order of the data set."""

    @property
    def errors(self) -> tuple[IodFinding, ...]:
        """The findings that are errors."""
        return tuple(one for one in self.findings if one.severity is Severity.ERROR)

    @property
    def outcome(self) -> Outcome:
        """What it comes to; an object without a table never conforms."""
        if self.errors:
            return Outcome.ERRORS
        return Outcome.NOT_CHECKED if self.iod is None else Outcome.CONFORMS

    def at_least(self, severity: Severity) -> tuple[IodFinding, ...]:
        """Return the findings that are as bad as that, or worse."""
        return tuple(one for one in self.findings if one.severity.rank <= severity.rank)

    def as_dict(self) -> dict[str, Any]:
        """Return it in plain values, for JSON."""
        return {
            "sop_class_uid": self.sop_class_uid,
            "sop_instance_uid": self.sop_instance_uid,
            "iod": self.iod,
            "outcome": str(self.outcome),
            "tables": self.tables,
            "findings": [one.as_dict() for one in self.findings],
        }

    def __str__(self) -> str:
        counts = Counter(one.severity for one in self.findings)
        told = ", ".join(
            f"{counts[one]} {one}{'s' if counts[one] > 1 else ''}"
            for one in Severity
            if counts[one]
        )
        return f"{self.iod or 'no table'}: {self.outcome}" + (f" ({told})" if told else "")
