"""Where a condition of the standard is asked: an item, and what it lies in."""

from __future__ import annotations

import attrs
from pydicom.dataset import Dataset

from pacs_sdk.services.iod_validation.item_values import tag_of, texts

__all__ = ["Scene"]


@attrs.frozen
class Scene:
    """The data set or item that a condition is about."""

    item: Dataset
    """It."""
    outer: tuple[Dataset, ...]
    """What it lies in, the top first; nothing for the top itself."""
    sop_class_uid: str
    """The SOP class of the object."""
    mandatory_modules: frozenset[str]
    """The modules that the IOD always has."""
    tags: frozenset[int] = attrs.field(init=False, eq=False, repr=False)
    """The elements that the item has."""
    _read: dict[str, tuple[str, ...]] = attrs.field(factory=dict, init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        """Take the tags out of the item as numbers, which are quick to compare."""
        object.__setattr__(self, "tags", frozenset(map(int, self.item.keys())))

    @property
    def top(self) -> Dataset:
        """The data set itself."""
        return self.outer[0] if self.outer else self.item

    def has(self, *keywords: str) -> bool:
        """Whether one of these elements is in the item."""
        return any(tag_of(keyword) in self.tags for keyword in keywords)

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return the values of an element of the item; many conditions ask for the same one."""
        found = self._read.get(keyword)
        if found is None:
            found = self._read[keyword] = (
                texts(self.item, keyword) if tag_of(keyword) in self.tags else ()
            )
        return found

    def inside(self, item: Dataset) -> Scene:
        """Return the scene of an item of one of its sequences."""
        outer = (*self.outer, self.item)
        return Scene(item, outer, self.sop_class_uid, self.mandatory_modules)
