"""Data sets as Native DICOM Model XML and back (PS3.19 A.1)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, Final
from xml.etree.ElementTree import Element, SubElement, TreeBuilder, tostring
from xml.parsers import expat

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName

from pacs_sdk.core.element import VALUE_ERRORS, DicomElement
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.model_values import (
    MAX_MODEL_NESTING,
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
from pacs_sdk.core.private_block import PrivateTag, creator_of, reserve_block
from pacs_sdk.core.tags import SPECIFIC_CHARACTER_SET, DicomTag
from pacs_sdk.core.vr import VR, VrKind

__all__ = ["read_xml", "xml_text"]

_NAMESPACE: Final = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")
_COMPONENTS: Final = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")
_MAX_XML_DEPTH: Final = 2 * MAX_MODEL_NESTING + 8  # an item is two elements deep
_MAX_MISSING_VALUES: Final = 32
"""How many values of one attribute its numbers may skip: an empty value may be left out, and
attributes with that many values have none that are empty. A megabyte of attributes that each
skip a thousand would otherwise make ten million values."""
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_NOT_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_Steps = tuple[PathStep, ...]

# -- writing -------------------------------------------------------------------------


def xml_text(around: tuple[Dataset, ...], bulk_data: BulkDataWriter | None) -> str:
    """Return a data set as the text of a NativeDicomModel.

    Args:
        around: The data set, then those that it lies in, the nearest first.
        bulk_data: Keeps binary values elsewhere.

    Raises:
        PacsException: ``ENCODE_FAILED``, naming the path, for a value that doesn't fit its
            VR, or has a character that XML has not; ``LIMIT_EXCEEDED``.
    """
    root = Element("NativeDicomModel", {"xmlns": _NAMESPACE, "xml:space": "preserve"})
    _write_dataset(root, around, (), bulk_data)
    # A parser turns a bare CR into LF (XML 2.11), and ElementTree doesn't escape it.
    body = tostring(root, encoding="unicode").replace("\r", "&#13;")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'


def _write_dataset(
    parent: Element, around: tuple[Dataset, ...], before: _Steps, bulk: BulkDataWriter | None
) -> None:
    check_nesting(len(before))
    dataset = around[0]
    for number in sorted(dataset.keys(), key=int):
        tag = DicomTag(int(number))
        if left_out(tag):
            continue
        steps = (*before, PathStep(name_in(dataset, tag)))
        try:
            _write_attribute(parent, around, tag, steps, bulk)
        except tuple(VALUE_ERRORS) as exc:
            path = str(DatasetPath(steps))
            raise PacsException(ErrorCode.ENCODE_FAILED, f"{path}: {exc}", path=path) from exc


def _write_attribute(
    parent: Element,
    around: tuple[Dataset, ...],
    tag: DicomTag,
    steps: _Steps,
    bulk: BulkDataWriter | None,
) -> None:
    dataset = around[0]
    vr, element = concrete_element(around, tag)
    values = DicomElement.of(element).values
    if tag == SPECIFIC_CHARACTER_SET and values:
        # The text is Unicode, whatever it was decoded from, and whatever VR was damaged to.
        vr, values = VR.CS, ("ISO_IR 192",)
    attribute = SubElement(parent, "DicomAttribute", {"tag": f"{tag:08X}", "vr": str(vr)})
    if tag.keyword:
        attribute.set("keyword", tag.keyword)
    if isinstance(steps[-1].element, PrivateTag):  # one that a reader can resolve again
        attribute.set("privateCreator", _xml_text(creator_of(dataset, tag)))
    if vr.kind is VrKind.BYTES:
        if values:
            data = binary_value(dataset, tag, vr, element.value)
            _write_binary(attribute, BulkData(DatasetPath(steps), vr, data), bulk)
        return
    for index, value in enumerate(values):
        numbered = {"number": str(index + 1)}
        if vr is VR.SQ:
            here = (*steps[:-1], PathStep(steps[-1].element, index))
            _write_dataset(SubElement(attribute, "Item", numbered), (value, *around), here, bulk)
        elif vr is VR.PN:
            _write_person(SubElement(attribute, "PersonName", numbered), str(value))
        else:
            SubElement(attribute, "Value", numbered).text = _xml_text(_value_text(vr, value))


def _write_binary(attribute: Element, data: BulkData, bulk: BulkDataWriter | None) -> None:
    uri = None if bulk is None else bulk(data)
    if uri is None:
        SubElement(attribute, "InlineBinary").text = base64.b64encode(data.data).decode("ascii")
    else:
        SubElement(attribute, "BulkData", {"uri": _xml_text(uri)})


def _write_person(person: Element, name: str) -> None:
    for group, text in zip(_GROUPS, name.split("=", 2), strict=False):
        if text:
            inside = SubElement(person, group)
            for component, part in zip(_COMPONENTS, text.split("^", 4), strict=False):
                if part:
                    SubElement(inside, component).text = _xml_text(part)


def _value_text(vr: VR, value: Any) -> str:
    if vr is VR.AT and value is not None:
        return f"{int(value):08X}"
    if vr.kind is VrKind.NUMBER:
        return str(number_value(vr, value))
    return "" if value is None else str(value)


def _xml_text(text: str) -> str:
    found = _NOT_XML.search(text)
    if found is not None:
        raise ValueError(f"XML has no character {ord(found[0]):#06x}")
    return text


# -- reading -------------------------------------------------------------------------


def read_xml(source: str | bytes, bulk_data: BulkDataReader | None) -> Dataset:
    """Read a data set from the text of a NativeDicomModel.

    A document type declaration is refused, and with it every entity but XML's own five.

    Raises:
        PacsException: ``DECODE_FAILED``, naming the path, for what isn't a Native DICOM
            Model; ``LIMIT_EXCEEDED`` for nesting without end; ``MISSING_REQUIRED_VALUE``
            for bulk data that nobody can fetch.
    """
    root = _parsed(source)
    if root.tag != "NativeDicomModel":
        raise PacsException(ErrorCode.DECODE_FAILED, f"<{root.tag[:80]}> is no NativeDicomModel")
    return _read_dataset(root, (), bulk_data)


def _parsed(source: str | bytes) -> Element:
    if not isinstance(source, str | bytes | bytearray):
        raise PacsException(ErrorCode.DECODE_FAILED, f"XML is text, not {type(source).__name__}")
    parser = expat.ParserCreate(namespace_separator="}")
    builder = TreeBuilder()
    depth = 0

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_XML_DEPTH:
            raise PacsException(ErrorCode.LIMIT_EXCEEDED, "the XML is nested too deep")
        builder.start(_local(name), attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_local(name))

    def refuse(*_declaration: object) -> None:
        raise PacsException(
            ErrorCode.DECODE_FAILED, "the XML declares a document type, which is not read"
        )

    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(source, True)  # the parameter has no name
    except (expat.ExpatError, ValueError, LookupError) as exc:  # the last: an unknown encoding
        raise PacsException(ErrorCode.DECODE_FAILED, f"the text is not XML: {exc}") from exc
    return builder.close()


def _local(name: str) -> str:
    # Writers differ in whether they name the namespace; in another one it is refused.
    return name.removeprefix(f"{_NAMESPACE}}}")


def _read_dataset(parent: Element, before: _Steps, bulk: BulkDataReader | None) -> Dataset:
    check_nesting(len(before))
    dataset = Dataset()
    owned = []
    for attribute in parent:
        text = attribute.get("tag", "")
        if attribute.tag != "DicomAttribute" or _TAG.fullmatch(text) is None:
            raise PacsException(
                ErrorCode.DECODE_FAILED,
                f"a DicomAttribute with a tag of 8 hexadecimal digits is expected, not "
                f"<{attribute.tag[:80]} tag={text[:80]!r}>",
            )
        tag = DicomTag(int(text, 16))
        if left_out(tag):
            continue
        steps = (*before, PathStep(tag))
        try:
            element = _read_attribute(tag, attribute, steps, bulk)
            creator = attribute.get("privateCreator", "") if tag.is_private else ""
            if creator:
                owned.append((PrivateTag(tag.group, creator, tag.element & 0xFF), element))
                continue
            if int(tag) in dataset:
                raise ValueError("the element is given twice")
            dataset[int(tag)] = element
        except tuple(VALUE_ERRORS) as exc:
            path = str(DatasetPath(steps))
            raise PacsException(ErrorCode.DECODE_FAILED, f"{path}: {exc}", path=path) from exc
    for name, element in owned:  # when every block that is reserved is known
        made = int(name.in_block(reserve_block(dataset, name.group, name.creator)))
        if made in dataset:
            path = str(DatasetPath((*before, PathStep(name))))
            raise PacsException(ErrorCode.DECODE_FAILED, f"{path} is given twice", path=path)
        dataset[made] = DataElement(made, element.VR, element.value, already_converted=True)
    return dataset


def _read_attribute(
    tag: DicomTag, attribute: Element, steps: _Steps, bulk: BulkDataReader | None
) -> DataElement:
    vr = VR(attribute.get("vr", tag.dictionary_vr))
    kinds = {child.tag for child in attribute}
    if len(kinds) > 1:
        raise ValueError(f"{' and '.join(sorted(kinds))} exclude each other")
    match kinds.pop() if kinds else "":
        case "BulkData" if len(attribute) == 1:
            uri = attribute[0].get("uri") or attribute[0].get("uuid") or ""
            return bulk_element(DatasetPath(steps), tag, vr, uri, bulk)
        case "InlineBinary" if vr.kind is VrKind.BYTES and len(attribute) == 1:
            return model_element(tag, vr, _inline(attribute[0].text or ""))
        case "Item" if vr is VR.SQ:
            items = []
            for index, item in enumerate(_numbered(attribute, missing=False)):
                here = (*steps[:-1], PathStep(steps[-1].element, index))
                items.append(_read_dataset(item, here, bulk))
            return model_element(tag, vr, items)
        case "PersonName" if vr is VR.PN:
            return model_element(tag, vr, [_person(one) for one in _numbered(attribute)])
        case "Value" if vr is not VR.PN and vr.kind not in (VrKind.BYTES, VrKind.SEQUENCE):
            return model_element(tag, vr, [_read_value(vr, one) for one in _numbered(attribute)])
        case "":
            return model_element(tag, vr, [])
        case other:
            raise ValueError(f"a {vr} has no <{other[:80]}>, or not several")


def _inline(text: str) -> list[bytes]:
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as exc:
        raise ValueError(f"an InlineBinary is base64 text: {exc}") from exc
    return [data] if data else []


def _numbered(attribute: Element, *, missing: bool = True) -> list[Element]:
    """Return the values in the order of their numbers, empty ones where one is left out."""
    values: list[Element] = []
    room = _MAX_MISSING_VALUES if missing else 0
    for child in attribute:
        text = child.get("number", "")
        if _NUMBER.fullmatch(text) is None:
            raise ValueError(f"{text[:20]!r} is not the number of a value")
        gap = int(text) - len(values) - 1
        if not 0 <= gap <= room:
            raise ValueError(f"value {text} does not follow value {len(values)}")
        room -= gap
        values.extend(Element(child.tag) for _ in range(gap))
        values.append(child)
    return values


def _person(person: Element) -> PersonName:
    groups = dict.fromkeys(_GROUPS, "")
    for group in person:
        if group.tag not in groups:
            raise ValueError(f"a PersonName has no <{group.tag[:80]}>")
        parts = dict.fromkeys(_COMPONENTS, "")
        for part in group:
            if part.tag not in parts:
                raise ValueError(f"a person's name has no <{part.tag[:80]}>")
            parts[part.tag] = part.text or ""
        groups[group.tag] = "^".join(parts.values()).rstrip("^")
    return PersonName("=".join(groups.values()).rstrip("="))


def _read_value(vr: VR, value: Element) -> Any:
    if len(value):
        raise ValueError(f"a value of {vr} is text")
    text = value.text or ""
    if not text and vr.kind is VrKind.TEXT:
        return ""
    if vr is VR.AT:
        if _TAG.fullmatch(text) is None:
            raise ValueError(f"{text[:40]!r} is not a tag of 8 hexadecimal digits")
        return int(text, 16)
    return number_value(vr, text) if vr in (VR.DS, VR.IS) or vr.kind is VrKind.NUMBER else text
