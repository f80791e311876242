"""Putting attributes right when an instance comes in, and keeping what was there.

What is changed is recorded in the Original Attributes Sequence (PS3.3 C.12.1.1.9), so a
later reader sees what the sender wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Final

import attrs
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Clock, SystemClock
from pacs_sdk.core.results import raised
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.encoding import CharacterSetPolicy, Instance
from pacs_sdk.encoding.changed_attributes import change_attributes
from pacs_sdk.encoding.charsets import DEFAULT_POLICY, character_sets, effective_character_sets
from pacs_sdk.storage.rule_errors import rule_errors

__all__ = ["AttributeChange", "Coercion", "IssuerOfPatientIds"]

AttributeChange = Callable[[DicomDataset], None]
"""Changes a data set where it has to be; it has no Pixel Data."""

_UTF_8: Final = "ISO_IR 192"
_ORIGINAL_ATTRIBUTES: Final = 0x04000561
_KEPT: Final = ("SOPClassUID", "SOPInstanceUID")
"""What a request and its response name; a sender would not find another instance again."""
_LONGEST_NAME: Final = 64


def _as_tuple(changes: Iterable[AttributeChange]) -> tuple[AttributeChange, ...]:
    return tuple(changes)


@attrs.frozen
class IssuerOfPatientIds:
    """Names who issued the Patient IDs of a source that doesn't say so (PS3.3 C.2.2)."""

    issuer: str
    """The Issuer of Patient ID (0010,0021)."""

    def __call__(self, dataset: DicomDataset) -> None:
        """Set it where there is a Patient ID, and no issuer."""
        if dataset.get("PatientID") and not dataset.get("IssuerOfPatientID"):
            raised(dataset.set("IssuerOfPatientID", self.issuer))


@attrs.frozen
class Coercion:
    """Attribute coercion of incoming instances.

    Args:
        changes: What is changed, one after the other.
        text: How the text of the source is to be read. Where that differs from what is
            declared, the instance is kept with its text in UTF-8.
        modifying_system: Who changes, for the record.
        source: From whom the previous values came, for the record.
        clock: Tells when.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for a name that is too long (LO).
    """

    changes: tuple[AttributeChange, ...] = attrs.field(default=(), converter=_as_tuple)
    """What is changed."""
    text: CharacterSetPolicy = DEFAULT_POLICY
    """How the text of the source is to be read."""
    modifying_system: str = "pacs_sdk"
    """Modifying System (0400,0563)."""
    source: str = ""
    """Source of Previous Values (0400,0564)."""
    clock: Clock = attrs.field(factory=SystemClock, repr=False, eq=False)
    """Tells the Attribute Modification DateTime (0400,0562)."""

    def __attrs_post_init__(self) -> None:
        """Check what is going to be written."""
        for name in (self.modifying_system, self.source):
            if len(name) > _LONGEST_NAME or "\\" in name:
                raise PacsException(
                    ErrorCode.INVALID_CONFIGURATION,
                    f"{name[:80]!r} cannot be recorded: {_LONGEST_NAME} characters at most, "
                    "and no backslash",
                )

    def coerced(self, instance: Instance) -> Instance:
        """Return the instance as it is to be kept; the same one where nothing changes.

        Raises:
            PacsException: ``STORE_FAILED`` where a change fails or would make another
                instance of it; what decoding and encoding raise.
        """
        return raised(change_attributes(instance, self._changed, policy=self.text))

    def _changed(self, dataset: DicomDataset) -> DicomDataset | None:
        before = dataset.copy()
        if self._is_read_otherwise(dataset):
            raised(dataset.set("SpecificCharacterSet", _UTF_8))
        for change in self.changes:
            with rule_errors(ErrorCode.STORE_FAILED, "an attribute coercion failed"):
                change(dataset)
        tags = sorted({*before.pydicom.keys(), *dataset.pydicom.keys()}, key=int)
        changed = [int(tag) for tag in tags if _differs(before.pydicom, dataset.pydicom, tag)]
        if not changed:
            return None
        for keyword in _KEPT:
            if before.get(keyword) != dataset.get(keyword):
                raise PacsException(
                    ErrorCode.STORE_FAILED,
                    f"an attribute coercion changed {keyword}; that would be another instance",
                )
        self._record(before, dataset, changed)
        return dataset

    def _is_read_otherwise(self, dataset: DicomDataset) -> bool:
        if self.text == DEFAULT_POLICY:
            return False
        written = dataset.get("SpecificCharacterSet") or ""
        declared = "\\".join(written) if isinstance(written, list) else str(written)
        encoded = declared.encode("ascii", "replace")
        return effective_character_sets(encoded, self.text) != character_sets(encoded)

    def _record(self, before: DicomDataset, after: DicomDataset, changed: Sequence[int]) -> None:
        """Add an item to the Original Attributes Sequence."""
        original = Dataset()
        for tag in changed:
            if tag == _ORIGINAL_ATTRIBUTES:
                continue
            if tag in before.pydicom:
                original[tag] = before.pydicom[tag]
            else:
                original.add_new(tag, after.pydicom[tag].VR, None)  # it was not there
        now = self.clock.now()
        item = DicomDataset(
            SourceOfPreviousValues=self.source,
            AttributeModificationDateTime=_date_time(
                now.strftime("%Y%m%d%H%M%S.%f"), now.utcoffset()
            ),
            ModifyingSystem=self.modifying_system,
            ReasonForTheAttributeModification="COERCE",
            ModifiedAttributesSequence=[original],
        )
        items = [one.pydicom for one in after.get("OriginalAttributesSequence") or ()]
        raised(after.set("OriginalAttributesSequence", [*items, item.pydicom]))


def _differs(before: Dataset, after: Dataset, tag: int) -> bool:
    """Tell whether an element is another one; what nobody looked at is compared as bytes."""
    if tag not in before or tag not in after:
        return True
    one, other = stored_element(before, tag), stored_element(after, tag)
    if isinstance(one, RawDataElement) and isinstance(other, RawDataElement):
        return one.value != other.value or one.VR != other.VR
    return bool(before[tag] != after[tag])


def _date_time(local: str, offset: timedelta | None) -> str:
    """Write a DT with its offset from UTC (PS3.5 6.2)."""
    minutes = 0 if offset is None else int(offset.total_seconds()) // 60
    sign = "-" if minutes < 0 else "+"
    return f"{local}{sign}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"
