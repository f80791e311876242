"""The table of transfer syntaxes in the reference: it is whole, and its proofs exist."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pydicom.dataset import Dataset

from pacs_sdk.core.results import raised
from pacs_sdk.encoding import (
    TransferSyntax,
    all_transfer_syntaxes,
    decode_frames,
    default_codecs,
    instance_from_dataset,
    read_file,
    write_file,
)
from tests.encoding.compressed_images import dataset_of, item

_ROOT = Path(__file__).parents[2]
_DECODED = {uid for codec in default_codecs().codecs for uid in codec.transfer_syntaxes}
NATIVE = [s for s in all_transfer_syntaxes() if not s.encapsulated and "VR" in s.keyword]
PASSED_ON = [s for s in all_transfer_syntaxes() if s.encapsulated and s.uid not in _DECODED]


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module that makes the table for the documentation."""
    monkeypatch.syspath_prepend(str(_ROOT / "docs" / "_ext"))
    monkeypatch.delitem(sys.modules, "transfer_syntax_table", raising=False)
    return importlib.import_module("transfer_syntax_table")


def test_every_named_test_exists(table: ModuleType) -> None:
    """A row names tests, and each of them is there."""
    for syntax in all_transfer_syntaxes():
        for proof in table.proofs(syntax):
            file, _, name = proof.partition("::")
            functions = {
                node.name
                for node in ast.parse((_ROOT / file).read_text(encoding="utf-8")).body
                if isinstance(node, ast.FunctionDef)
            }
            assert name in functions, proof


def test_every_transfer_syntax_with_pixels_has_its_row(table: ModuleType) -> None:
    """What the codecs do is in the table, as is what is passed on."""
    text = table.transfer_syntax_table()
    for syntax in all_transfer_syntaxes():
        assert (f"`{syntax.uid}`" in text) == bool(table.proofs(syntax)), syntax
    assert set(table.PROOFS) == _DECODED


def test_a_codec_does_what_it_says() -> None:
    """The table of a codec and what it decodes and encodes are one."""
    for codec in default_codecs().codecs:
        said = {one.transfer_syntax_uid: one for one in codec.capabilities}
        assert len(said) == len(codec.capabilities)
        assert {uid for uid, one in said.items() if one.decodes} == codec.transfer_syntaxes
        assert {uid for uid, one in said.items() if one.encodes} == codec.encodes


@pytest.mark.parametrize("syntax", NATIVE, ids=lambda syntax: syntax.keyword)
def test_native_pixels(syntax: TransferSyntax) -> None:
    """Native numbers are written and read in every native transfer syntax."""
    pixels = np.arange(-12, 12).reshape(2, 3, 4).astype("<i2")
    dataset = dataset_of("1.2.840.10008.1.2.1", pixels, pixels.tobytes())
    dataset["PixelData"].is_undefined_length = False
    dataset["PixelData"].VR = "OW"
    instance = raised(instance_from_dataset(dataset, syntax))
    assert np.array_equal(raised(decode_frames(instance)), pixels)


@pytest.mark.parametrize("syntax", PASSED_ON, ids=lambda syntax: syntax.keyword)
def test_what_is_not_decoded_passes_through(syntax: TransferSyntax, tmp_path: Path) -> None:
    """Video, and compression without a codec, is read and written with every byte as it was."""
    stream = item() + item(bytes(range(256)) * 4) + item(b"second")
    dataset: Dataset = dataset_of(syntax.uid, np.zeros((1, 2, 3), "u1"), stream)
    instance = raised(instance_from_dataset(dataset, syntax))
    path = raised(write_file(instance, tmp_path / "one.dcm"))
    again = raised(read_file(path))
    assert again.syntax == syntax
    assert bytes(again.encoded.view()) == bytes(instance.encoded.view())
    assert stream in bytes(again.encoded.view())
    assert isinstance(again.dataset().unwrap().pydicom, Dataset)
