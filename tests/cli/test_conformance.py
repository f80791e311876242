from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.cli.helpers import failed, pacs, succeeded


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write the configuration of a server that takes CT images only."""
    path = tmp_path / "pacs.toml"
    path.write_text(
        f'[server]\nae_title = "CT_ONLY"\n[storage]\ndata_dir = "{tmp_path / "data"}"\n'
        'duplicates = "keep_both"\n[services]\nstorage_sop_classes = ["CT"]\n'
        'enabled = ["storage"]\n'
    )
    return path


def test_the_statement_of_a_configuration(config: Path, tmp_path: Path) -> None:
    """Markdown on stdout; the archive of the configuration is not made."""
    text = succeeded(pacs("conformance", "--config", config))
    assert text.startswith("# DICOM Conformance Statement: pacs\\_sdk\n")
    assert "| AE title | CT\\_ONLY |" in text
    assert "Enhanced CT Image Storage" in text
    server, client = text.split(" Associations of the Client\n\n")
    assert "MR Image Storage" not in server
    assert "MR Image Storage" in client
    assert "both are kept" in text
    assert str(tmp_path) not in text
    assert not (tmp_path / "data").exists()


def test_html_in_a_file(config: Path, tmp_path: Path) -> None:
    """One page, with the names that the options give."""
    page = tmp_path / "statement.html"
    options = ("--product", "Ward Archive", "--manufacturer", "Ours & Sons", "--ae-title", "WARD")
    printed = succeeded(pacs("conformance", "--config", config, "--html", "--out", page, *options))
    assert printed == ""
    text = page.read_text("utf-8")
    assert text.startswith("<!DOCTYPE html>")
    assert "<title>DICOM Conformance Statement: Ward Archive</title>" in text
    assert "<td>Ours &amp; Sons</td>" in text
    assert "<td>WARD</td>" in text


def test_no_port_is_opened(config: Path) -> None:
    """A statement of a server whose port is taken, perhaps by itself, can be written."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = config.read_text().replace("[server]", f"[server]\nport = {taken.getsockname()[1]}")
        config.write_text(text)
        assert f"| Port | {taken.getsockname()[1]} |" in succeeded(
            pacs("conformance", "--config", config)
        )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[services]\nenabled = ["querry"]', "there is no service 'querry'"),
        ('[services]\nadded = ["nowhere:service"]', "No module named 'nowhere'"),
        ("[services]\nstorage_sop_classes = 7", "storage_sop_classes"),
    ],
)
def test_a_configuration_that_cannot_be(text: str, words: str, config: Path) -> None:
    """One line says what is wrong with it."""
    config.write_text(text)
    assert words in failed(pacs("conformance", "--config", config))


def test_a_file_that_cannot_be_written(config: Path, tmp_path: Path) -> None:
    """The path is named."""
    line = failed(pacs("conformance", "--config", config, "--out", tmp_path / "no" / "file.md"))
    assert str(tmp_path / "no" / "file.md") in line
