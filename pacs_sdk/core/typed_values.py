"""Typed getters: the value of an element as what the caller needs, or a failure."""

from __future__ import annotations

import abc
import datetime as dt
from typing import Any

from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.valuerep import DA, DT, TM

from pacs_sdk.core.element import VALUE_ERRORS
from pacs_sdk.core.path import DatasetPath, PathLike
from pacs_sdk.core.results import edge
from pacs_sdk.core.tags import DicomTag

__all__ = ["TypedValues"]


class TypedValues(abc.ABC):
    """The getters of :class:`DicomDataset` that give values as Python's own types.

    An element is named by tag, keyword or path. Each returns ``Success``, or ``Failure`` with ``ELEMENT_NOT_FOUND``, ``INVALID_TAG`` or,
    for a value that isn't what was asked for, ``VALUE_CONVERSION_FAILED``.
    """

    __slots__ = ()

    @abc.abstractmethod
    def _element(self, path: PathLike) -> DataElement:
        """Return the element, or raise what the getters return as a failure."""

    @edge(VALUE_ERRORS)
    def get_string(self, path: PathLike) -> str:
        """Return the value as text, several values joined by a backslash (PS3.5 6.4).

        Returns:
            ``Success`` (an empty string for an element without value), or ``Failure``
            with ``ELEMENT_NOT_FOUND``, ``INVALID_TAG`` or ``VALUE_CONVERSION_FAILED``.
        """
        return "\\".join(str(value) for value in _values_of(self._element(path)))

    @edge(VALUE_ERRORS)
    def get_strings(self, path: PathLike) -> tuple[str, ...]:
        """Return each value as text; failures as :meth:`get_string`."""
        return tuple(str(value) for value in _values_of(self._element(path)))

    @edge(VALUE_ERRORS)
    def get_int(self, path: PathLike) -> int:
        """Return the only value as a whole number; failures as :meth:`get_string`."""
        return _whole(path, _only(self._element(path)))

    @edge(VALUE_ERRORS)
    def get_ints(self, path: PathLike) -> tuple[int, ...]:
        """Return each value as a whole number; failures as :meth:`get_string`."""
        return tuple(_whole(path, value) for value in _values_of(self._element(path)))

    @edge(VALUE_ERRORS)
    def get_float(self, path: PathLike) -> float:
        """Return the only value as a number; failures as :meth:`get_string`."""
        return float(_only(self._element(path)))

    @edge(VALUE_ERRORS)
    def get_floats(self, path: PathLike) -> tuple[float, ...]:
        """Return each value as a number; failures as :meth:`get_string`."""
        return tuple(float(value) for value in _values_of(self._element(path)))

    @edge(VALUE_ERRORS)
    def get_date(self, path: PathLike) -> dt.date:
        """Return the only value of a DA, or the date of a DT; failures as :meth:`get_string`.

        The ``YYYY.MM.DD`` of ACR-NEMA is understood.
        """
        element = self._element(path)
        if element.VR == "DT":
            return _date_time(element).date()
        _expect(element, "DA")
        found = DA(str(_only(element)).strip())
        return dt.date(found.year, found.month, found.day)

    @edge(VALUE_ERRORS)
    def get_time(self, path: PathLike) -> dt.time:
        """Return the only value of a TM, parts that are left out as zero.

        Failures as :meth:`get_string`. A leap second, which Python has not, is the second
        before.
        """
        element = self._element(path)
        _expect(element, "TM")
        text = str(_only(element)).strip()
        with_leap = text[:4] + "59" + text[6:] if text[4:6] == "60" else text
        found = TM(with_leap)
        return dt.time(found.hour, found.minute, found.second, found.microsecond)

    @edge(VALUE_ERRORS)
    def get_datetime(self, path: PathLike) -> dt.datetime:
        """Return the only value of a DT, with its offset from UTC where it has one.

        Parts that are left out are the first month, the first day, or zero. Failures as
        :meth:`get_string`.
        """
        element = self._element(path)
        _expect(element, "DT")
        return _date_time(element)

    @edge(VALUE_ERRORS)
    def get_bytes(self, path: PathLike) -> bytes:
        """Return the value of a binary element as it is encoded.

        Returns:
            ``Success``, or ``Failure`` with ``ELEMENT_NOT_FOUND``, ``INVALID_TAG``, or
            ``VALUE_CONVERSION_FAILED`` where the VR is not a binary one.
        """
        value = self._element(path).value
        if value is None:
            return b""
        if not isinstance(value, bytes | bytearray):
            raise TypeError(f"{DatasetPath.of(path)} does not hold bytes")
        return bytes(value)


def _values_of(element: DataElement) -> tuple[Any, ...]:
    value = element.value
    if value is None or value == "":
        return ()
    if isinstance(value, bytes | bytearray | Sequence):
        raise TypeError(f"{DicomTag(int(element.tag))!r} holds {element.VR}, not text or numbers")
    return tuple(value) if isinstance(value, MultiValue | list | tuple) else (value,)


def _only(element: DataElement) -> Any:
    values = _values_of(element)
    if len(values) != 1:
        raise ValueError(f"{DicomTag(int(element.tag))!r} has {len(values)} values, not one")
    return values[0]


def _whole(path: PathLike, value: Any) -> int:
    number = int(value)  # exact, where a float has but 53 bits
    if isinstance(value, str | float) and number != float(value):
        raise ValueError(f"{DatasetPath.of(path)} is {value}, not a whole number")
    return number


def _expect(element: DataElement, vr: str) -> None:
    if vr != element.VR:
        raise TypeError(f"{DicomTag(int(element.tag))!r} holds {element.VR}, not {vr}")


def _date_time(element: DataElement) -> dt.datetime:
    found = DT(str(_only(element)).strip())
    return dt.datetime(
        found.year,
        found.month,
        found.day,
        found.hour,
        found.minute,
        found.second,
        found.microsecond,
        found.tzinfo,
    )
