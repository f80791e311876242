"""The tables of SOP classes and of their sets, made from the registry."""

from __future__ import annotations

from collections.abc import Iterator

from pacs_sdk.services import (
    DICOM_EDITION,
    ServiceClass,
    SopClass,
    all_sop_classes,
    sop_class_sets,
)

__all__ = ["sop_class_set_table", "sop_class_table"]


def sop_class_set_table() -> str:
    """Return the sets that a configuration may name, and what is in each."""
    lines = ["| set | what is in it | SOP classes |", "|---|---|---|"]
    for one in sop_class_sets().values():
        few = len(one.sop_classes) <= _SHOWN
        shown = ", ".join(f"`{each.keyword}`" for each in one.sop_classes) if few else "see below"
        lines.append(f"| `{one.name}` | {one.meaning} | {len(one.sop_classes)}: {shown} |")
    return "\n".join(lines)


_SHOWN = 6
"""Longer lists are not repeated here."""


def sop_class_table() -> str:
    """Return a table of SOP classes for each service class of PS3.4."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield f"Edition: DICOM {DICOM_EDITION}; {len(all_sop_classes())} SOP classes.\n"
    for service_class in (*ServiceClass, None):
        found = [one for one in all_sop_classes() if one.service_class is service_class]
        if found:
            title = (
                f"{service_class.title} ({service_class.section})" if service_class else "Others"
            )
            yield f"## {title}\n"
            yield "| SOP class | keyword | UID | IOD | sets |"
            yield "|---|---|---|---|---|"
            yield from map(_row, found)
            yield ""


def _row(one: SopClass) -> str:
    remarks = [
        *(["retired"] if one.is_retired else []),
        *(["Meta SOP Class"] if one.is_meta else []),
        *([one.domain] if one.domain else []),
    ]
    name = "no name any more" if one.name == one.uid else one.name
    name = f"{name} *({', '.join(remarks)})*" if remarks else name
    keyword = f"`{one.keyword}`" if one.keyword else ""
    return f"| {name} | {keyword} | `{one.uid}` | {one.iod} | {_sets(one)} |"


def _sets(one: SopClass) -> str:
    return ", ".join(
        f"`{each.name}`"
        for each in sop_class_sets().values()
        if each.name not in ("all", "retired") and one in each.sop_classes
    )
