"""What the tables of an IOD say about a data set: types, conditions, terms (PS3.5 7.4)."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from pacs_sdk.core.path import DatasetPath, PathStep
from pacs_sdk.core.path_access import name_in
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding.datasets.elements import MAX_NESTING
from pacs_sdk.services.iod_validation.attribute_type import AttributeType
from pacs_sdk.services.iod_validation.bounded import MAX_FINDINGS, Room
from pacs_sdk.services.iod_validation.iod_rules import (
    AttributeRule,
    IodRules,
    Level,
    ModuleRules,
)
from pacs_sdk.services.iod_validation.item_values import (
    described,
    has_value,
    items_of,
    texts,
)
from pacs_sdk.services.iod_validation.report import IodFinding, IodRule, Severity
from pacs_sdk.services.iod_validation.scene import Scene
from pacs_sdk.services.iod_validation.terms import Terms

__all__ = ["is_used", "table_findings"]


def is_used(module: ModuleRules, scene: Scene) -> bool:
    """Whether a data set has to keep to a module of its IOD.

    Args:
        module: The module.
        scene: The data set.
    """
    return (
        module.usage == "M"
        or not module.signs.isdisjoint(scene.tags)
        or (module.condition is not None and module.condition.holds(scene))
    )


def table_findings(iod: IodRules, scene: Scene) -> tuple[IodFinding, ...]:
    """Return what breaks the tables, each thing once: by the module that demands the most.

    Args:
        iod: The IOD.
        scene: The data set.

    Returns:
        The findings; the rest is not looked for once there are more errors than a report takes.
    """
    found: dict[tuple[DatasetPath, IodRule], IodFinding] = {}
    room = Room.of(MAX_FINDINGS + 1)
    for module in iod.modules:
        walk = _Walk(module.title)
        # Of a module that isn't used some sequence may be there, as an extension.
        look = walk.level if is_used(module, scene) else walk.sequences
        for one in look(module.level, scene, ()):
            key = (one.path, one.rule)
            if key in found:
                found[key] = min(found[key], one, key=_strictness)
            elif room.takes(one):
                found[key] = one
                if room.is_full:
                    return tuple(found.values())
    return tuple(found.values())


def _strictness(finding: IodFinding) -> int:
    return tuple(AttributeType).index(finding.type or AttributeType.THREE)


@attrs.frozen
class _Walk:
    """One module's way through a data set."""

    module: str

    def level(
        self, level: Level, scene: Scene, steps: tuple[PathStep, ...]
    ) -> Iterator[IodFinding]:
        """Look at the attributes of a module, or of an item."""
        tags = scene.tags
        for rule in level.needed:
            if rule.tag not in tags:
                yield from self._missing(rule, scene, steps)
        for tag in level.looked_at.keys() & tags:
            yield from self._present(level.looked_at[tag], scene, steps)

    def _missing(
        self, rule: AttributeRule, scene: Scene, steps: tuple[PathStep, ...]
    ) -> Iterator[IodFinding]:
        if rule.condition is None:
            reason, reference = "", ""
        elif rule.condition.holds(scene):
            reason = f", required where {rule.condition.words}"
            reference = f"PS3.3 {rule.condition.reference}"
        else:
            return
        words = f"{described(rule.tag)} is absent (type {rule.type} of {self.module}{reason})"
        yield self._finding(IodRule.ABSENT, rule, scene, steps, words, reference)

    def _present(
        self, rule: AttributeRule, scene: Scene, steps: tuple[PathStep, ...]
    ) -> Iterator[IodFinding]:
        if rule.type.needs_value and not has_value(scene.item, rule.tag):
            words = f"{described(rule.tag)} has no value (type {rule.type} of {self.module})"
            yield self._finding(IodRule.EMPTY, rule, scene, steps, words)
            return
        for terms in rule.terms:
            yield from self._terms(terms, rule, scene, steps)
        yield from self._items(rule, scene, steps)

    def sequences(
        self, level: Level, scene: Scene, steps: tuple[PathStep, ...]
    ) -> Iterator[IodFinding]:
        """Look at the items of sequences alone."""
        for tag in level.sequences.keys() & scene.tags:
            yield from self._items(level.sequences[tag], scene, steps)

    def _items(
        self, rule: AttributeRule, scene: Scene, steps: tuple[PathStep, ...]
    ) -> Iterator[IodFinding]:
        if rule.items is None or len(steps) >= MAX_NESTING - 1:
            return
        name = name_in(scene.item, DicomTag(rule.tag))
        for index, item in enumerate(items_of(scene.item, rule.tag)):
            yield from self.level(rule.items, scene.inside(item), (*steps, PathStep(name, index)))

    def _terms(
        self, terms: Terms, rule: AttributeRule, scene: Scene, steps: tuple[PathStep, ...]
    ) -> Iterator[IodFinding]:
        keyword = DicomTag(rule.tag).keyword
        values = texts(scene.item, keyword)
        chosen = values if terms.index is None else values[terms.index : terms.index + 1]
        if all(one in terms.values or not one for one in chosen):
            return
        known = ", ".join(sorted(terms.values))
        which = "" if terms.index is None else f" {terms.index + 1}"
        kind = IodRule.ENUMERATED_VALUE if terms.is_closed else IodRule.DEFINED_TERM
        rule_words = "has to be one of" if terms.is_closed else "is none of the Defined Terms"
        words = f"value{which} of {described(rule.tag)} {rule_words} {known}"
        reference = f"PS3.3 {terms.reference}"
        severity = Severity.ERROR if terms.is_closed else Severity.WARNING
        yield attrs.evolve(
            self._finding(kind, rule, scene, steps, words, reference), severity=severity
        )

    def _finding(
        self,
        kind: IodRule,
        rule: AttributeRule,
        scene: Scene,
        steps: tuple[PathStep, ...],
        words: str,
        reference: str = "",
    ) -> IodFinding:
        path = DatasetPath((*steps, PathStep(name_in(scene.item, DicomTag(rule.tag)))))
        return IodFinding(Severity.ERROR, kind, path, words, self.module, rule.type, reference)
