"""Which codec decodes and encodes which transfer syntax."""

from __future__ import annotations

import functools
import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Self

import attrs

from pacs_sdk.encoding.codecs.description import Capability, Codec
from pacs_sdk.encoding.codecs.standard import standard_codecs

__all__ = ["CODEC_ENTRY_POINTS", "CodecRegistry", "CodecStatus", "default_codecs"]

CODEC_ENTRY_POINTS: Final = "pacs_sdk.codecs"
"""The entry-point group in which other packages offer a :class:`Codec`."""


@attrs.frozen
class CodecStatus:
    """Whether a codec can be used here."""

    name: str
    """Its name, or that of the entry point that could not be loaded."""
    transfer_syntaxes: tuple[str, ...]
    """UIDs of the transfer syntaxes it decodes, sorted; none where it could not be loaded."""
    encodes: tuple[str, ...] = ()
    """UIDs of the transfer syntaxes it encodes, sorted."""
    reason: str = ""
    """Why it cannot be used; empty where it can."""

    @property
    def usable(self) -> bool:
        """Whether it can be used."""
        return not self.reason


@attrs.frozen
class CodecRegistry:
    """Codecs in order of preference; a value, so each caller may have an order of its own."""

    codecs: tuple[Codec, ...]
    """The codecs; of several for a transfer syntax the first usable one is taken."""
    not_loaded: tuple[CodecStatus, ...] = ()
    """Entry points whose codec could not be loaded."""

    @classmethod
    def discover(cls) -> Self:
        """Collect the SDK's codecs and, after them, those of installed packages."""
        codecs, not_loaded = list(standard_codecs()), []
        for entry in importlib.metadata.entry_points(group=CODEC_ENTRY_POINTS):
            try:
                loaded = entry.load()
                codecs.append(loaded() if callable(loaded) else loaded)
            except (ImportError, AttributeError, TypeError, ValueError, OSError) as exc:
                reason = f"{entry.value} cannot be loaded: {exc}"
                not_loaded.append(CodecStatus(entry.name, (), reason=reason))
        return cls(tuple(codecs), tuple(not_loaded))

    def preferring(self, names: Sequence[str]) -> Self:
        """Return a registry in which the codecs of these names come first, in this order."""
        rank: Mapping[str, int] = {name: number for number, name in enumerate(names)}
        ordered = sorted(self.codecs, key=lambda codec: rank.get(codec.name, len(rank)))
        return attrs.evolve(self, codecs=tuple(ordered))

    def with_codecs(self, codecs: Iterable[Codec]) -> Self:
        """Return a registry in which these codecs come before all others."""
        return attrs.evolve(self, codecs=(*codecs, *self.codecs))

    def codec_for(self, transfer_syntax_uid: str) -> Codec | None:
        """Return the codec that decodes a transfer syntax, or ``None`` where none can."""
        for codec in self.codecs:
            if transfer_syntax_uid in codec.transfer_syntaxes and not codec.unavailable():
                return codec
        return None

    def encoder_for(self, transfer_syntax_uid: str) -> Codec | None:
        """Return the codec that encodes a transfer syntax, or ``None`` where none can."""
        for codec in self.codecs:
            if transfer_syntax_uid in _encodes(codec) and not codec.unavailable():
                return codec
        return None

    def available(self) -> tuple[CodecStatus, ...]:
        """Say of each codec, in order of preference, what it does or why it cannot."""
        found = (
            CodecStatus(
                codec.name,
                tuple(sorted(codec.transfer_syntaxes)),
                tuple(sorted(_encodes(codec))),
                codec.unavailable(),
            )
            for codec in self.codecs
        )
        return (*found, *self.not_loaded)

    def capabilities(self, transfer_syntax_uid: str) -> tuple[tuple[str, Capability], ...]:
        """Say what usable codecs do with a transfer syntax: their names, preferred ones first."""
        return tuple(
            (codec.name, capability)
            for codec in self.codecs
            if not codec.unavailable()
            for capability in getattr(codec, "capabilities", ())
            if capability.transfer_syntax_uid == transfer_syntax_uid
        )


def _encodes(codec: Codec) -> frozenset[str]:
    """What a codec encodes; one that was written for decoding alone may not say so."""
    found: frozenset[str] = getattr(codec, "encodes", frozenset())
    return found


@functools.cache
def default_codecs() -> CodecRegistry:
    """Return the registry that is used where none is given; made once, at first use."""
    return CodecRegistry.discover()
