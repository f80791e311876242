"""A typed view over a pydicom data set."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Any, Self, TypeAlias

import pydicom
from pydicom.dataelem import DataElement
from pydicom.errors import BytesLengthException
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as PydicomSequence

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge
from pacs_sdk.core.tags import DicomTag, TagLike
from pacs_sdk.core.vr import VR

__all__ = ["DatasetLike", "DicomDataset", "as_dataset"]

_VALUE_ERRORS = {
    BytesLengthException: ErrorCode.VALUE_CONVERSION_FAILED,
    TypeError: ErrorCode.VALUE_CONVERSION_FAILED,
    ValueError: ErrorCode.VALUE_CONVERSION_FAILED,
    OverflowError: ErrorCode.VALUE_CONVERSION_FAILED,
    NotImplementedError: ErrorCode.VALUE_CONVERSION_FAILED,
}

_SHOWN_CHARACTERS = 64
"""How much of a value is shown in listings."""


class DicomDataset:
    """Typed access to a ``pydicom.Dataset``, which is shared and not copied.

    Elements are named by tag, number or keyword (:data:`TagLike`). The ``get_…`` and
    ``set_…`` methods return a ``Result``; ``ds["PatientName"]``, ``ds.get(…)``, ``in``
    and iteration are their Pythonic twins.

    Args:
        dataset: The data set to view; a new, empty one by default.
        **values: Elements to set at once, by keyword: ``DicomDataset(PatientID="7")``.
    """

    __slots__ = ("_dataset",)

    def __init__(self, dataset: pydicom.Dataset | None = None, **values: object) -> None:
        self._dataset = pydicom.Dataset() if dataset is None else dataset
        for keyword, value in values.items():
            self[keyword] = value

    @property
    def pydicom(self) -> pydicom.Dataset:
        """The data set behind this view; a change to one is a change to both."""
        return self._dataset

    # -- Results -----------------------------------------------------------------

    @edge(_VALUE_ERRORS)
    def get_string(self, tag: TagLike) -> str:
        """Return the value as text, several values joined by a backslash (PS3.5 6.4).

        Returns:
            ``Success`` (an empty string for an element without value), or ``Failure``
            with ``ELEMENT_NOT_FOUND``, ``INVALID_TAG`` or ``VALUE_CONVERSION_FAILED``.
        """
        return "\\".join(str(value) for value in _values_of(self._element(tag)))

    @edge(_VALUE_ERRORS)
    def get_strings(self, tag: TagLike) -> tuple[str, ...]:
        """Return each value as text; failures as :meth:`get_string`."""
        return tuple(str(value) for value in _values_of(self._element(tag)))

    @edge(_VALUE_ERRORS)
    def get_int(self, tag: TagLike) -> int:
        """Return the only value as a whole number; failures as :meth:`get_string`."""
        value = _only(self._element(tag))
        number = int(value)
        if number != float(value):
            raise ValueError(f"{DicomTag.of(tag)!r} is {value}, not a whole number")
        return number

    @edge(_VALUE_ERRORS)
    def get_float(self, tag: TagLike) -> float:
        """Return the only value as a number; failures as :meth:`get_string`."""
        return float(_only(self._element(tag)))

    @edge(_VALUE_ERRORS)
    def get_floats(self, tag: TagLike) -> tuple[float, ...]:
        """Return each value as a number; failures as :meth:`get_string`."""
        return tuple(float(value) for value in _values_of(self._element(tag)))

    @edge(_VALUE_ERRORS)
    def get_bytes(self, tag: TagLike) -> bytes:
        """Return the value of a binary element as it is encoded.

        Returns:
            ``Success``, or ``Failure`` with ``ELEMENT_NOT_FOUND``, ``INVALID_TAG``, or
            ``VALUE_CONVERSION_FAILED`` where the VR is not a binary one.
        """
        value = self._element(tag).value
        if value is None:
            return b""
        if not isinstance(value, bytes | bytearray):
            raise TypeError(f"{DicomTag.of(tag)!r} does not hold bytes")
        return bytes(value)

    @edge(_VALUE_ERRORS)
    def get_items(self, tag: TagLike) -> tuple[DicomDataset, ...]:
        """Return the items of a sequence, as views; failures as :meth:`get_bytes`."""
        value = self._element(tag).value
        if not isinstance(value, PydicomSequence):
            raise TypeError(f"{DicomTag.of(tag)!r} is not a sequence")
        return tuple(DicomDataset(item) for item in value)

    @edge(_VALUE_ERRORS)
    def set(self, tag: TagLike, value: object, vr: VR | str | None = None) -> Self:
        """Set an element, its VR from the dictionary unless one is given.

        Args:
            tag: The element.
            value: A value, a list of values, or for a sequence a list of data sets.
            vr: Needed for private tags and where the dictionary leaves a choice.

        Returns:
            ``Success`` with this data set, or ``Failure`` with ``INVALID_TAG``,
            ``INVALID_VR`` or ``VALUE_CONVERSION_FAILED``.
        """
        self._set(tag, value, vr)
        return self

    # -- Pythonic twins ----------------------------------------------------------

    def __getitem__(self, tag: TagLike) -> Any:
        """Return the value; a ``KeyError`` where there is no such element."""
        number = DicomTag.of(tag)
        try:
            element = self._dataset[int(number)]
        except KeyError:
            raise KeyError(f"no element {number!r}") from None
        return _shown_as_ours(element.value)

    def __setitem__(self, tag: TagLike, value: object) -> None:
        self._set(tag, value, None)

    def __delitem__(self, tag: TagLike) -> None:
        del self._dataset[int(DicomTag.of(tag))]

    def get(self, tag: TagLike, default: Any = None) -> Any:
        """Return the value, or the default where the element is absent or empty."""
        try:
            value = self[tag]
        except KeyError:
            return default
        return default if value is None or value == "" else value

    def __contains__(self, tag: TagLike) -> bool:
        return int(DicomTag.of(tag)) in self._dataset

    def __iter__(self) -> Iterator[DicomTag]:
        """Yield the tags in ascending order."""
        return (DicomTag(int(tag)) for tag in sorted(self._dataset.keys()))

    def __len__(self) -> int:
        return len(self._dataset)

    def __eq__(self, other: object) -> bool:
        match other:
            case DicomDataset():
                return bool(self._dataset == other._dataset)
            case pydicom.Dataset():
                return bool(self._dataset == other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"<DicomDataset of {len(self)} elements>"

    def __str__(self) -> str:
        return "\n".join("  ".join(row) for row in self.rows())

    def _repr_html_(self) -> str:
        """Show the elements as a table in a notebook."""
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self.rows()
        )
        return (
            f"<table><tr><th>Tag</th><th>VR</th><th>Keyword</th><th>Value</th></tr>{body}</table>"
        )

    def rows(self, depth: int = 0) -> Iterator[tuple[str, str, str, str]]:
        """Yield one row of text an element: tag, VR, keyword, value.

        Items of sequences follow their sequence, the tag indented by ``depth``; long
        values are cut, binary ones give their length. A value that doesn't fit its VR is
        named as unreadable.
        """
        indent = "  " * depth
        for tag in self:
            name = tag.keyword or ("Private" if tag.is_private else "Unknown")
            try:
                element = self._dataset[int(tag)]
            except tuple(_VALUE_ERRORS) as exc:
                vr = self._dataset.get_item(int(tag)).VR or tag.dictionary_vr
                yield f"{indent}{tag}", vr, name, _cut(f"unreadable: {exc}")
                continue
            yield f"{indent}{tag}", str(element.VR), name, _summary(element)
            if element.VR == VR.SQ:
                for item in element.value:
                    yield from DicomDataset(item).rows(depth + 1)

    # -- inside ------------------------------------------------------------------

    def _element(self, tag: TagLike) -> DataElement:
        number = DicomTag.of(tag)
        if int(number) not in self._dataset:
            raise PacsException(
                ErrorCode.ELEMENT_NOT_FOUND,
                f"the data set has no element {number!r}",
                tag=str(number),
            )
        return self._dataset[int(number)]

    def _set(self, tag: TagLike, value: object, vr: VR | str | None) -> None:
        number = DicomTag.of(tag)
        chosen = str(vr or number.dictionary_vr)
        if chosen not in VR.__members__:
            raise PacsException(
                ErrorCode.INVALID_VR, f"{number!r} needs one VR, not {chosen!r}", tag=str(number)
            )
        if chosen == VR.SQ:
            items = [value] if isinstance(value, DicomDataset | pydicom.Dataset) else value
            if not isinstance(items, list | tuple | PydicomSequence):
                raise TypeError(f"{number!r} is a sequence: give a list of data sets")
            value = PydicomSequence([as_dataset(item).pydicom for item in items])
        self._dataset[int(number)] = DataElement(int(number), chosen, value)


DatasetLike: TypeAlias = DicomDataset | pydicom.Dataset
"""What a function that needs a data set takes."""


def as_dataset(dataset: DatasetLike) -> DicomDataset:
    """Return the typed view of either kind of data set."""
    if isinstance(dataset, DicomDataset):
        return dataset
    if isinstance(dataset, pydicom.Dataset):
        return DicomDataset(dataset)
    raise TypeError(f"expected a data set, got {type(dataset).__name__}")


def _values_of(element: DataElement) -> tuple[Any, ...]:
    value = element.value
    if value is None or value == "":
        return ()
    if isinstance(value, bytes | bytearray | PydicomSequence):
        raise TypeError(f"{DicomTag(int(element.tag))!r} holds {element.VR}, not text or numbers")
    return tuple(value) if isinstance(value, MultiValue | list | tuple) else (value,)


def _only(element: DataElement) -> Any:
    values = _values_of(element)
    if len(values) != 1:
        raise ValueError(f"{DicomTag(int(element.tag))!r} has {len(values)} values, not one")
    return values[0]


def _shown_as_ours(value: Any) -> Any:
    if isinstance(value, PydicomSequence):
        return [DicomDataset(item) for item in value]
    return value


def _summary(element: DataElement) -> str:
    value = element.value
    if element.VR == VR.SQ:
        return f"{len(value)} item{'' if len(value) == 1 else 's'}"
    if isinstance(value, bytes | bytearray):
        return f"{len(value)} bytes"
    return _cut("\\".join(str(one) for one in _values_of(element)))


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
