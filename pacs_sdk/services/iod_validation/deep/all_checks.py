"""The deep checks, and which objects each is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import attrs

from pacs_sdk.services.iod_validation.deep.functional_groups import check_functional_groups
from pacs_sdk.services.iod_validation.deep.image_pixel import check_image_pixel
from pacs_sdk.services.iod_validation.deep.multi_frame import check_multi_frame
from pacs_sdk.services.iod_validation.deep.pet import check_pet
from pacs_sdk.services.iod_validation.deep.rt_dose import check_rt_dose
from pacs_sdk.services.iod_validation.deep.rt_plan import check_rt_plan
from pacs_sdk.services.iod_validation.deep.rt_structure_set import check_rt_structure_set
from pacs_sdk.services.iod_validation.deep.segmentation import check_segmentation
from pacs_sdk.services.iod_validation.deep.structured_report import check_structured_report
from pacs_sdk.services.iod_validation.deep.ultrasound import check_ultrasound
from pacs_sdk.services.iod_validation.deep.waveform import check_waveform
from pacs_sdk.services.iod_validation.deep.x_ray import check_x_ray
from pacs_sdk.services.iod_validation.item_values import is_present
from pacs_sdk.services.iod_validation.report import IodFinding
from pacs_sdk.services.iod_validation.subject import Subject

__all__ = ["DEEP_CHECKS", "DeepCheck", "deep_findings"]


@attrs.frozen
class DeepCheck:
    """One check, and when it is made."""

    name: str
    """What it looks at."""
    attributes: tuple[str, ...]
    """The keywords of attributes, one of which objects have that it is for."""
    check: Callable[[Subject], Iterator[IodFinding]]
    """It."""
    sop_classes: frozenset[str] = frozenset()
    """The SOP classes that it is for; all if there are none."""

    def is_for(self, subject: Subject) -> bool:
        """Whether an object is one to check."""
        if self.sop_classes and subject.sop_class_uid not in self.sop_classes:
            return False
        return any(is_present(subject.dataset, one) for one in self.attributes)


_X_RAY: Final = frozenset(("1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.12.2"))
_PET: Final = frozenset(("1.2.840.10008.5.1.4.1.1.128",))
_ULTRASOUND: Final = frozenset(
    (
        "1.2.840.10008.5.1.4.1.1.3",
        "1.2.840.10008.5.1.4.1.1.3.1",
        "1.2.840.10008.5.1.4.1.1.6",
        "1.2.840.10008.5.1.4.1.1.6.1",
    )
)

DEEP_CHECKS: Final = (
    DeepCheck("image pixels", ("Rows",), check_image_pixel),
    DeepCheck("multi-frame images", ("NumberOfFrames",), check_multi_frame),
    DeepCheck(
        "functional groups",
        ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
        check_functional_groups,
    ),
    DeepCheck("segmentations", ("SegmentSequence",), check_segmentation),
    DeepCheck("content trees of structured reports", ("ValueType",), check_structured_report),
    DeepCheck("RT plans", ("RTPlanLabel",), check_rt_plan),
    DeepCheck("RT doses", ("DoseUnits",), check_rt_dose),
    DeepCheck("RT structure sets", ("StructureSetLabel",), check_rt_structure_set),
    DeepCheck("PET images", ("SeriesType",), check_pet, _PET),
    DeepCheck("X-ray angiography and fluoroscopy", ("Rows",), check_x_ray, _X_RAY),
    DeepCheck("ultrasound", ("Rows",), check_ultrasound, _ULTRASOUND),
    DeepCheck("waveforms", ("WaveformSequence",), check_waveform),
)
"""All of them, in the order in which they are made."""


def deep_findings(subject: Subject) -> Iterator[IodFinding]:
    """Yield what the checks find that are for an object.

    Args:
        subject: The object.
    """
    for one in DEEP_CHECKS:
        if one.is_for(subject):
            yield from one.check(subject)
