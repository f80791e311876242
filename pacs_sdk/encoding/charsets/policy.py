"""Which character sets hold for a data set: what it declares, or what is known better."""

from __future__ import annotations

import enum
import functools
from collections.abc import Iterable
from typing import Final, TypeAlias

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding.charsets.terms import ISO_IR_6, CharacterSet, character_set, split_terms

__all__ = [
    "DEFAULT_CHARACTER_SETS",
    "DEFAULT_POLICY",
    "CharacterSetPolicy",
    "CharacterSets",
    "Undecodable",
    "character_sets",
    "effective_character_sets",
]

CharacterSets: TypeAlias = tuple[CharacterSet, ...]
"""The values of Specific Character Set, at least one; the first is in force initially."""

DEFAULT_CHARACTER_SETS: Final[CharacterSets] = (ISO_IR_6,)
"""What holds where nothing is declared (PS3.5 6.1.1)."""

_LONGEST_DECLARED_BYTES: Final = 1024
"""What is read of a value of Specific Character Set. All defined terms together take 430 bytes; what
is made of a value is kept for others like it, and of a megabyte of backslashes that is 10 MB."""

_LONGEST_SHOWN: Final = 64
"""Characters of a wrong term that an error repeats; a right one has 15 at most."""


class Undecodable(enum.StrEnum):
    """What becomes of an unknown character set, and of bytes that a set does not have."""

    REPLACE = "replace"
    """An unknown term is read as ISO_IR 6, bytes become U+FFFD: no instance is lost."""
    ERROR = "error"
    """They are a failure, ``DECODE_FAILED``."""


def _known_terms(given: str | Iterable[str]) -> tuple[str, ...]:
    terms = given.split("\\") if isinstance(given, str) else tuple(given)
    found = [] if tuple(terms) in ((), ("",)) else [_known(term) for term in terms]
    return tuple(one.term for one in _combined(found)) if found else ()


def _known(term: str) -> CharacterSet:
    found = character_set(term)
    if found is None:
        raise ValueError(
            f"{term[:_LONGEST_SHOWN]!r} is no defined term of Specific Character Set "
            "(PS3.3 C.12.1.1.2), such as 'ISO_IR 192'"
        )
    return found


@attrs.frozen
class CharacterSetPolicy:
    """How the text of one source of data sets is to be read, whatever they declare.

    Terms are those of PS3.3 C.12.1.1.2: ``"ISO_IR 100"``, or several in a tuple.
    Constructing it raises ``ValueError`` for a term that is none.
    """

    assume: tuple[str, ...] = attrs.field(default=(), converter=_known_terms)
    """Holds where Specific Character Set is absent or empty."""
    override: tuple[str, ...] = attrs.field(default=(), converter=_known_terms)
    """Holds whatever is declared."""
    on_undecodable: Undecodable = attrs.field(default=Undecodable.REPLACE, converter=Undecodable)
    """What becomes of unknown terms and undecodable bytes."""

    @property
    def strict(self) -> bool:
        """Whether undecodable text is an error."""
        return self.on_undecodable is Undecodable.ERROR


DEFAULT_POLICY: Final = CharacterSetPolicy()
"""Believes what is declared, and never fails."""


def character_sets(declared: bytes) -> CharacterSets:
    """Return the character sets that a value of Specific Character Set (0008,0005) names.

    Args:
        declared: The undecoded value; backslashes separate several.

    Returns:
        At least one. An unknown term stands for ISO_IR 6.
    """
    return effective_character_sets(declared)


def effective_character_sets(
    declared: bytes | None, policy: CharacterSetPolicy = DEFAULT_POLICY
) -> CharacterSets:
    """Return the character sets by which the text of a data set is decoded.

    Args:
        declared: The undecoded value of Specific Character Set, ``None`` where absent.
            For an item without one, pass that of the data set it lies in (PS3.5 7.5.3).
            Of one of more than 1,024 bytes only the beginning counts.
        policy: What is known about the source.

    Raises:
        PacsException: ``DECODE_FAILED`` for an unknown term where the policy says so.
    """
    if declared is not None and len(declared) > _LONGEST_DECLARED_BYTES:
        begin = declared[:_LONGEST_DECLARED_BYTES]
        declared = begin.rpartition(b"\\")[0] or begin
    return _remembered(declared, policy)


@functools.lru_cache(maxsize=1024)
def _remembered(declared: bytes | None, policy: CharacterSetPolicy) -> CharacterSets:
    if policy.override:
        return tuple(_known(term) for term in policy.override)
    terms = split_terms(declared or b"")
    if terms == ("",) and policy.assume:
        return tuple(_known(term) for term in policy.assume)
    found = []
    for term in terms:
        known = character_set(term)
        if known is None and policy.strict:
            raise PacsException(
                ErrorCode.DECODE_FAILED,
                f"Specific Character Set has {term[:_LONGEST_SHOWN]!r}, which is no defined term; "
                "name the right one in CharacterSetPolicy(override=...)",
                term=term[:_LONGEST_SHOWN],
            )
        found.append(known or ISO_IR_6)
    return _combined(found)


def _combined(sets: list[CharacterSet]) -> CharacterSets:
    """Drop what cannot be combined: sets that stand alone take no extensions, and are none."""
    if sets[0].stands_alone:
        return (sets[0],)
    return (sets[0], *(one for one in sets[1:] if not one.stands_alone))
