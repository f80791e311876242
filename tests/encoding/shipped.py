"""The DICOM files that ship inside pydicom, and what is known about the odd ones."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pydicom.data

from pacs_sdk.core.errors import ErrorCode

__all__ = [
    "BROKEN_DATA_SETS",
    "NOT_DICOM",
    "READABLE",
    "REFUSED",
    "REWRITTEN_OTHERWISE",
    "ROOT",
    "path_of",
]

ROOT: Final = Path(pydicom.data.__file__).parent / "test_files"
"""Only what the wheel brings; nothing is downloaded."""

NOT_DICOM: Final = (
    "README.txt",
    "crayons.icc",
    "no_meta.dcm",  # a stray space before a bare data set: neither a file nor a data set
    "rtplan.dump",
    "rtstruct.dump",
    "test1.json",
    "test_PN.json",
    "zipMR.gz",
    "dicomdirtests/README.txt",
    "dicomdirtests/TINY_ALPHA/README",
)

REFUSED: Final = {
    "MR_truncated.dcm": ErrorCode.TRUNCATED,  # 62 bytes of its Pixel Data are missing
    "rtplan_truncated.dcm": ErrorCode.TRUNCATED,  # ends inside Beam Sequence
    "meta_missing_tsyntax.dcm": ErrorCode.MISSING_TRANSFER_SYNTAX,  # nor a group 0008 to go by
    "empty_charset_LEI.dcm": ErrorCode.MISSING_REQUIRED_VALUE,  # no SOP Class UID anywhere
    "nested_priv_SQ.dcm": ErrorCode.MISSING_REQUIRED_VALUE,  # the same
}
"""Files that pydicom opens and we don't: an instance needs its UIDs, its syntax, its end."""

BROKEN_DATA_SETS: Final = {
    # The last record's item is 24 bytes longer than the sequence it lies in, which ends
    # with the file; pydicom reads on to the end of the file.
    "dicomdirtests/DICOMDIR-nooffset": ErrorCode.TRUNCATED,
}
"""Files whose header can be read and whose data set can't."""

REWRITTEN_OTHERWISE: Final = {
    "693_J2KI.dcm": "has group lengths, which PS3.5 7.2 retired",
    "ExplVR_BigEnd.dcm": "has group lengths, which PS3.5 7.2 retired",
    "SC_rgb_jpeg.dcm": "writes a Sequence Delimitation Item into a sequence of known length",
    "UN_sequence.dcm": "has a sequence under VR UN, which we know to be SQ",
    "image_dfl.dcm": "has bytes after the end of its deflate stream",
}
"""Files whose data set doesn't come back byte for byte when it is decoded and encoded."""


def path_of(name: str) -> Path:
    """Return the path of a file by the name used in these tables."""
    return ROOT / name


def _readable() -> tuple[str, ...]:
    files = (path for path in ROOT.rglob("*") if path.is_file())
    names = (path.relative_to(ROOT).as_posix() for path in files)
    odd = {*NOT_DICOM, *REFUSED}
    return tuple(sorted(name for name in names if name not in odd and "__pycache__" not in name))


READABLE: Final = _readable()
"""Everything else."""
