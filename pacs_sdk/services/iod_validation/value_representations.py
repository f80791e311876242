"""Whether elements have the VR that the dictionary gives their attributes (PS3.5 6.2, PS3.6).

The rules for values hold a value against the VR that its element has; that it is the right VR
is told here. A reader that goes by the dictionary makes something else of such an element.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Final

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from pacs_sdk.core.path import DatasetPath, PathStep
from pacs_sdk.core.path_access import name_in
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.encoding.datasets.elements import MAX_NESTING
from pacs_sdk.services.iod_validation.item_values import described, items_of, tag_of
from pacs_sdk.services.iod_validation.report import IodFinding, IodRule, Severity
from pacs_sdk.services.iod_validation.subject import TOP, Subject

__all__ = ["representation_findings"]

_ANY: Final = frozenset(("UN",))
"""What any attribute may have: that of one who doesn't know it (PS3.5 6.2.2)."""


def representation_findings(subject: Subject) -> Iterator[IodFinding]:
    """Yield what has another VR than its attribute, at every depth.

    Private attributes and those that no dictionary has may have any. In Implicit VR an
    element has no VR of its own.

    Args:
        subject: The object.
    """
    yield from _encapsulated(subject)
    yield from _look(subject.dataset, ())


def _encapsulated(subject: Subject) -> Iterator[IodFinding]:
    """Pixel Data that is compressed is OB (PS3.5 A.4)."""
    tag = tag_of("PixelData")
    is_encapsulated = subject.syntax is not None and subject.syntax.encapsulated
    if is_encapsulated and tag in subject.dataset:
        written = stored_element(subject.dataset, tag).VR
        if written == "OW":
            yield _finding(TOP.path("PixelData"), "compressed pixels are OW, and not OB", "A.4")


def _look(item: Dataset, steps: tuple[PathStep, ...]) -> Iterator[IodFinding]:
    for number in map(int, item.keys()):
        written = stored_element(item, number).VR
        if not written or number >> 16 & 1:
            continue
        allowed = _representations_of(number)
        if allowed and written not in allowed and written not in _ANY:
            # One that the dictionary leaves open is written out: "US or SS".
            if " or " in written:
                continue
            path = DatasetPath((*steps, PathStep(name_in(item, DicomTag(number)))))
            words = f"{described(number)} is {written}, and not {' or '.join(sorted(allowed))}"
            yield _finding(path, words, "6.2")
        if written == "SQ" and len(steps) < MAX_NESTING - 1:
            name = name_in(item, DicomTag(number))
            for index, one in enumerate(items_of(item, number)):
                yield from _look(one, (*steps, PathStep(name, index)))


@functools.lru_cache(maxsize=1 << 14)  # as many as the dictionary and its repeating groups
def _representations_of(tag: int) -> frozenset[str]:
    """Return the VRs of an attribute; none where the dictionary doesn't have it."""
    try:
        return frozenset(dictionary_VR(tag).split(" or "))
    except KeyError:
        return frozenset()


def _finding(path: DatasetPath, words: str, section: str) -> IodFinding:
    return IodFinding(Severity.ERROR, IodRule.VALUE, path, words, reference=f"PS3.5 {section}")
