"""Attributes that an IOD doesn't have: extensions, retired and private ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import attrs
from pydicom.datadict import dictionary_has_tag, dictionary_is_retired
from pydicom.dataset import Dataset

from pacs_sdk.core.path import DatasetPath, PathStep
from pacs_sdk.core.path_access import name_in
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding.datasets.elements import MAX_NESTING
from pacs_sdk.services.iod_validation.bounded import MAX_FINDINGS
from pacs_sdk.services.iod_validation.iod_rules import AttributeRule, IodRules, Level
from pacs_sdk.services.iod_validation.item_values import described, items_of
from pacs_sdk.services.iod_validation.report import IodFinding, IodRule, Severity

__all__ = ["notes_of"]

_OUTSIDE_IODS = frozenset((0xFFFCFFFC, 0xFFFAFFFA, 0x04000561))
"""Data Set Trailing Padding (PS3.10 7.2); Digital Signatures (PS3.15); Original Attributes."""


def notes_of(dataset: Dataset, iod: IodRules) -> tuple[IodFinding, ...]:
    """Note what a data set has beyond its IOD; the same in many items is one note.

    Args:
        dataset: The data set.
        iod: Its IOD. Attributes of all its modules count, used or not: which of several
            modules with one attribute is used cannot always be told.
    """
    notes: dict[tuple[str, ...], _Note] = {}
    _look(dataset, iod.attributes if iod.is_complete else None, (), (), notes)
    return tuple(note.finding() for note in notes.values())


@attrs.define
class _Note:
    rule: IodRule
    path: DatasetPath
    words: str
    count: int = 0

    def finding(self) -> IodFinding:
        often = f", in {self.count} places" if self.count > 1 else ""
        return IodFinding(Severity.NOTE, self.rule, self.path, f"{self.words}{often}")


_Known: TypeAlias = Mapping[int, tuple[AttributeRule, ...]]


def _look(
    item: Dataset,
    known: _Known | None,
    steps: tuple[PathStep, ...],
    names: tuple[str, ...],
    notes: dict[tuple[str, ...], _Note],
) -> None:
    """Look through an item.

    Args:
        item: The item.
        known: What its attributes may be; ``None`` where nothing is known of them.
        steps: The way to it.
        names: The same without the numbers of items.
        notes: What was noted.
    """
    for number in map(int, item.keys()):
        found = known.get(number, ()) if known is not None else ()
        if not found:
            _note_other(item, DicomTag(number), known is not None, steps, names, notes)
            continue
        inner = [rule.items for rule in found if rule.items is not None]
        if not inner or len(steps) >= MAX_NESTING - 1:
            continue
        tag = DicomTag(number)
        name = name_in(item, tag)
        within = _joined(inner)
        for index, one in enumerate(items_of(item, number)):
            _look(one, within, (*steps, PathStep(name, index)), (*names, str(tag)), notes)


def _joined(levels: Sequence[Level]) -> _Known:
    """Return what the modules say about the items of one sequence, mostly all the same."""
    if all(level is levels[0] for level in levels):
        return levels[0].known
    known: dict[int, tuple[AttributeRule, ...]] = {}
    for level in levels:
        for tag, rule in level.rules.items():
            known[tag] = (*known.get(tag, ()), rule)
    return known


def _note_other(
    item: Dataset,
    tag: DicomTag,
    is_all_known: bool,
    steps: tuple[PathStep, ...],
    names: tuple[str, ...],
    notes: dict[tuple[str, ...], _Note],
) -> None:
    if tag.is_private:
        if 0x10 <= tag.element <= 0xFF:  # it reserves a block
            words = (IodRule.PRIVATE, f"private attributes of group {tag.group:04X}")
            _note(words, item, tag, steps, names, notes)
    elif is_all_known and tag.element and int(tag) not in _OUTSIDE_IODS:
        _note(_words_of(tag), item, tag, steps, names, notes)


def _words_of(tag: DicomTag) -> tuple[IodRule, str]:
    if not dictionary_has_tag(int(tag)) and not described(int(tag)).partition(" ")[2]:
        return IodRule.NOT_IN_IOD, f"{tag} is in no edition of the dictionary that is known here"
    if _is_retired(tag):
        return IodRule.RETIRED, f"{described(int(tag))} is retired"
    return (
        IodRule.NOT_IN_IOD,
        f"{described(int(tag))} is not part of the IOD there: a standard extension",
    )


def _is_retired(tag: DicomTag) -> bool:
    try:
        return dictionary_is_retired(int(tag))
    except KeyError:
        return False


def _note(
    words: tuple[IodRule, str],
    item: Dataset,
    tag: DicomTag,
    steps: tuple[PathStep, ...],
    names: tuple[str, ...],
    notes: dict[tuple[str, ...], _Note],
) -> None:
    key = (*names, str(tag))
    found = notes.get(key)
    if found is None:
        if len(notes) > MAX_FINDINGS:
            return
        path = DatasetPath((*steps, PathStep(name_in(item, tag))))
        found = notes[key] = _Note(*words[:1], path, words[1])
    found.count += 1
