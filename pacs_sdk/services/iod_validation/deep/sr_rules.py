"""What content trees may have, by SOP class and template (PS3.3 A.35, C.17.3; PS3.16)."""

from __future__ import annotations

from typing import Final

import attrs

__all__ = [
    "ROOT_OF_TEMPLATE",
    "SR_CLASSES",
    "TARGETS",
    "VALUE_OF_TYPE",
    "SrClass",
]

_BASIC: Final = frozenset(
    [
        "TEXT",
        "CODE",
        "DATETIME",
        "DATE",
        "TIME",
        "UIDREF",
        "PNAME",
        "COMPOSITE",
        "IMAGE",
        "WAVEFORM",
        "CONTAINER",
    ]
)
_ENHANCED: Final = _BASIC | {"NUM", "SCOORD", "TCOORD"}
_COMPREHENSIVE_3D: Final = _ENHANCED | {"SCOORD3D"}
_EXTENSIBLE: Final = _COMPREHENSIVE_3D | {"TABLE"}
_KEY_OBJECTS: Final = frozenset(
    ["TEXT", "CODE", "UIDREF", "PNAME", "COMPOSITE", "IMAGE", "WAVEFORM", "CONTAINER"]
)


@attrs.frozen
class SrClass:
    """What the IOD of a SOP class allows in its tree."""

    value_types: frozenset[str]
    """The Value Types."""
    section: str
    """The section of PS3.3."""
    by_reference: bool = False
    """Whether relationships may be by reference."""
    templates: frozenset[str] = frozenset()
    """The templates that its root may have; any if there are none."""


SR_CLASSES: Final = {
    "1.2.840.10008.5.1.4.1.1.88.11": SrClass(_BASIC, "A.35.1.3"),
    "1.2.840.10008.5.1.4.1.1.88.22": SrClass(_ENHANCED, "A.35.2.3"),
    "1.2.840.10008.5.1.4.1.1.88.33": SrClass(_ENHANCED, "A.35.3.3", by_reference=True),
    "1.2.840.10008.5.1.4.1.1.88.34": SrClass(_COMPREHENSIVE_3D, "A.35.13.3", by_reference=True),
    "1.2.840.10008.5.1.4.1.1.88.35": SrClass(_EXTENSIBLE, "A.35.15.3", by_reference=True),
    "1.2.840.10008.5.1.4.1.1.88.59": SrClass(
        _KEY_OBJECTS, "A.35.4.3", templates=frozenset(("2010",))
    ),
    "1.2.840.10008.5.1.4.1.1.88.50": SrClass(
        _ENHANCED, "A.35.5.3", by_reference=True, templates=frozenset(("4000",))
    ),
    "1.2.840.10008.5.1.4.1.1.88.65": SrClass(
        _ENHANCED, "A.35.6.3", by_reference=True, templates=frozenset(("4100",))
    ),
    "1.2.840.10008.5.1.4.1.1.88.67": SrClass(
        _ENHANCED, "A.35.8.3", by_reference=True, templates=frozenset(("10001", "10011"))
    ),
    "1.2.840.10008.5.1.4.1.1.88.68": SrClass(
        _ENHANCED, "A.35.14.3", by_reference=True, templates=frozenset(("10021",))
    ),
    "1.2.840.10008.5.1.4.1.1.88.69": SrClass(
        _ENHANCED, "A.35.10.3", by_reference=True, templates=frozenset(("4120",))
    ),
}
"""SOP class → what it allows. Other SR SOP classes are checked by the general rules alone."""

VALUE_OF_TYPE: Final = {
    "TEXT": "TextValue",
    "CODE": "ConceptCodeSequence",
    "NUM": "MeasuredValueSequence",
    "DATETIME": "DateTime",
    "DATE": "Date",
    "TIME": "Time",
    "UIDREF": "UID",
    "PNAME": "PersonName",
    "COMPOSITE": "ReferencedSOPSequence",
    "IMAGE": "ReferencedSOPSequence",
    "WAVEFORM": "ReferencedSOPSequence",
    "SCOORD": "GraphicData",
    "SCOORD3D": "GraphicData",
    "TCOORD": "TemporalRangeType",
    "CONTAINER": "ContinuityOfContent",
    "TABLE": "TabulatedValuesSequence",
}
"""Value Type → where its value is (PS3.3 Table C.17.3-7)."""

TARGETS: Final[dict[str, frozenset[str]]] = {
    "CONTAINS": frozenset(VALUE_OF_TYPE),
    "HAS OBS CONTEXT": frozenset(VALUE_OF_TYPE) - {"SCOORD", "SCOORD3D", "TCOORD", "WAVEFORM"},
    "HAS ACQ CONTEXT": frozenset(VALUE_OF_TYPE) - {"SCOORD", "SCOORD3D", "TCOORD"},
    "HAS CONCEPT MOD": frozenset(("TEXT", "CODE")),
    "HAS PROPERTIES": frozenset(VALUE_OF_TYPE),
    "INFERRED FROM": frozenset(VALUE_OF_TYPE),
    "SELECTED FROM": frozenset(("IMAGE", "WAVEFORM", "SCOORD", "SCOORD3D")),
}
"""Relationship Type → the Value Types that it may lead to in some IOD (PS3.3 C.17.3.2.4)."""

ROOT_OF_TEMPLATE: Final = {
    "1500": frozenset(("126000", "126001", "126002", "126003")),
    "2010": frozenset(
        (
            "113000", "113001", "113002", "113003", "113004", "113005", "113006", "113007",
            "113008", "113009", "113010", "113013", "113018", "113020", "113021", "113030",
            "113031", "113032", "113033", "113034", "113035", "113036", "113037", "113038",
            "113039", "128829",
        )
    ),
    "4000": frozenset(("111036",)),
    "4100": frozenset(("112000",)),
    "4120": frozenset(("112220",)),
    "5000": frozenset(("125000",)),
    "5100": frozenset(("125100",)),
    "5200": frozenset(("125200",)),
    "10001": frozenset(("113701",)),
    "10011": frozenset(("113701",)),
    "10021": frozenset(("113500",)),
}  # fmt: skip
"""Template → the codes (DCM) of its root's Concept Name (PS3.16 Annex A). That of TID 2010
may be another too, because its context group is extensible."""
