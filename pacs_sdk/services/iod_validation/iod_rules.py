"""The tables of an IOD as rules that are quick to apply.

Every module becomes a :class:`Level`, every sequence in it has a level for its items. Levels
that say the same are one object: the Code Sequence Macro alone is in the tables 33,000 times.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import attrs
from pydicom._dicom_dict import RepeatersDictionary
from pydicom.datadict import tag_for_keyword

from pacs_sdk.services.iod_validation.attribute_conditions import attribute_condition
from pacs_sdk.services.iod_validation.attribute_type import AttributeType
from pacs_sdk.services.iod_validation.condition import Condition
from pacs_sdk.services.iod_validation.module_conditions import module_condition
from pacs_sdk.services.iod_validation.standard_tables import (
    AttributeRow,
    ModuleRow,
    StandardTables,
)
from pacs_sdk.services.iod_validation.terms import Terms, attribute_terms

__all__ = ["AttributeRule", "IodRuleBook", "IodRules", "Level", "ModuleRules", "title_of"]

_FUNCTIONAL_GROUPS: Final = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_CONTENT_MODULES: Final = frozenset(("sr-document-content", "document-content"))
"""Modules of the SR content tree, whose items look like its root at every depth."""
_CONTENT: Final = "ContentSequence"
_LOOSENED: Final = {
    AttributeType.ONE: AttributeType.ONE_C,
    AttributeType.TWO: AttributeType.TWO_C,
}
_SPECIALIZED: Final = {("multi-frame", 0x00280009): "sc-multi-frame-image"}
"""A module and its attribute → the module that says something else, and has the last word.
Frame Increment Pointer is type 1 (C.7.6.6); a Secondary Capture of one frame needs none."""
_OVERLAY_GROUPS: Final = range(0x6000, 0x6020, 2)


@attrs.frozen(eq=False)
class AttributeRule:
    """What a module says about one attribute."""

    tag: int
    """Its tag."""
    type: AttributeType
    """Its type."""
    condition: Condition | None
    """When a conditional one is required; ``None`` if that is not known."""
    terms: tuple[Terms, ...]
    """What its values may be, where these tables have it."""
    items: Level | None
    """What its items have, if it is a sequence that the tables describe."""


@attrs.frozen(eq=False)
class Level:
    """The attributes of a module, or of the items of one of its sequences."""

    rules: Mapping[int, AttributeRule]
    """By tag."""
    needed: tuple[AttributeRule, ...] = attrs.field(init=False)
    """Those that are, or may be, required."""
    looked_at: Mapping[int, AttributeRule] = attrs.field(init=False)
    """Those that have something to check where they are there."""
    sequences: Mapping[int, AttributeRule] = attrs.field(init=False)
    """Those that have items that the tables describe."""
    known: Mapping[int, tuple[AttributeRule, ...]] = attrs.field(init=False)
    """The rules, in the form that :attr:`IodRules.attributes` has."""

    def __attrs_post_init__(self) -> None:
        """Sort the rules by when they are applied."""
        self.refresh()

    def refresh(self) -> None:
        """Sort the rules again: those of a level that lies in itself are made after it."""
        rules = self.rules.items()
        looked_at = {
            tag: rule
            for tag, rule in rules
            if rule.type.needs_value or rule.terms or rule.items is not None
        }
        sequences = {tag: rule for tag, rule in rules if rule.items is not None}
        object.__setattr__(self, "needed", tuple(filter(_may_be_needed, self.rules.values())))
        object.__setattr__(self, "looked_at", looked_at)
        object.__setattr__(self, "sequences", sequences)
        object.__setattr__(self, "known", {tag: (rule,) for tag, rule in rules})


@attrs.frozen(eq=False)
class ModuleRules:
    """One module of an IOD."""

    key: str
    """Its name as in the tables."""
    title: str
    """Its name to read."""
    usage: str
    """M, C or U."""
    level: Level
    """Its attributes."""
    condition: Condition | None
    """When a conditional one is required; ``None`` if that is not known."""
    signs: frozenset[int]
    """Attributes, one of which shows that a module which is not mandatory is used."""


@attrs.frozen(eq=False)
class IodRules:
    """One IOD."""

    key: str
    """Its name as in the tables."""
    title: str
    """Its name to read."""
    modules: tuple[ModuleRules, ...]
    """Its modules."""
    mandatory_modules: frozenset[str]
    """The keys of those that are mandatory."""
    attributes: Mapping[int, tuple[AttributeRule, ...]]
    """The attributes of its modules by tag, each with what every module says about it."""
    is_complete: bool
    """Whether the tables have the attributes of all its modules."""


_SMALL: Final = frozenset(("of", "and", "for", "to", "in"))
_CAPITALS: Final = frozenset(
    [
        "cr",
        "ct",
        "dvh",
        "dx",
        "ecg",
        "iod",
        "ivus",
        "lut",
        "mr",
        "nm",
        "pet",
        "roi",
        "rt",
        "sc",
        "sop",
        "sr",
        "us",
        "voi",
        "vl",
        "xa",
        "xrf",
        "icc",
        "ar",
        "cad",
        "qa",
        "2d",
        "3d",
    ]
)


def title_of(key: str) -> str:
    """Write the key of a module or IOD as a title: ``voi-lut`` → ``VOI LUT``."""
    words = [
        word.upper() if word in _CAPITALS else word if word in _SMALL else word.capitalize()
        for word in key.split("-")
    ]
    return " ".join(words)


class IodRuleBook:
    """The rules of all IODs, made from the tables when they are first asked for.

    Args:
        tables: The tables.
    """

    def __init__(self, tables: StandardTables) -> None:
        self.source = tables.source
        """Where the tables come from."""
        self._tables = tables
        self._iods: dict[str, IodRules] = {}
        self._modules: dict[str, Level] = {}
        self._shared: dict[object, Level] = {}

    def of_sop_class(self, uid: str) -> IodRules | None:
        """Return the rules for a SOP class; ``None`` if the tables don't have it."""
        key = self._tables.iods.get(uid)
        if key is None or key not in self._tables.modules:
            return None
        found = self._iods.get(key)
        if found is None:
            found = self._iods[key] = self._iod(key)
        return found

    def sop_classes(self) -> frozenset[str]:
        """Return the UIDs of the SOP classes that there are rules for."""
        return frozenset(
            uid for uid, key in self._tables.iods.items() if key in self._tables.modules
        )

    # -- an IOD ------------------------------------------------------------------

    def _iod(self, key: str) -> IodRules:
        rows = self._tables.modules[key]
        there = [row for row in rows if row.key in self._tables.attributes]
        keys = {row.key for row in there}
        levels = [(row, level) for row in there for level in self._levels(row.key, keys)]
        attributes: defaultdict[int, tuple[AttributeRule, ...]] = defaultdict(tuple)
        for _, level in levels:
            for tag, rule in level.rules.items():
                attributes[tag] += (rule,)
        return IodRules(
            key,
            title_of(key),
            tuple(_module_rules(key, row, level, attributes) for row, level in levels),
            frozenset(row.key for row in there if row.usage == "M"),
            dict(attributes),
            len(there) == len(rows),
        )

    def _levels(self, module: str, beside: Collection[str]) -> Iterable[Level]:
        """Return the level of a module; for overlays one a repeating group (PS3.5 7.6).

        Args:
            module: The key of the module.
            beside: The keys of the IOD's modules.
        """
        level = self._modules.get(module)
        if level is None:
            level = self._modules[module] = self._module_level(module)
        left_to_others = {
            tag for (one, tag), other in _SPECIALIZED.items() if one == module and other in beside
        }
        if left_to_others:
            return [Level({tag: level.rules[tag] for tag in level.rules.keys() - left_to_others})]
        if all(tag >> 16 == _OVERLAY_GROUPS.start for tag in level.rules):
            return [_moved(level, group) for group in _OVERLAY_GROUPS]
        return [level]

    # -- a module ----------------------------------------------------------------

    def _module_level(self, module: str) -> Level:
        children: dict[tuple[str, ...], list[AttributeRow]] = defaultdict(list)
        for row in self._tables.attributes[module]:
            children[row.path].append(row)
        if module in _CONTENT_MODULES:
            return self._content_level(module, children)
        return self._level(module, (), children)

    def _level(
        self,
        module: str,
        path: tuple[str, ...],
        children: Mapping[tuple[str, ...], list[AttributeRow]],
    ) -> Level:
        rules = {}
        for row in children.get(path, ()):
            rule = self._rule(module, path, row, children)
            if rule is not None:
                rules[rule.tag] = rule
        return self._one(rules)

    def _rule(
        self,
        module: str,
        path: tuple[str, ...],
        row: AttributeRow,
        children: Mapping[tuple[str, ...], list[AttributeRow]],
    ) -> AttributeRule | None:
        tag = _tag_of(row.keyword)
        if tag is None:
            return None
        below = (*path, row.keyword)
        items = self._level(module, below, children) if below in children else None
        kind = _type_of(row)
        if path and path[0] in _FUNCTIONAL_GROUPS and len(path) == 1:
            # A group is in one of the two sequences, and optional ones are in neither.
            kind = _LOOSENED.get(kind, kind)
        sequence = path[-1] if path else ""
        condition = (
            attribute_condition(module, sequence, row.keyword) if kind.is_conditional else None
        )
        terms = attribute_terms(module, sequence, row.keyword)
        return AttributeRule(tag, kind, condition, terms, items)

    def _content_level(
        self, module: str, children: Mapping[tuple[str, ...], list[AttributeRow]]
    ) -> Level:
        """Make the level of content items, which lie in each other (PS3.3 C.17.3).

        What a content item has depends on its Value Type; the table lists it all.
        """
        rules: dict[int, AttributeRule] = {}
        level = Level(rules)
        for path in ((), (_CONTENT,)):
            for row in children.get(path, ()):
                found = self._rule(module, path, row, children)
                if found is None or found.tag in rules:
                    continue
                kind = _LOOSENED.get(found.type, found.type)
                condition = attribute_condition(module, "", row.keyword)
                items = level if row.keyword == _CONTENT else found.items
                rules[found.tag] = attrs.evolve(found, type=kind, condition=condition, items=items)
        level.refresh()
        return level

    def _one(self, rules: dict[int, AttributeRule]) -> Level:
        """Return the level with these rules; the same one for the same rules."""
        key = tuple(
            (rule.tag, rule.type, rule.condition, rule.terms, id(rule.items))
            for rule in rules.values()
        )
        found = self._shared.get(key)
        if found is None:
            found = Level(rules)
            self._shared[key] = found
        return found


def _may_be_needed(rule: AttributeRule) -> bool:
    return rule.type in (AttributeType.ONE, AttributeType.TWO) or rule.condition is not None


def _type_of(row: AttributeRow) -> AttributeType:
    return AttributeType.THREE if row.type == "None" else AttributeType(row.type)


_REPEATERS: Final = {
    row[4]: int(re.sub("x", "0", mask), 16)
    for mask, row in RepeatersDictionary.items()
    if re.fullmatch(r"[0-9A-Fx]{8}", mask)
}
"""Keyword → tag in the first of the repeating groups."""


def _tag_of(keyword: str) -> int | None:
    tag = tag_for_keyword(keyword)
    return int(tag) if tag is not None else _REPEATERS.get(keyword)


def _moved(level: Level, group: int) -> Level:
    """Return an overlay's level for another of the repeating groups."""
    rules = {
        (group << 16) | (tag & 0xFFFF): attrs.evolve(rule, tag=(group << 16) | (tag & 0xFFFF))
        for tag, rule in level.rules.items()
    }
    return Level(rules)


def _module_rules(
    iod: str,
    row: ModuleRow,
    level: Level,
    attributes: Mapping[int, tuple[AttributeRule, ...]],
) -> ModuleRules:
    own = [rule for tag, rule in level.rules.items() if len(attributes[tag]) == 1]
    return ModuleRules(
        row.key,
        title_of(row.key),
        row.usage,
        level,
        module_condition(iod, row.key) if row.usage == "C" else None,
        _signs(own),
    )


def _signs(own: Sequence[AttributeRule]) -> frozenset[int]:
    """Choose what shows that a module is used.

    A module cannot be used without its type 1 attributes; only one that has none is told by
    the others. So an empty Position Reference Indicator alone is no Frame of Reference.
    """
    for kinds in (
        (AttributeType.ONE,),
        (AttributeType.TWO, AttributeType.ONE_C, AttributeType.TWO_C),
    ):
        found = frozenset(rule.tag for rule in own if rule.type in kinds)
        if found:
            return found
    return frozenset()
