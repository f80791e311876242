"""All targets by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import attrs

from fuzz import datasets, network, pixels, validation, values

__all__ = ["CORPUS", "TARGETS", "Target"]

CORPUS: Final = Path(__file__).parent / "corpus"
_TOKENS: Final = Path(__file__).parent / "tokens"


@attrs.frozen
class Target:
    """A function that takes any bytes."""

    name: str
    """What it is called on the command line."""
    run: Callable[[bytes], None]
    """Returns for a value or a ``PacsError``; what it raises is a defect."""
    tokens: str = "dicom.dict"
    """The file with the words of its language."""
    corpus: str = attrs.field()
    """The folder of its seeds, where that isn't its name."""

    @corpus.default
    def _named_alike(self) -> str:
        return self.name

    @property
    def folder(self) -> Path:
        """Where its seeds are."""
        return CORPUS / self.corpus

    @property
    def dictionary(self) -> Path:
        """The file with the words of its language, as libFuzzer reads it."""
        return _TOKENS / self.tokens

    def seeds(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and bytes of each seed."""
        for path in sorted(self.folder.iterdir()):
            yield path.name, path.read_bytes()


def _all() -> Iterator[Target]:
    yield Target("reader", datasets.reader)
    yield Target("scanner", datasets.scanner, corpus="reader")
    yield Target("part10", datasets.part10)
    yield Target("iod_validation", validation.iod_validation, corpus="part10")
    yield Target("encapsulated", pixels.encapsulated)
    for codec in pixels.CODECS:
        yield Target(codec, pixels.codec_target(codec), "codestream.dict")
    yield Target("rendering", pixels.rendering)
    yield Target("charsets", values.charsets, "text.dict")
    yield Target("element_values", values.element_values, "text.dict")
    yield Target("json_model", values.json_model, "json.dict")
    yield Target("xml_model", values.xml_model, "xml.dict")
    yield Target("path", values.path, "text.dict")
    yield Target("association", network.association, "network.dict")
    yield Target("pdu", network.pdu, "network.dict")
    yield Target("command_set", network.command_set, "network.dict")


TARGETS: Final = {target.name: target for target in _all()}
