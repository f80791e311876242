"""What is validated: a data set, and what is known about it from elsewhere."""

from __future__ import annotations

import attrs
from pydicom.dataset import Dataset

from pacs_sdk.core.path import DatasetPath, PathStep
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding import TransferSyntax
from pacs_sdk.services.iod_validation.item_values import tag_of
from pacs_sdk.services.iod_validation.report import IodFinding, IodRule, Severity

__all__ = ["TOP", "Place", "Subject"]


@attrs.frozen
class Subject:
    """An object to validate."""

    dataset: Dataset
    """Its data set."""
    sop_class_uid: str
    """Its SOP class; empty if it has none."""
    sop_instance_uid: str
    """Which one it is; empty if it doesn't say."""
    syntax: TransferSyntax | None
    """How it is encoded; ``None`` for one that only is in memory, or where that is unknown."""


@attrs.frozen
class Place:
    """Where in a data set something is found."""

    steps: tuple[PathStep, ...] = ()
    """The items on the way."""

    def item(self, keyword: str, index: int) -> Place:
        """Return an item of a sequence here."""
        return Place((*self.steps, PathStep(DicomTag(tag_of(keyword)), index)))

    def path(self, keyword: str) -> DatasetPath:
        """Return the path of an element here."""
        return DatasetPath((*self.steps, PathStep(DicomTag(tag_of(keyword)))))

    def broken(
        self,
        keyword: str,
        words: str,
        reference: str,
        severity: Severity = Severity.ERROR,
    ) -> IodFinding:
        """Make a finding about an element here that doesn't agree with others.

        Args:
            keyword: The element.
            words: What is wrong.
            reference: The section of PS3.3.
            severity: How bad that is.
        """
        return IodFinding(
            severity,
            IodRule.CONSISTENCY,
            self.path(keyword),
            words,
            reference=f"PS3.3 {reference}",
        )

    def missing(
        self,
        keyword: str,
        words: str,
        reference: str,
        severity: Severity = Severity.ERROR,
    ) -> IodFinding:
        """Make a finding about an element that is required here and absent; see :meth:`broken`."""
        return attrs.evolve(self.broken(keyword, words, reference, severity), rule=IodRule.ABSENT)


TOP = Place()
"""The data set itself."""
