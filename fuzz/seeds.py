"""``python -m fuzz.seeds``: make the seeds in ``corpus/`` anew.

They are committed, so that a run begins from the same bytes whatever versions of libraries
are installed. Each is small: a few hundred bytes of header say as much as a large file.
"""

from __future__ import annotations

import shutil
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
import imagecodecs
import numpy as np
import pydicom.data
from pydicom.dataset import Dataset

from fuzz.network import ACCEPTANCE, CT_IMAGE, REQUEST, VERIFICATION
from fuzz.pixels import ATTRIBUTES
from fuzz.targets import CORPUS
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.results import raised
from pacs_sdk.core.vr import VR
from pacs_sdk.encoding import encode_dataset, read_file
from pacs_sdk.encoding.transfer_syntax import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from pacs_sdk.network.dimse import (
    CEchoRQ,
    CEchoRSP,
    CFindRQ,
    CGetRSP,
    CMoveRQ,
    CStoreRQ,
    Message,
    NActionRQ,
    NCreateRQ,
    NEventReportRQ,
    NGetRQ,
    encode_command,
)
from pacs_sdk.network.pdu import AAbort, AAssociateRJ, AReleaseRP, AReleaseRQ, Pdu
from pacs_sdk.network.pdu_codec import encode_pdu, pdata_header
from pacs_sdk.network.user_information import (
    AsynchronousOperationsWindow,
    RoleSelection,
    SopClassCommonExtendedNegotiation,
    SopClassExtendedNegotiation,
    UserIdentityAC,
    UserIdentityRQ,
    UserIdentityType,
)

_SHIPPED: Final = Path(pydicom.data.__file__).parent / "test_files"
_LARGEST: Final = 4096
_SYNTAXES: Final = (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_BIG_ENDIAN,
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
)
"""In the order of :data:`fuzz.datasets.NATIVE`."""

_DATA_SETS: Final = (
    "UN_sequence.dcm",
    "priv_SQ.dcm",
    "reportsi.dcm",
    "rtdose_1frame.dcm",
    "rtplan.dcm",
    "rtstruct.dcm",
    "SC_rgb_small_odd.dcm",
)
_FILES: Final = (
    *_DATA_SETS,
    "ExplVR_BigEndNoMeta.dcm",
    "ExplVR_LitEndNoMeta.dcm",
    "JPEG2000.dcm",
    "JPEGLSNearLossless_16.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_rle_2frame.dcm",
    "empty_charset_LEI.dcm",
    "meta_missing_tsyntax.dcm",
    "no_meta_group_length.dcm",
    "rtdose_expb_1frame.dcm",
    "rtdose_rle_1frame.dcm",
)


def _data_sets() -> Iterator[tuple[str, bytes]]:
    for name in _DATA_SETS:
        dataset = raised(raised(read_file(_SHIPPED / name)).dataset())
        for number, syntax in enumerate(_SYNTAXES):
            data = raised(encode_dataset(dataset, syntax))
            if len(data) <= _LARGEST:
                yield f"{Path(name).stem}-{number}", bytes((number,)) + data


def _files() -> Iterator[tuple[str, bytes]]:
    for name in _FILES:
        yield Path(name).stem, (_SHIPPED / name).read_bytes()


def _item(data: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(data)) + data


def _encapsulated() -> Iterator[tuple[str, bytes]]:
    end, no_table = b"\xfe\xff\xdd\xe0\0\0\0\0", _item(b"")
    fragments = _item(b"ab") + _item(b"c\xff\xd9\0") + _item(b"de\xff\xd9")
    yield "two-frames-by-markers", b"\2\0\1" + no_table + fragments + end
    yield "three-frames", b"\3\0\0" + no_table + fragments + end
    yield "basic-table", b"\2\0\1" + _item(struct.pack("<2I", 0, 22)) + fragments + end
    table = struct.pack("<2Q", 0, 22) + struct.pack("<2Q", 2, 4)
    yield "extended-table", b"\2\2\1" + table + no_table + fragments + end


def _attributes(
    pixels: np.ndarray, syntax: int = 0, stored: int = 0, photometric: int = 0, flags: int = 0
) -> bytes:
    rows, columns = pixels.shape[:2]
    bits = pixels.dtype.itemsize * 8
    return ATTRIBUTES.pack(
        syntax,
        rows - 1,
        columns - 1,
        1 if pixels.ndim == 3 else 0,
        {8: 0, 16: 1}[bits],
        (stored or bits) - 1,
        photometric,
        flags,
    )


_GREY: Final = (np.arange(63, dtype=np.uint8) * 4).reshape(7, 9)
_DEEP: Final = (np.arange(63, dtype=np.uint16) * 65).reshape(7, 9)
_COLOUR: Final = np.stack([_GREY, _GREY.T.reshape(7, 9), 255 - _GREY], axis=-1)


def _rle(pixels: np.ndarray) -> bytes:
    planes = pixels.reshape(63, -1).T
    wide = pixels.dtype.itemsize
    parts = [
        imagecodecs.packbits_encode(np.ascontiguousarray(plane).view(np.uint8)[wide - 1 - byte :: wide].tobytes())
        for plane in planes
        for byte in range(wide)
    ]  # fmt: skip
    offsets = [64 + sum(map(len, parts[:number])) for number in range(len(parts))]
    return struct.pack("<16I", len(parts), *offsets, *[0] * (15 - len(parts))) + b"".join(parts)


def _deflated(pixels: np.ndarray) -> bytes:
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return stream.compress(pixels.tobytes()) + stream.flush()


def _codestreams(name: str) -> Iterator[tuple[str, bytes]]:
    images: dict[str, np.ndarray] = {"grey": _GREY, "deep": _DEEP, "colour": _COLOUR}
    for kind, image in images.items():
        made: dict[str, bytes | bytearray] = {}
        attributes = _attributes(image, photometric=int(image.ndim == 3))
        bits = 12 if kind == "deep" else 8
        match name:
            case "rle":
                made[""] = _rle(image)
            case "deflated_frame":
                made[""] = _deflated(image)
            case "jpeg":
                made["lossless"] = imagecodecs.jpeg8_encode(
                    image, lossless=True, bitspersample=bits
                )
                made["lossy"] = imagecodecs.jpeg8_encode(image, 80, bitspersample=bits)
            case "jpegls":
                made[""] = imagecodecs.jpegls_encode(image)
                made["near"] = imagecodecs.jpegls_encode(image, level=2)
            case "jpeg2000":
                made["j2k"] = imagecodecs.jpeg2k_encode(
                    image, level=0, codecformat="j2k", reversible=True
                )
                made["jp2"] = imagecodecs.jpeg2k_encode(
                    image, level=40, codecformat="jp2", reversible=False
                )
            case "htj2k":
                made[""] = imagecodecs.htj2k_encode(image, reversible=True)
            case "jpegxl":
                made["lossless"] = imagecodecs.jpegxl_encode(image, lossless=True)
                if kind == "colour":
                    jpeg = imagecodecs.jpeg8_encode(image, 80)
                    made["jbrd"] = imagecodecs.jpegxl_encode_jpeg(jpeg)
        for way, data in made.items():
            yield f"{kind}-{way}".rstrip("-"), attributes + bytes(data)


def _images() -> Iterator[tuple[str, bytes]]:
    image = _image("MONOCHROME2", _DEEP)
    image.RescaleSlope, image.RescaleIntercept = "1.5", "-10"
    image.WindowCenter, image.WindowWidth = ["100", "20"], ["300", "40"]
    image.VOILUTFunction = "SIGMOID"
    image.add_new(0x60000010, "US", 7)
    image.add_new(0x60000011, "US", 9)
    image.add_new(0x60000040, "CS", "G")
    image.add_new(0x60000050, "SS", [1, 1])
    image.add_new(0x60000100, "US", 1)
    image.add_new(0x60000102, "US", 0)
    image.add_new(0x60003000, "OW", bytes(range(8)))
    yield "overlay", raised(encode_dataset(image, EXPLICIT_VR_LITTLE_ENDIAN))
    image = _image("MONOCHROME1", _DEEP)
    for keyword in ("ModalityLUTSequence", "VOILUTSequence", "PresentationLUTSequence"):
        table = Dataset()
        table.add_new("LUTDescriptor", "US", [4, 0, 16])
        table.add_new("LUTData", "OW", struct.pack("<4H", 1, 2, 300, 4))
        setattr(image, keyword, [table])
    yield "tables", raised(encode_dataset(image, EXPLICIT_VR_LITTLE_ENDIAN))
    image = _image("PALETTE COLOR", _GREY)
    for colour in ("Red", "Green", "Blue"):
        image.add_new(f"{colour}PaletteColorLookupTableDescriptor", "US", [6, 0, 16])
        # PS3.3 C.7.9.2: two discrete entries, then a line of two, then an indirect segment.
        segments = struct.pack("<11H", 0, 2, 5, 9, 1, 2, 7, 2, 1, 0, 0)
        image.add_new(f"Segmented{colour}PaletteColorLookupTableData", "OW", segments)
    yield "palette", raised(encode_dataset(image, EXPLICIT_VR_LITTLE_ENDIAN))


def _image(photometric: str, pixels: np.ndarray) -> Dataset:
    image = Dataset()
    image.Rows, image.Columns = pixels.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, photometric
    image.BitsAllocated = pixels.dtype.itemsize * 8
    image.BitsStored = 12 if image.BitsAllocated == 16 else 8
    image.HighBit, image.PixelRepresentation = image.BitsStored - 1, 0
    image.add_new("PixelData", "OW", pixels.tobytes() + bytes(pixels.nbytes % 2))
    return image


def _charsets() -> Iterator[tuple[str, bytes]]:
    # The names are from PS3.5 Annexes H to K.
    texts = {
        "latin-1": (b"ISO_IR 100", "Buc^Jérôme".encode("latin-1")),
        "japanese": (
            b"\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        ),
        "korean": (b"\\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7"),
        "gb18030": (b"GB18030", "Wang^XiaoDong=王^小东".encode("gb18030")),
        "utf-8": (b"ISO_IR 192", "Wang^XiaoDong=王^小東".encode()),
        "unknown": (b"ISO-IR 999", b"\x1b$Z\xff\\\x1b"),
    }
    for name, (term, text) in texts.items():
        yield name, bytes((len(term),)) + term + text


def _values() -> Iterator[tuple[str, bytes]]:
    fields = {
        VR.DS: b"1.5\\-2e3\\",
        VR.IS: b"12\\+3",
        VR.PN: b"A^B=C\\D ",
        VR.DA: b"20260101-20260201",
        VR.UI: b"1.2.840\0",
        VR.AT: b"\x10\0\x20\0",
        VR.FD: struct.pack("<d", 1.5),
        VR.US: b"\1\0\2\0",
        VR.OW: b"\1\2\3\4",
        VR.UC: b"a\\b",
    }
    for vr, field in fields.items():
        choice = tuple(VR).index(vr)
        yield f"{vr}-little", bytes((choice,)) + field
        yield f"{vr}-big", bytes((choice + 128,)) + field


def _models() -> Iterator[tuple[str, DicomDataset]]:
    for name in _DATA_SETS:
        yield Path(name).stem, raised(raised(read_file(_SHIPPED / name)).dataset())


def _json() -> Iterator[tuple[str, bytes]]:
    for name, dataset in _models():
        text = raised(dataset.to_json()).encode()
        if len(text) <= 2 * _LARGEST:
            yield name, text
    yield "person", (_SHIPPED / "test_PN.json").read_bytes()


def _xml() -> Iterator[tuple[str, bytes]]:
    for name, dataset in _models():
        text = raised(dataset.to_xml()).encode()
        if len(text) <= 2 * _LARGEST:
            yield name, text


def _paths() -> Iterator[tuple[str, bytes]]:
    texts = (
        "PatientName",
        "(0010,0010)",
        "00100010",
        "ReferencedSeriesSequence[0].ReferencedSOPInstanceUID",
        "ReferencedSeriesSequence[*].(0008,1155)",
        '(0009,"VENDOR",01)',
    )
    for number, text in enumerate(texts):
        yield f"path-{number}", text.encode()


_EVERY_ITEM: Final = attrs.evolve(
    REQUEST.user_information,
    asynchronous_operations_window=AsynchronousOperationsWindow(4, 0),
    role_selections=(RoleSelection(CT_IMAGE, scu=True, scp=True),),
    extended_negotiations=(SopClassExtendedNegotiation(CT_IMAGE, b"\1\0\1"),),
    common_extended_negotiations=(
        SopClassCommonExtendedNegotiation(CT_IMAGE, "1.2.840.10008.4.2", ("1.2.3", "1.2.4")),
    ),
    user_identity=UserIdentityRQ(UserIdentityType.USERNAME_AND_PASSCODE, b"ann", b"secret", True),
)


def _pdus() -> Iterator[tuple[str, Pdu]]:
    yield "request", REQUEST
    yield "request-of-every-item", attrs.evolve(REQUEST, user_information=_EVERY_ITEM)
    yield "acceptance", ACCEPTANCE
    yield (
        "acceptance-with-ticket",
        attrs.evolve(
            ACCEPTANCE,
            user_information=attrs.evolve(
                ACCEPTANCE.user_information, user_identity_response=UserIdentityAC(b"ticket")
            ),
        ),
    )
    yield "rejection", AAssociateRJ(1, 1, 7)
    yield "release-request", AReleaseRQ()
    yield "release-response", AReleaseRP()
    yield "abort", AAbort(2, 6)


def _messages() -> Iterator[tuple[str, Message, bool]]:
    yield "echo", CEchoRQ(1), False
    yield "echoed", CEchoRSP(1, 0), False
    yield "store", CStoreRQ(2, CT_IMAGE, "1.2.3", move_originator_ae_title="MOVER"), True
    yield "find", CFindRQ(3, "1.2.840.10008.5.1.4.1.2.2.1"), True
    yield "move", CMoveRQ(4, "1.2.840.10008.5.1.4.1.2.2.2", "DEST"), True
    yield "got", CGetRSP(5, 0xB000, VERIFICATION, number_of_failed_suboperations=1), False
    yield "event", NEventReportRQ(6, VERIFICATION, "1.2.3", 1), True
    yield "get", NGetRQ(7, VERIFICATION, "1.2.3", (0x00100010, 0x00100020)), False
    yield "action", NActionRQ(8, VERIFICATION, "1.2.3", 1), True
    yield "create", NCreateRQ(9, VERIFICATION, "1.2.3"), True


def _commands() -> Iterator[tuple[str, bytes]]:
    for name, message, has_dataset in _messages():
        yield name, encode_command(message, has_dataset=has_dataset)


def _whole_pdus() -> Iterator[tuple[str, bytes]]:
    for name, one in _pdus():
        yield name, encode_pdu(one)
    for name, command in _commands():
        yield f"command-{name}", pdata_header(1, True, True, len(command)) + command


def _streams() -> Iterator[tuple[str, bytes]]:
    for number, (name, data) in enumerate(_whole_pdus()):
        is_answer = name.startswith(("acceptance", "rejection"))
        yield name, bytes((1 if is_answer else 0 if "request" in name else 2, number)) + data
    data = b"data set"
    for number, (name, message, has_dataset) in enumerate(_messages()):
        command = encode_command(message, has_dataset=has_dataset)
        whole = pdata_header(3, True, True, len(command)) + command
        if has_dataset:
            whole += pdata_header(3, False, False, len(data)) + data
            whole += pdata_header(3, False, True, len(data)) + data
        yield f"message-{name}", bytes((2 + number % 5, 5)) + whole + encode_pdu(AReleaseRQ())


def main() -> None:
    """Write all seeds."""
    warnings.simplefilter("ignore")  # pydicom's, about odd values
    shutil.rmtree(CORPUS, ignore_errors=True)
    makers = {
        "reader": _data_sets(),
        "part10": _files(),
        "encapsulated": _encapsulated(),
        "rendering": _images(),
        "charsets": _charsets(),
        "element_values": _values(),
        "json_model": _json(),
        "xml_model": _xml(),
        "path": _paths(),
        "association": _streams(),
        "pdu": _whole_pdus(),
        "command_set": _commands(),
    }
    for codec in ("rle", "deflated_frame", "jpeg", "jpegls", "jpeg2000", "htj2k", "jpegxl"):
        makers[codec] = _codestreams(codec)
    for target, seeds in makers.items():
        folder = CORPUS / target
        folder.mkdir(parents=True)
        for name, data in seeds:
            (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
