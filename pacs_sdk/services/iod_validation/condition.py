"""The conditions of types 1C and 2C and of conditional modules, as predicates."""

from __future__ import annotations

from collections.abc import Callable

import attrs
from pydicom.dataset import Dataset

from pacs_sdk.services.iod_validation.item_values import (
    has_value,
    integer,
    pointers,
    tag_of,
)
from pacs_sdk.services.iod_validation.scene import Scene

__all__ = [
    "Condition",
    "Holds",
    "absent",
    "at_top",
    "both",
    "either",
    "frames_point_to",
    "includes",
    "is_multi_frame",
    "is_one_of",
    "more_than",
    "present",
    "unless",
    "valued",
]

Holds = Callable[[Scene], bool]


@attrs.frozen
class Condition:
    """When an attribute or module is required."""

    holds: Holds
    """Whether it is, in a place."""
    words: str
    """When that is, to be read after "required where"."""
    reference: str
    """The section of PS3.3."""


def present(*keywords: str) -> Holds:
    """Hold where all of these are there."""
    return lambda scene: all(tag_of(one) in scene.tags for one in keywords)


def absent(*keywords: str) -> Holds:
    """Hold where none of these is there."""
    return lambda scene: not scene.has(*keywords)


def valued(keyword: str) -> Holds:
    """Hold where it has a value."""
    return lambda scene: has_value(scene.item, tag_of(keyword))


def is_one_of(keyword: str, *terms: str, index: int = 0) -> Holds:
    """Hold where one value, the first by default, is one of these."""

    def holds(scene: Scene) -> bool:
        values = scene.texts(keyword)
        return len(values) > index and values[index] in terms

    return holds


def includes(keyword: str, *terms: str) -> Holds:
    """Hold where any of its values is one of these."""
    return lambda scene: not set(terms).isdisjoint(scene.texts(keyword))


def more_than(keyword: str, number: int) -> Holds:
    """Hold where its first value is a larger integer."""

    def holds(scene: Scene) -> bool:
        value = integer(scene.item, keyword)
        return value is not None and value > number

    return holds


def both(one: Holds, other: Holds) -> Holds:
    """Hold where two conditions do."""
    return lambda scene: one(scene) and other(scene)


def either(one: Holds, other: Holds) -> Holds:
    """Hold where one of two conditions does."""
    return lambda scene: one(scene) or other(scene)


def at_top(holds: Holds) -> Holds:
    """Ask of the data set what would be asked of the item."""
    return lambda scene: holds(attrs.evolve(scene, item=scene.top, outer=()))


def is_multi_frame(dataset: Dataset) -> bool:
    """Whether an image has, or may have, more than one frame."""
    return (integer(dataset, "NumberOfFrames") or 0) > 1


def frames_point_to(keyword: str) -> Holds:
    """Hold where the Frame Increment Pointer names an attribute (PS3.3 C.7.6.6)."""
    return lambda scene: tag_of(keyword) in pointers(scene.item, "FrameIncrementPointer")


def unless(other: str, reference: str) -> Condition:
    """Require an attribute where another is absent, which says the same."""
    return Condition(absent(other), f"there is no {other}", reference)
