"""One data element: a frozen view for reading, and how one is made for writing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, Self, runtime_checkable

import attrs
from pydicom import config
from pydicom.datadict import dictionary_description
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.settable import settable_value
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR

__all__ = [
    "VALUE_ERRORS",
    "DicomElement",
    "HoldsDataset",
    "element_of_vr",
    "make_element",
    "make_picklable",
    "plain_dataset",
    "read_element",
]

VALUE_ERRORS: Final = {
    BytesLengthException: ErrorCode.VALUE_CONVERSION_FAILED,
    TypeError: ErrorCode.VALUE_CONVERSION_FAILED,
    ValueError: ErrorCode.VALUE_CONVERSION_FAILED,
    OverflowError: ErrorCode.VALUE_CONVERSION_FAILED,
    NotImplementedError: ErrorCode.VALUE_CONVERSION_FAILED,
    AttributeError: ErrorCode.VALUE_CONVERSION_FAILED,  # what decides an ambiguous VR is absent
}
"""What pydicom raises for a value that doesn't fit its VR, when it is read or set."""


@runtime_checkable
class HoldsDataset(Protocol):
    """A view that gives back the pydicom data set behind it."""

    @property
    def pydicom(self) -> Dataset:
        """The data set behind the view."""
        ...


@attrs.frozen
class DicomElement:
    """One element as it was when it was read; changing the data set doesn't change it."""

    tag: DicomTag
    """Which element."""
    vr: str
    """Its VR, two letters; ``"US or SS"`` and the like where the data leaves it open."""
    values: tuple[Any, ...]
    """Each value; the items of a sequence; empty where the element has no value."""
    private_creator: str = ""
    """Who owns a private element, as its block says (PS3.5 7.8.1)."""

    @classmethod
    def of(
        cls,
        element: DataElement,
        private_creator: str = "",
        item: Callable[[Dataset], Any] = lambda plain: plain,
    ) -> Self:
        """View a pydicom element.

        Args:
            element: The element.
            private_creator: Who owns it, where it is private and the owner is known.
            item: Makes the view of each item of a sequence.
        """
        value = element.value
        values: tuple[Any, ...]
        if isinstance(value, Sequence):
            values = tuple(item(one) for one in value)
        elif isinstance(value, MultiValue | list | tuple):
            values = tuple(value)
        elif value is None or value in ("", b""):
            values = ()
        else:
            values = (value,)
        return cls(DicomTag(int(element.tag)), str(element.VR), values, private_creator)

    @property
    def value(self) -> Any:
        """The value, ``None`` where there is none, all of them where there are several."""
        if self.vr == VR.SQ or len(self.values) > 1:
            return self.values
        return self.values[0] if self.values else None

    @property
    def multiplicity(self) -> int:
        """How many values it has (PS3.5 6.4); the items, for a sequence."""
        return len(self.values)

    @property
    def keyword(self) -> str:
        """The keyword of PS3.6, or an empty string."""
        return self.tag.keyword

    @property
    def name(self) -> str:
        """The name of PS3.6, such as ``Patient's Name``, or an empty string."""
        try:
            return str(dictionary_description(int(self.tag)))
        except KeyError:
            return ""


def plain_dataset(dataset: Dataset | HoldsDataset) -> Dataset:
    """Return the pydicom data set that is given or that a view holds.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(dataset, Dataset):
        return dataset
    if isinstance(dataset, HoldsDataset):
        return dataset.pydicom
    raise TypeError(f"expected a data set, got {type(dataset).__name__}")


def make_picklable(dataset: Dataset) -> None:
    """Set names of several values anew, with a constructor that pickle can name.

    pydicom leaves a local function there, which pickle refuses; nothing else changes.
    """
    for tag in dataset.keys():  # noqa: SIM118  # iterating a Dataset decodes its elements
        element = stored_element(dataset, tag)
        if not isinstance(element, DataElement):
            continue  # it is as it was read: bytes
        if element.VR == VR.PN and isinstance(element.value, MultiValue):
            element.value = list(element.value)
        elif isinstance(element.value, Sequence):
            for item in element.value:
                make_picklable(item)


def read_element(dataset: Dataset, tag: DicomTag) -> DataElement:
    """Return an element of a data set, which decodes it.

    Raises:
        PacsException: ``ELEMENT_NOT_FOUND``; ``VALUE_CONVERSION_FAILED`` where nothing
            decides an ambiguous VR. What else pydicom raises is in :data:`VALUE_ERRORS`.
    """
    if int(tag) not in dataset:
        raise PacsException(
            ErrorCode.ELEMENT_NOT_FOUND,
            f"the data set has no element {tag} {tag.keyword}".rstrip(),
            tag=str(tag),
        )
    try:
        return dataset[int(tag)]
    except AttributeError as exc:
        raise PacsException(
            ErrorCode.VALUE_CONVERSION_FAILED,
            f"{tag!r} cannot be read: {str(exc).partition(chr(10))[0]}",
            tag=str(tag),
        ) from exc


def make_element(tag: DicomTag, value: object, vr: VR | str | None = None) -> DataElement:
    """Make a pydicom element, its VR from the dictionary unless one is given.

    Args:
        tag: The element.
        value: A value, a list of values, or for a sequence one data set or a list;
            :func:`~pacs_sdk.core.settable.settable_value` says what values may be.
        vr: Needed for private tags and where the dictionary leaves a choice.

    Raises:
        PacsException: ``INVALID_VR``.
        TypeError: The value is not of the kind that the VR has.
        ValueError: The value doesn't fit the VR.
    """
    chosen = str(vr or tag.dictionary_vr)
    if chosen not in VR.__members__:
        raise PacsException(
            ErrorCode.INVALID_VR, f"{tag!r} needs one VR, not {chosen!r}", tag=str(tag)
        )
    try:
        kept = _items(value) if chosen == VR.SQ else settable_value(VR(chosen), value)
        return element_of_vr(tag, chosen, kept)
    except (TypeError, ValueError, OverflowError) as exc:
        name = f"{tag} {tag.keyword}".rstrip()
        hint = "" if chosen != VR.UN else "; nothing tells its VR, so give one"
        raise ValueError(f"{name}: {exc}{hint}") from exc


def element_of_vr(tag: int, vr: str, value: Any) -> DataElement:
    """Make a pydicom element of just this VR; the value is not judged.

    Of UN pydicom makes the VR that the dictionary has for the tag, and takes the bytes for a
    value of that: text would be ``b'…'``.
    """
    if vr != VR.UN:
        return DataElement(tag, vr, value, validation_mode=config.IGNORE)
    element = DataElement(tag, VR.OB, value, validation_mode=config.IGNORE)
    element.VR = VR.UN
    return element


def _items(value: object) -> Sequence:
    items = [value] if isinstance(value, Dataset | HoldsDataset) else value
    if not isinstance(items, list | tuple | Sequence):
        raise TypeError("a sequence is a list of data sets")
    return Sequence([plain_dataset(item) for item in items])
