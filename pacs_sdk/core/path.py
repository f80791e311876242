"""Paths to elements, however deep in sequences they lie.

::

    path  =  step *("." step)
    step  =  element [ "[" (number / "*") "]" ]
    element  =  keyword                     PatientName, in any case
             /  tag                         00100010 or (0010,0010)
             /  "(" group "," quoted "," byte ")"     (0009,"ACME 1.1",02)

Items count from 0; ``[*]`` stands for each of them. A private element may be named by
its owner, between double quotes (one within is doubled), and the last byte of its
number: its block is then looked up where it lies (PS3.5 7.8.1). The last step may name
an item too. As text a path is written with keywords as PS3.6 spells them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, Self, TypeAlias

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.private_block import PrivateTag
from pacs_sdk.core.results import edge
from pacs_sdk.core.tags import DicomTag, TagLike

__all__ = [
    "MAX_ITEM_INDEX",
    "MAX_PATH_STEPS",
    "DatasetPath",
    "PathLike",
    "PathStep",
    "parse_path",
    "plain_tag",
]

MAX_PATH_STEPS: Final = 64
"""Steps a path may have: as deep as sequences are read."""

MAX_ITEM_INDEX: Final = (1 << 20) - 1
"""The last item a path may name: as many items as a sequence may have when it is read."""

_MAX_CHARACTERS: Final = 8192

_ELEMENT: Final = re.compile(
    r'\(\s*(?P<group>[0-9A-Fa-f]{4})\s*,\s*"(?P<creator>(?:[^"]|"")*)"'
    r"\s*,\s*(?P<offset>[0-9A-Fa-f]{2})\s*\)"
    r"|(?P<tag>\(\s*[0-9A-Fa-f]{4}\s*,\s*[0-9A-Fa-f]{4}\s*\)|\w+)",
    re.ASCII,
)
_ITEM: Final = re.compile(r"\[(?:(\d+)|(\*))\]", re.ASCII)


def _checked_item(_step: object, _field: object, item: int | str | None) -> None:
    if item is None or item == "*":
        return
    if not isinstance(item, int) or item < 0:
        raise PacsException(ErrorCode.INVALID_TAG, f"{item!r} is not the number of an item")
    if item > MAX_ITEM_INDEX:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED, f"item {item} lies beyond the last, {MAX_ITEM_INDEX}"
        )


@attrs.frozen
class PathStep:
    """One step of a path: an element and, of a sequence, one item or each."""

    element: DicomTag | PrivateTag
    """Which element, by tag or by its private creator."""
    item: int | Literal["*"] | None = attrs.field(default=None, validator=_checked_item)
    """Which item, from 0; ``"*"`` for each; ``None`` for the element itself."""

    def __str__(self) -> str:
        item = "" if self.item is None else f"[{self.item}]"
        return f"{_text_of(self.element)}{item}"


def _text_of(element: DicomTag | PrivateTag) -> str:
    if isinstance(element, PrivateTag):
        return str(element)
    keyword = element.keyword
    # A repeating group shares its keyword (OverlayRows): only the first tag may use it.
    return keyword if keyword and _tag_named(keyword) == element else str(element)


def _tag_named(keyword: str) -> DicomTag | None:
    try:
        return DicomTag.of(keyword)
    except PacsException:
        return None


def _checked_steps(_path: object, _field: object, steps: tuple[PathStep, ...]) -> None:
    if not steps:
        raise PacsException(ErrorCode.INVALID_TAG, "a path has at least one step")
    if len(steps) > MAX_PATH_STEPS:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED, f"a path has at most {MAX_PATH_STEPS} steps, not {len(steps)}"
        )
    for step in steps[:-1]:
        if step.item is None:
            raise PacsException(
                ErrorCode.INVALID_TAG, f"say which item of {step}: {step}[0] or {step}[*]"
            )


@attrs.frozen(repr=False)
class DatasetPath:
    """Where an element or an item lies in a data set; the module says how it is written."""

    steps: tuple[PathStep, ...] = attrs.field(validator=_checked_steps)
    """From the outermost element inwards; all but the last name an item."""

    @classmethod
    def of(cls, path: PathLike) -> DatasetPath:
        """Make a path from text, a tag, or a path.

        Raises:
            PacsException: ``INVALID_TAG`` or ``LIMIT_EXCEEDED``; :func:`parse_path` gives a
                ``Result`` instead.
        """
        match path:
            case DatasetPath():
                return path
            case PrivateTag():
                return cls((PathStep(path),))
            case str():
                return cls(tuple(_steps_of(path)))
        return cls((PathStep(DicomTag.of(path)),))

    @property
    def last(self) -> PathStep:
        """The innermost step."""
        return self.steps[-1]

    @property
    def has_wildcard(self) -> bool:
        """Whether it may stand for several places."""
        return any(step.item == "*" for step in self.steps)

    def item(self, number: int | Literal["*"]) -> Self:
        """Return the path of an item of the sequence that this path names."""
        return attrs.evolve(self, steps=(*self.steps[:-1], attrs.evolve(self.last, item=number)))

    def child(self, element: TagLike | PrivateTag) -> Self:
        """Return the path of an element in the item that this path names."""
        tag = element if isinstance(element, PrivateTag) else DicomTag.of(element)
        return attrs.evolve(self, steps=(*self.steps, PathStep(tag)))

    def __str__(self) -> str:
        return ".".join(str(step) for step in self.steps)

    def __repr__(self) -> str:
        return f"DatasetPath({str(self)!r})"


PathLike: TypeAlias = TagLike | PrivateTag | DatasetPath
"""What may stand for a path: its text, a tag in any form, or a path."""


def plain_tag(path: PathLike) -> DicomTag | None:
    """Return the tag of an element of the data set itself, the usual case; ``None`` for a path.

    Raises:
        PacsException: ``INVALID_TAG`` for what is neither.
    """
    if isinstance(path, DatasetPath | PrivateTag):
        return None
    if isinstance(path, str) and any(sign in path for sign in '.["'):
        return None
    return DicomTag.of(path)


def _steps_of(text: str) -> Iterator[PathStep]:
    if len(text) > _MAX_CHARACTERS:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED, f"a path has at most {_MAX_CHARACTERS} characters"
        )
    text = text.strip()
    position = 0
    for count in range(len(text) + 1):
        if count == MAX_PATH_STEPS:
            raise PacsException(
                ErrorCode.LIMIT_EXCEEDED, f"a path has at most {MAX_PATH_STEPS} steps"
            )
        found = _ELEMENT.match(text, position)
        if found is None:
            raise _unclear(text, position, "an element is expected")
        element = _element_of(found)
        position = found.end()
        item = _ITEM.match(text, position)
        if item is None:
            yield PathStep(element)
        else:
            yield PathStep(element, "*" if item[2] else _number_of(item[1]))
            position = item.end()
        if position == len(text):
            return
        if text[position] != ".":
            raise _unclear(text, position, "a dot, an item such as [0], or the end is expected")
        position += 1


def _element_of(found: re.Match[str]) -> DicomTag | PrivateTag:
    if found["tag"] is not None:
        return DicomTag.of(found["tag"])
    creator = found["creator"].replace('""', '"')
    return PrivateTag(int(found["group"], 16), creator, int(found["offset"], 16))


def _number_of(digits: str) -> int:
    # int() refuses, with an exception of its own, what has thousands of digits.
    significant = digits.lstrip("0") or "0"
    if len(significant) > len(str(MAX_ITEM_INDEX)):
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED,
            f"item {significant[:12]}… lies beyond the last, {MAX_ITEM_INDEX}",
        )
    return int(significant)


def _unclear(text: str, position: int, expected: str) -> PacsException:
    before, after = text[max(0, position - 40) : position], text[position : position + 20]
    return PacsException(
        ErrorCode.INVALID_TAG,
        f"the path is unclear after {before!r}, at {after!r}: {expected}",
        position=position,
    )


@edge()
def parse_path(path: PathLike) -> DatasetPath:
    """Make a path from what a user typed; see :meth:`DatasetPath.of`.

    Returns:
        ``Success``, or ``Failure`` with ``INVALID_TAG`` (the text is no path, or names no
        element of the dictionary) or ``LIMIT_EXCEEDED`` (too long, too deep, or an item
        beyond :data:`MAX_ITEM_INDEX`).
    """
    return DatasetPath.of(path)
