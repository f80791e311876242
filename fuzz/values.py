"""Targets that take single values and text models of data sets."""

from __future__ import annotations

from typing import Final

from pydicom.dataset import Dataset

from fuzz.expectations import Broken, value_of
from pacs_sdk.core import DicomDataset, parse_path
from pacs_sdk.core.results import edge
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding import decode_values, encode_values
from pacs_sdk.encoding.charsets import character_sets, decode_text, encode_text

__all__ = ["charsets", "element_values", "json_model", "path", "xml_model"]

_VRS: Final = tuple(VR)


def charsets(data: bytes) -> None:
    """Decode text; what is encoded from that decodes to the same.

    The first byte is the length of the Specific Character Set before the text.
    """
    length = data[0] if data else 0
    sets, field = character_sets(data[1 : 1 + length]), data[1 + length :]
    for vr in (VR.PN, VR.LO, VR.UT):
        text = decode_text(field, sets, vr)
        encoded = value_of(edge()(encode_text)(text, sets, vr))
        if encoded is not None and decode_text(encoded, sets, vr) != text:
            raise Broken(f"{text!r} becomes {encoded!r}, which is other text")
        value_of(edge()(decode_text)(field, sets, vr, strict=True))
        value_of(decode_values(vr, field, True, sets))


def element_values(data: bytes) -> None:
    """Decode a value field; what is encoded from that decodes to the same.

    The first byte chooses the VR, the highest bit of it big endian.
    """
    choice = data[0] if data else 0
    vr, little = _VRS[choice % 128 % len(_VRS)], choice < 128
    values = value_of(decode_values(vr, data[1:], little))
    if values is None:
        return
    encoded = value_of(encode_values(vr, values, little))
    if encoded is None:
        return
    again = value_of(decode_values(vr, encoded, little))
    # A DS is rounded to the characters it has.
    if again is None or (vr is not VR.DS and repr(_unpadded(again)) != repr(_unpadded(values))):
        raise Broken(f"{values!r} becomes {encoded!r}, which is {again!r}")


def _unpadded(values: tuple[object, ...]) -> tuple[object, ...]:
    # A field of odd length gets a byte of padding, which binary values keep.
    return tuple(value.rstrip(b"\0") if isinstance(value, bytes) else value for value in values)


def json_model(data: bytes) -> None:
    """Read DICOM JSON; what is written from that can be read."""
    dataset = value_of(DicomDataset.from_json(data))
    if dataset is None:
        return
    text = value_of(dataset.to_json())
    if text is not None and value_of(DicomDataset.from_json(text)) is None:
        raise Broken("what was written cannot be read")


def xml_model(data: bytes) -> None:
    """Read the Native DICOM Model; what is written from that can be read."""
    dataset = value_of(DicomDataset.from_xml(data))
    if dataset is None:
        return
    text = value_of(dataset.to_xml())
    if text is not None and value_of(DicomDataset.from_xml(text)) is None:
        raise Broken("what was written cannot be read")


def _nested() -> DicomDataset:
    inner, outer = Dataset(), Dataset()
    inner.ReferencedSOPInstanceUID = "1.2.3"
    outer.ReferencedSeriesSequence = [inner, Dataset()]
    outer.PatientName = "A^B"
    outer.private_block(0x0009, "VENDOR", create=True).add_new(1, "LO", "x")
    return DicomDataset(outer)


def path(data: bytes) -> None:
    """Parse a path, look it up, and set and delete what it leads to."""
    parsed = value_of(parse_path(data.decode("utf-8", "replace")))
    if parsed is None:
        return
    if value_of(parse_path(str(parsed))) != parsed:
        raise Broken(f"{parsed!r} is written as {str(parsed)!r}, which is another path")
    dataset = _nested()
    value_of(dataset.get_path(parsed))
    value_of(dataset.find(parsed))
    value_of(dataset.set_path(parsed, "1"))
    value_of(dataset.delete_path(parsed))
