"""Person names made comparable: folded, cut into words, and as they sound (PS3.5 6.2.1).

How far matching of names goes beyond the letters is left to the implementation (PS3.4
C.2.2.2.1): here case, accents and the spaces around components never count. Fuzzy matching
(PS3.4 C.2.2.2.1.1) looks at words and their sounds as well.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

__all__ = [
    "ANY_CHARACTER",
    "ANY_CHARACTERS",
    "DOUBLE_LETTERS",
    "MAX_FOLDED_CHARACTERS",
    "folded_name",
    "folded_pattern",
    "name_groups",
    "name_sounds",
    "name_words",
    "sound_of",
]

MAX_FOLDED_CHARACTERS: Final = 512
"""What is kept of a folded group: decomposing makes a few characters eighteen of one, and
PostgreSQL's index entries take some 2,700 bytes."""

_MARKS: Final = re.compile(
    "[\u0300-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
)
"""Accents of Latin, Greek and Cyrillic, points of Hebrew and Arabic. Not the marks of kana,
Thai and the scripts of India, where a mark makes another letter or is a vowel."""

_LETTERS: Final = str.maketrans(
    {
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "ħ": "h",
        "\u0131": "i",  # without a dot
        "ł": "l",
        "ŧ": "t",
        "æ": "ae",
        "œ": "oe",
        "þ": "th",
        "ĸ": "k",
        "ŋ": "n",
    }
)
"""Letters that Unicode doesn't take for others with a mark; ``ß`` is ``ss`` in any folding."""

DOUBLE_LETTERS: Final = {
    "ss": "ßẞ",
    "ae": "æÆǽǼǣǢ",
    "oe": "œŒ",
    "th": "þÞ",
    "ij": "ĳĲ",
    "ff": "ﬀ",
    "fi": "ﬁ",
    "fl": "ﬂ",
    "\u0e4d\u0e32": "\u0e33",  # of Thai, a nasal and a vowel
}
"""Letters that are two when they are folded, by these two: all that the character sets of one
byte have (PS3.3 C.12.1.1.2), and some ligatures. None of them stands in a folded name."""

ANY_CHARACTERS: Final = "\ufdd0"
ANY_CHARACTER: Final = "\ufdd1"
"""What ``*`` and ``?`` are in a folded pattern: code points that no text has. A star in it is
one that folding has made, of the full-width star, and no wild card."""

_WILD_CARDS: Final = str.maketrans(
    {
        "*": ANY_CHARACTERS,
        "?": ANY_CHARACTER,
        ANY_CHARACTERS: "\ufffd",
        ANY_CHARACTER: "\ufffd",
    }
)

_WORD_ENDS: Final = re.compile(r"[\s^=\\,;.\-'`\u2010-\u2015\u2018\u2019\u00b7\u30fb/()\"]+")

_SOUNDS: Final = {
    **dict.fromkeys("bfpv", "1"),
    **dict.fromkeys("cgjkqsxz", "2"),
    **dict.fromkeys("dt", "3"),
    "l": "4",
    **dict.fromkeys("mn", "5"),
    "r": "6",
}

_VOWELS: Final = frozenset("aeiouy")

_MAX_SOUND: Final = 8


def folded_name(text: str) -> str:
    """Make one component group of a person name comparable.

    Neither case counts, nor accents (``é`` is ``e``, ``ø`` is ``o``, ``ß`` is ``ss``), nor
    the width of characters, nor spaces around components, nor delimiters at the end (PS3.5
    6.2.1.1).
    """
    if text.isascii():
        folded = text.lower()
    else:
        decomposed = unicodedata.normalize("NFKD", text).casefold()
        letters = _MARKS.sub("", unicodedata.normalize("NFKD", decomposed)).translate(_LETTERS)
        folded = unicodedata.normalize("NFC", letters)
    if "^" not in folded:
        return folded.strip()[:MAX_FOLDED_CHARACTERS]
    parts = "^".join([part.strip() for part in folded.split("^")])
    return parts[:MAX_FOLDED_CHARACTERS].rstrip("^")


def folded_pattern(text: str) -> str:
    """Make a pattern for one component group comparable: see :data:`ANY_CHARACTERS`."""
    return folded_name(text.translate(_WILD_CARDS))


def name_groups(text: str) -> tuple[str, str, str]:
    """Return the alphabetic, ideographic and phonetic group of a name, each folded."""
    groups = [folded_name(group) for group in text.split("=", 2)]
    alphabetic, ideographic, phonetic = (*groups, "", "")[:3]
    return alphabetic, ideographic, phonetic


def name_words(folded: str) -> tuple[str, ...]:
    """Return the words of a folded name, of all its components, each once."""
    return tuple(dict.fromkeys(word for word in _WORD_ENDS.split(folded) if word))


def name_sounds(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return how words sound, as far as they are Latin, each sound once."""
    return tuple(dict.fromkeys(sound for word in words if (sound := sound_of(word))))


def sound_of(word: str) -> str:
    """Return a code that words which sound alike have in common, empty if there is none.

    It is Soundex without its cut at four characters, and with a zero where a vowel ends the
    word: ``schmidt``, ``smith`` and ``smyth`` are ``s53``, ``meier`` and ``mayr`` are ``m6``,
    and ``john`` (``j5``) is not ``jane`` (``j50``). ``ph`` is taken for ``f``.

    Args:
        word: A folded word. One letter sounds like half of all names, so it has no code.
    """
    if len(word) < 2 or not (word.isascii() and word.isalpha()):
        return ""
    word = word.replace("ph", "f")
    code = [word[0]]
    last = _SOUNDS.get(word[0], "")
    for letter in word[1:]:
        sound = _SOUNDS.get(letter, "")
        if sound and sound != last:
            code.append(sound)
        if letter not in "hw":  # the letters around these two are taken for neighbours
            last = sound
    if word.rstrip("h")[-1:] in _VOWELS:
        code.append("0")
    return "".join(code)[:_MAX_SOUND]
