"""Data sets as DICOM JSON and back (PS3.18 Annex F)."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from pacs_sdk.core.element import VALUE_ERRORS, DicomElement
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.model_values import (
    BulkData,
    BulkDataReader,
    BulkDataWriter,
    binary_value,
    bulk_element,
    check_nesting,
    concrete_element,
    left_out,
    model_element,
    number_value,
)
from pacs_sdk.core.path import DatasetPath, PathStep
from pacs_sdk.core.path_access import name_in
from pacs_sdk.core.tags import SPECIFIC_CHARACTER_SET, DicomTag
from pacs_sdk.core.vr import VR, VrKind

__all__ = ["json_model", "json_text", "read_json"]

_KEY: Final = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_VALUE_KEYS: Final = ("Value", "InlineBinary", "BulkDataURI")
_EXACT: Final = 1 << 53  # integers that every JSON reader, JavaScript's too, keeps exact
_Steps = tuple[PathStep, ...]

# -- writing -------------------------------------------------------------------------


def json_text(around: tuple[Dataset, ...], bulk_data: BulkDataWriter | None) -> str:
    """Return a data set, the first of those around, as the text of one JSON object."""
    model = json_model(around, bulk_data)
    return json.dumps(model, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def json_model(around: tuple[Dataset, ...], bulk_data: BulkDataWriter | None) -> dict[str, Any]:
    """Return a data set as the object that its JSON text stands for.

    Args:
        around: The data set, then those that it lies in, the nearest first.
        bulk_data: Keeps binary values elsewhere.

    Raises:
        PacsException: ``ENCODE_FAILED``, naming the path, for a value that doesn't fit its
            VR; ``LIMIT_EXCEEDED`` for sequences nested too deep.
    """
    return _object(around, (), bulk_data)


def _object(
    around: tuple[Dataset, ...], before: _Steps, bulk: BulkDataWriter | None
) -> dict[str, Any]:
    check_nesting(len(before))
    dataset = around[0]
    model = {}
    for number in sorted(dataset.keys(), key=int):
        tag = DicomTag(int(number))
        if left_out(tag):
            continue
        steps = (*before, PathStep(name_in(dataset, tag)))
        try:
            model[f"{tag:08X}"] = _attribute(around, tag, steps, bulk)
        except tuple(VALUE_ERRORS) as exc:
            path = str(DatasetPath(steps))
            raise PacsException(ErrorCode.ENCODE_FAILED, f"{path}: {exc}", path=path) from exc
    return model


def _attribute(
    around: tuple[Dataset, ...], tag: DicomTag, steps: _Steps, bulk: BulkDataWriter | None
) -> dict[str, Any]:
    vr, element = concrete_element(around, tag)
    values = DicomElement.of(element).values
    attribute: dict[str, Any] = {"vr": str(vr)}
    if tag == SPECIFIC_CHARACTER_SET and values:
        # The text is UTF-8, whatever it was decoded from, and whatever VR was damaged to.
        return {"vr": "CS", "Value": ["ISO_IR 192"]}
    if not values:
        return attribute  # F.2.5: an empty attribute has no value, in any of the three forms
    if vr is VR.SQ:
        attribute["Value"] = [
            _object((item, *around), (*steps[:-1], PathStep(steps[-1].element, index)), bulk)
            for index, item in enumerate(values)
        ]
    elif vr.kind is VrKind.BYTES:
        data = binary_value(around[0], tag, vr, element.value)
        uri = None if bulk is None else bulk(BulkData(DatasetPath(steps), vr, data))
        if uri is not None and not isinstance(uri, str):
            raise TypeError("a function that keeps bulk data returns a URI or None")
        if uri is None:
            attribute["InlineBinary"] = base64.b64encode(data).decode("ascii")
        else:
            attribute["BulkDataURI"] = uri
    else:
        attribute["Value"] = [_written(vr, value) for value in values]
    return attribute


def _written(vr: VR, value: Any) -> Any:
    if value is None or (value == "" and vr is not VR.PN):
        return None
    if vr is VR.PN:
        return _person(value)
    if vr is VR.AT:
        return f"{int(value):08X}"
    if vr in (VR.DS, VR.IS):
        return _decimal(vr, value)
    if vr.kind is not VrKind.NUMBER:
        return str(value)
    number = number_value(vr, value)
    if isinstance(number, float):
        return number if math.isfinite(number) else _non_finite(number)
    return str(number) if isinstance(number, int) and abs(number) > _EXACT else number


def _person(value: Any) -> dict[str, str] | None:
    groups = str(value).split("=", 2)
    return {name: text for name, text in zip(_GROUPS, groups, strict=False) if text} or None


def _decimal(vr: VR, value: Any) -> int | float | str:
    # Table F.2.3-1 allows a number or a string; readers calculate with numbers.
    text = str(value)
    if re.fullmatch(r"-?(0|[1-9]\d{0,14})", text):
        return int(text)
    try:
        number = float(text)
    except ValueError:
        return text  # damaged: it is passed on as it is
    if vr is VR.IS and number.is_integer() and abs(number) <= _EXACT:
        return int(number)  # 007 and +7 are 7: who reads an IS expects no 7.0
    return number if math.isfinite(number) else text


def _non_finite(number: float) -> str:
    return "NaN" if math.isnan(number) else "inf" if number > 0 else "-inf"


# -- reading -------------------------------------------------------------------------


def read_json(
    source: str | bytes | bytearray | Mapping[str, Any], bulk_data: BulkDataReader | None
) -> Dataset:
    """Read a data set from JSON text, or from the object that it stands for.

    Raises:
        PacsException: ``DECODE_FAILED``, naming the path, for what isn't DICOM JSON;
            ``LIMIT_EXCEEDED`` for nesting without end; ``MISSING_REQUIRED_VALUE`` for bulk
            data that nobody can fetch.
    """
    model = _parsed(source) if isinstance(source, str | bytes | bytearray) else source
    if isinstance(model, list) and len(model) == 1:
        (model,) = model  # F.2.1: a response is an array, here of one
    if not isinstance(model, Mapping):
        raise PacsException(ErrorCode.DECODE_FAILED, "one JSON object is expected, with tags")
    return _dataset(model, (), bulk_data)


def _parsed(text: str | bytes | bytearray) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_repeats)
    except RecursionError as exc:
        raise PacsException(ErrorCode.LIMIT_EXCEEDED, "the JSON text is nested too deep") from exc
    except ValueError as exc:  # json's own, of its text's encoding, and of huge numbers
        raise PacsException(ErrorCode.DECODE_FAILED, f"the text is not JSON: {exc}") from exc


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    model = dict(pairs)
    if len(model) != len(pairs):
        raise ValueError("a name is given twice in one object")
    return model


def _dataset(model: Mapping[str, Any], before: _Steps, bulk: BulkDataReader | None) -> Dataset:
    check_nesting(len(before))
    dataset = Dataset()
    for key, attribute in model.items():
        if _KEY.fullmatch(str(key)) is None:
            raise PacsException(
                ErrorCode.DECODE_FAILED, f"{str(key)[:80]!r} is not a tag of 8 hexadecimal digits"
            )
        tag = DicomTag(int(key, 16))
        if left_out(tag):
            continue
        steps = (*before, PathStep(tag))
        try:
            dataset[int(tag)] = _element(tag, attribute, steps, bulk)
        except tuple(VALUE_ERRORS) as exc:
            path = str(DatasetPath(steps))
            raise PacsException(ErrorCode.DECODE_FAILED, f"{path}: {exc}", path=path) from exc
    return dataset


def _element(
    tag: DicomTag, attribute: Any, steps: _Steps, bulk: BulkDataReader | None
) -> DataElement:
    if not isinstance(attribute, Mapping):
        raise TypeError("an object with vr and Value is expected")
    vr = VR(attribute.get("vr", tag.dictionary_vr))
    given = [name for name in _VALUE_KEYS if name in attribute]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} exclude each other")
    if "BulkDataURI" in given:
        uri = attribute["BulkDataURI"]
        if not isinstance(uri, str):
            raise TypeError("a BulkDataURI is text")
        return bulk_element(DatasetPath(steps), tag, vr, uri, bulk)
    if "InlineBinary" in given:
        return _inline(tag, vr, attribute["InlineBinary"])
    values = attribute.get("Value", [])
    if not isinstance(values, list | tuple):
        raise TypeError("Value is an array")
    if vr is VR.SQ:
        return model_element(tag, vr, _item_list(values, steps, bulk))
    if vr.kind is VrKind.BYTES and values:
        raise ValueError(f"a {vr} has an InlineBinary or a BulkDataURI, not a Value")
    read = [] if all(one is None for one in values) and len(values) < 2 else values
    return model_element(tag, vr, [_read(vr, value) for value in read])


def _inline(tag: DicomTag, vr: VR, text: Any) -> DataElement:
    if vr.kind is not VrKind.BYTES:
        raise ValueError(f"a {vr} has a Value, not an InlineBinary")
    if not isinstance(text, str):
        raise TypeError("an InlineBinary is base64 text")
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise ValueError(f"an InlineBinary is base64 text: {exc}") from exc
    return model_element(tag, vr, [data] if data else [])


def _item_list(
    values: list[Any] | tuple[Any, ...], steps: _Steps, bulk: BulkDataReader | None
) -> list[Dataset]:
    items = []
    for index, value in enumerate(values):
        if value is not None and not isinstance(value, Mapping):
            raise TypeError("the items of a sequence are objects")
        here = (*steps[:-1], PathStep(steps[-1].element, index))
        items.append(_dataset(value or {}, here, bulk))
    return items


def _read(vr: VR, value: Any) -> Any:
    if value is None or value == "":
        if vr.kind is not VrKind.TEXT:
            raise ValueError(f"a {vr} has no empty values among others")
        return ""
    if vr is VR.PN:
        return _person_name(value)
    if vr in (VR.DS, VR.IS) or vr.kind is VrKind.NUMBER:
        return number_value(vr, value)
    if not isinstance(value, str):
        raise TypeError(f"a {vr} is text, not {type(value).__name__}")
    if vr is VR.AT:
        return int(DicomTag.of(value)) if _KEY.fullmatch(value) else _no_tag(value)
    return value


def _no_tag(value: str) -> int:
    raise ValueError(f"{value[:40]!r} is not a tag of 8 hexadecimal digits")


def _person_name(value: Any) -> PersonName:
    # Older writers gave the whole name as one text.
    groups = [value.get(name) or "" for name in _GROUPS] if isinstance(value, Mapping) else [value]
    if not all(isinstance(text, str) for text in groups):
        raise TypeError("a person's name is text, in up to three groups")
    return PersonName("=".join(groups).rstrip("="))
