"""The SOP classes of retrieval, each with the levels and keys of its model (PS3.4 C.6, Y, Z)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from pacs_sdk.services.sop_classes import (
    COMPOSITE_INSTANCE_ROOT_GET,
    COMPOSITE_INSTANCE_ROOT_MOVE,
    COMPOSITE_INSTANCE_WITHOUT_BULK_DATA_GET,
    InformationModel,
)

__all__ = ["RETRIEVE_CLASSES", "RetrieveClass"]


@attrs.frozen
class RetrieveClass:
    """A SOP class by which instances are retrieved."""

    uid: str
    """The SOP class."""
    title: str
    """The name of its model."""
    levels: tuple[str, ...]
    """What Query/Retrieve Level may say, the highest first."""
    is_move: bool
    """Whether instances go to a third party (C-MOVE), or back to who asks (C-GET)."""
    has_hierarchy: bool = True
    """Whether the unique keys of the levels above must be given, unless something else was
    negotiated (PS3.4 C.4.2.2.1)."""
    without_bulk_data: bool = False
    """Whether instances come without pixels and the like (PS3.4 Z.1)."""


def _classes() -> dict[str, RetrieveClass]:
    classes = []
    for model in InformationModel:
        classes.append(RetrieveClass(model.get, model.title, model.levels, is_move=False))
        classes.append(RetrieveClass(model.move, model.title, model.levels, is_move=True))
    root, single = "Composite Instance Root", ("IMAGE",)
    classes.extend(
        (
            RetrieveClass(
                COMPOSITE_INSTANCE_ROOT_GET, root, single, is_move=False, has_hierarchy=False
            ),
            RetrieveClass(
                COMPOSITE_INSTANCE_ROOT_MOVE, root, single, is_move=True, has_hierarchy=False
            ),
            RetrieveClass(
                COMPOSITE_INSTANCE_WITHOUT_BULK_DATA_GET,
                "Composite Instance Retrieve Without Bulk Data",
                single,
                is_move=False,
                has_hierarchy=False,
                without_bulk_data=True,
            ),
        )
    )
    return {one.uid: one for one in classes}


RETRIEVE_CLASSES: Final[Mapping[str, RetrieveClass]] = _classes()
"""All of them, by UID."""
