"""What we write against dicom3tools' checker, for each file that ships inside pydicom."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    TransferSyntax,
    encode_dataset,
    read_file,
    write_file,
)
from tests.encoding.shipped import BROKEN_DATA_SETS, READABLE, path_of

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about odd values

FILES = [name for name in READABLE if name not in BROKEN_DATA_SETS]
NATIVE = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
"""The checker's wheel was built without zlib: what is deflated it reads neither before nor after."""


def is_native(name: str) -> bool:
    """Whether a file's data set can become one of another syntax without touching its pixels."""
    syntax = raised(read_file(path_of(name))).syntax
    return not syntax.encapsulated and not syntax.deflated


CONVERTIBLE = [
    name for name in FILES if ("/" not in name or "DICOMDIR" in name) and is_native(name)
]
"""Of the folders of like series one kind is enough."""


def errors_in(dciodvfy: Path, path: Path) -> Counter[str]:
    """Return the lines in which the checker reports an error."""
    done = subprocess.run(
        [dciodvfy, path], capture_output=True, text=True, errors="replace", check=False, timeout=60
    )
    lines = (done.stdout + done.stderr).splitlines()
    assert lines, "it always says at least what kind of object it found"
    return Counter(line for line in lines if line.startswith(("Error", "Abort", "Assert")))


def written(instance: Instance, syntax: TransferSyntax, place: Path) -> Path:
    """Decode an instance, encode it in a syntax, and write that."""
    encoded = raised(encode_dataset(raised(instance.dataset()), syntax))
    again = Instance(
        instance.sop_class_uid, instance.sop_instance_uid, syntax.uid, MemoryBytes(encoded)
    )
    return raised(write_file(again, place))


@pytest.mark.interop("dciodvfy")
@pytest.mark.parametrize("name", FILES)
def test_no_new_errors(name: str, dciodvfy: Path, tmp_path: Path) -> None:
    """A file written as it is, and decoded and encoded, has no error that it had not before."""
    instance = raised(read_file(path_of(name)))
    before = errors_in(dciodvfy, path_of(name))
    for path in (
        raised(write_file(instance, tmp_path / "copied.dcm")),
        written(instance, instance.syntax, tmp_path / "encoded.dcm"),
    ):
        assert not errors_in(dciodvfy, path) - before


@pytest.mark.interop("dciodvfy")
@pytest.mark.parametrize("syntax", NATIVE, ids=str)
@pytest.mark.parametrize("name", CONVERTIBLE)
def test_no_new_errors_in_another_syntax(
    name: str, syntax: TransferSyntax, dciodvfy: Path, tmp_path: Path
) -> None:
    """Converting among the native syntaxes brings no error either."""
    instance = raised(read_file(path_of(name)))
    path = written(instance, syntax, tmp_path / "converted.dcm")
    assert not errors_in(dciodvfy, path) - errors_in(dciodvfy, path_of(name))
