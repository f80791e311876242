"""The content tree of structured reports and key object selections (PS3.3 C.17.3).

The tables of the modules say which attributes a content item of some Value Type has; here it
is about the tree: how items are related, what they may be in the IOD, and that references
within the tree lead somewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs
from pydicom.dataset import Dataset

from pacs_sdk.encoding.datasets.elements import MAX_NESTING
from pacs_sdk.services.iod_validation.deep.sr_rules import (
    ROOT_OF_TEMPLATE,
    SR_CLASSES,
    TARGETS,
    VALUE_OF_TYPE,
    SrClass,
)
from pacs_sdk.services.iod_validation.item_values import (
    integer,
    is_present,
    items_of,
    numbers,
    text,
)
from pacs_sdk.services.iod_validation.report import IodFinding, Severity
from pacs_sdk.services.iod_validation.subject import TOP, Place, Subject

__all__ = ["check_structured_report"]

_CONTENT: Final = "ContentSequence"
_REFERENCE: Final = "ReferencedContentItemIdentifier"
_POINTS: Final = {"POINT": (1, 1), "CIRCLE": (2, 2), "ELLIPSE": (4, 4), "ELLIPSOID": (6, 6)}
"""Graphic Type → least and most points (C.18.6.1.2, C.18.9.1.2)."""
_FEWEST_OF_LINES: Final = {"POLYLINE": 2, "POLYGON": 3, "MULTIPOINT": 1}
_EVIDENCE: Final = (
    "CurrentRequestedProcedureEvidenceSequence",
    "PertinentOtherEvidenceSequence",
)


@attrs.frozen
class _Node:
    """A content item and where it is."""

    item: Dataset
    place: Place
    position: tuple[int, ...]
    """Its Content Item Identifier: the root is 1, and items count from 1 (C.17.3.2.5)."""


def check_structured_report(subject: Subject) -> Iterator[IodFinding]:
    """Check the root, relationships, value types, references and graphics of the tree."""
    rules = SR_CLASSES.get(subject.sop_class_uid)
    root = _Node(subject.dataset, TOP, (1,))
    yield from _root(root, rules)
    evidence = _evidence(subject.dataset)
    for node, source in _tree(root):
        if source is not None:
            yield from _relationship(node, source, root, rules)
        if not is_present(node.item, _REFERENCE):
            yield from _value_type(node, rules)
            yield from _graphics(node)
            yield from _references(node, evidence)


def _tree(root: _Node) -> Iterator[tuple[_Node, _Node | None]]:
    """Yield the content items, each with the one that it is related to; the root first."""
    waiting: list[tuple[_Node, _Node | None]] = [(root, None)]
    while waiting:
        node, source = waiting.pop()
        yield node, source
        if len(node.place.steps) >= MAX_NESTING - 1:
            continue
        children = [
            (_Node(item, node.place.item(_CONTENT, index), (*node.position, index + 1)), node)
            for index, item in enumerate(items_of(node.item, _CONTENT))
        ]
        waiting.extend(reversed(children))


def _root(root: _Node, rules: SrClass | None) -> Iterator[IodFinding]:
    if text(root.item, "ValueType") not in ("CONTAINER", ""):
        yield TOP.broken("ValueType", "the root of the content tree is a CONTAINER", "C.17.3")
    templates = items_of(root.item, "ContentTemplateSequence")
    identifier = text(templates[0], "TemplateIdentifier") if templates else ""
    if templates and text(templates[0], "MappingResource") not in ("DCMR", ""):
        return
    allowed = rules.templates if rules else frozenset()
    if identifier and allowed and identifier not in allowed:
        yield TOP.item("ContentTemplateSequence", 0).broken(
            "TemplateIdentifier",
            f"template {identifier}; objects of this SOP class have {' or '.join(sorted(allowed))}",
            rules.section if rules else "C.17.3",
        )
    names = items_of(root.item, "ConceptNameCodeSequence")
    known = ROOT_OF_TEMPLATE.get(identifier)
    if not known or not names or text(names[0], "CodingSchemeDesignator") != "DCM":
        return
    if text(names[0], "CodeValue") not in known:
        yield TOP.item("ConceptNameCodeSequence", 0).broken(
            "CodeValue",
            f"the root of template {identifier} has the concept name "
            f"{' or '.join(sorted(known))} (DCM)",
            "C.18.8",
            Severity.WARNING if len(known) > 1 else Severity.ERROR,
        )


def _relationship(
    node: _Node, source: _Node, root: _Node, rules: SrClass | None
) -> Iterator[IodFinding]:
    relationship = text(node.item, "RelationshipType")
    if not relationship:
        return  # the tables tell
    targets = TARGETS.get(relationship)
    if targets is None:
        yield node.place.broken(
            "RelationshipType", f"it has to be one of {', '.join(sorted(TARGETS))}", "C.17.3.2.4"
        )
        return
    if relationship == "CONTAINS" and text(source.item, "ValueType") not in ("CONTAINER", ""):
        yield node.place.broken("RelationshipType", "only a CONTAINER CONTAINS", "C.17.3.2.4")
    target = node.item
    if is_present(node.item, _REFERENCE):
        if rules is not None and not rules.by_reference:
            yield node.place.broken(
                _REFERENCE, "relationships by reference, which the IOD forbids", rules.section
            )
        found = _resolved(node, root)
        if isinstance(found, IodFinding):
            yield found
            return
        target = found
    value_type = text(target, "ValueType")
    if value_type in VALUE_OF_TYPE and value_type not in targets:
        yield node.place.broken(
            "RelationshipType", f"{relationship} cannot lead to {value_type}", "C.17.3.2.4"
        )


def _resolved(node: _Node, root: _Node) -> Dataset | IodFinding:
    """Follow a reference to its content item, or say why that isn't possible (C.17.3.2.5)."""
    wanted = tuple(int(one) for one in numbers(node.item, _REFERENCE))
    if not wanted or wanted[0] != 1:
        return node.place.broken(_REFERENCE, "a reference begins with 1, the root", "C.17.3.2.5")
    if wanted == node.position[: len(wanted)]:
        return node.place.broken(
            _REFERENCE, "a reference to an item that it lies in: a loop", "C.17.3.2.5"
        )
    item = root.item
    for number in wanted[1:]:
        children = items_of(item, _CONTENT)
        if not 1 <= number <= len(children):
            return node.place.broken(_REFERENCE, "the tree has no such content item", "C.17.3.2.5")
        item = children[number - 1]
    return item


def _value_type(node: _Node, rules: SrClass | None) -> Iterator[IodFinding]:
    value_type = text(node.item, "ValueType")
    if not value_type:
        return
    if value_type not in VALUE_OF_TYPE:
        yield node.place.broken(
            "ValueType", f"it has to be one of {', '.join(sorted(VALUE_OF_TYPE))}", "C.17.3.2.1"
        )
    elif rules is not None and value_type not in rules.value_types:
        yield node.place.broken(
            "ValueType", f"{value_type}, which the IOD doesn't allow", rules.section
        )
    for index, measured in enumerate(items_of(node.item, "MeasuredValueSequence")):
        if not is_present(measured, "MeasurementUnitsCodeSequence"):
            continue
        if index:
            yield node.place.broken(
                "MeasuredValueSequence", "more than one measured value", "C.18.1"
            )


def _graphics(node: _Node) -> Iterator[IodFinding]:
    """Graphic Data are columns and rows, or x, y and z, of as many points as the type has."""
    value_type = text(node.item, "ValueType")
    if value_type not in ("SCOORD", "SCOORD3D"):
        return
    section = "C.18.6" if value_type == "SCOORD" else "C.18.9"
    dimensions = 2 if value_type == "SCOORD" else 3
    data, kind = numbers(node.item, "GraphicData"), text(node.item, "GraphicType")
    if not data:
        return
    points, rest = divmod(len(data), dimensions)
    least, most = _POINTS.get(kind, (_FEWEST_OF_LINES.get(kind, 1), points))
    if rest or not least <= points <= most:
        yield node.place.broken(
            "GraphicData", f"{len(data)} numbers of a {kind} in {dimensions} dimensions", section
        )


def _evidence(dataset: Dataset) -> frozenset[str]:
    """Return the SOP Instance UIDs that the document lists as evidence (C.17.2.3)."""
    return frozenset(
        text(one, "ReferencedSOPInstanceUID")
        for keyword in _EVIDENCE
        for study in items_of(dataset, keyword)
        for series in items_of(study, "ReferencedSeriesSequence")
        for one in items_of(series, "ReferencedSOPSequence")
    )


def _references(node: _Node, evidence: frozenset[str]) -> Iterator[IodFinding]:
    """Composite objects that the tree refers to are listed as evidence (C.17.2.3)."""
    for index, item in enumerate(items_of(node.item, "ReferencedSOPSequence")):
        uid = text(item, "ReferencedSOPInstanceUID")
        place = node.place.item("ReferencedSOPSequence", index)
        if uid and uid not in evidence:
            yield place.broken(
                "ReferencedSOPInstanceUID",
                "an object that the evidence sequences don't list",
                "C.17.2.3",
                Severity.WARNING,
            )
        frame = integer(item, "ReferencedFrameNumber")
        if frame is not None and frame < 1:
            yield place.broken("ReferencedFrameNumber", f"frame {frame}", "C.18.4")
