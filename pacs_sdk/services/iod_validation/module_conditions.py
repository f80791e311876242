"""When conditional modules are required: those conditions that a data set can tell.

A conditional or optional module whose condition is not here counts as used where the data set
has an attribute that the IOD knows from that module alone.
"""

from __future__ import annotations

from typing import Final

from pacs_sdk.services.iod_validation.condition import (
    Condition,
    includes,
    is_one_of,
    present,
)
from pacs_sdk.services.iod_validation.predicates import several_frames
from pacs_sdk.services.iod_validation.scene import Scene

__all__ = ["module_condition"]


def _is_cine(scene: Scene) -> bool:
    return scene.has("FrameIncrementPointer") or several_frames(scene)


_PIXELS: Final = Condition(present("PixelData"), "there is Pixel Data", "A.18.3")
_DOSE_FRAMES: Final = Condition(several_frames, "there are several frames", "A.18.3")
_X_RAY_FRAMES: Final = Condition(_is_cine, "the pixels are frames of cine", "A.14.3")
_RF_FRAMES: Final = Condition(_is_cine, "the pixels are frames of cine", "A.16.3")
_PALETTE: Final = Condition(
    is_one_of("PhotometricInterpretation", "PALETTE COLOR"),
    "the Photometric Interpretation is PALETTE COLOR",
    "C.7.9",
)

_CONDITIONS: Final = {
    ("rt-dose", "image-pixel"): _PIXELS,
    ("rt-dose", "image-plane"): _PIXELS,
    ("rt-dose", "general-image"): _PIXELS,
    ("rt-dose", "multi-frame"): _DOSE_FRAMES,
    ("x-ray-angiographic-image", "multi-frame"): _X_RAY_FRAMES,
    ("x-ray-angiographic-image", "cine"): _X_RAY_FRAMES,
    ("x-ray-radiofluoroscopic-image", "multi-frame"): _RF_FRAMES,
    ("x-ray-radiofluoroscopic-image", "cine"): _RF_FRAMES,
    ("x-ray-radiofluoroscopic-image", "x-ray-tomography-acquisition"): Condition(
        includes("ScanOptions", "TOMO"), "the Scan Options have TOMO", "A.16.3"
    ),
    **{
        (iod, "mr-pulse-sequence"): Condition(
            is_one_of("ImageType", "ORIGINAL", "MIXED"),
            "the Image Type is ORIGINAL or MIXED",
            section,
        )
        for iod, section in (
            ("enhanced-mr-image", "A.36.2.3"),
            ("enhanced-mr-color-image", "A.36.4.3"),
        )
    },
    ("mr-spectroscopy", "mr-spectroscopy-pulse-sequence"): Condition(
        is_one_of("ImageType", "ORIGINAL"), "the Image Type is ORIGINAL", "A.36.3.3"
    ),
    **{
        (iod, "xa-xrf-acquisition"): Condition(
            is_one_of("ImageType", "ORIGINAL"), "the Image Type is ORIGINAL", section
        )
        for iod, section in (("enhanced-xa-image", "A.47.3"), ("enhanced-xrf-image", "A.48.3"))
    },
    **{
        ("nuclear-medicine-image", module): Condition(
            is_one_of("ImageType", *kinds, index=2),
            f"value 3 of the Image Type is {' or '.join(kinds)}",
            "A.5.3",
        )
        for module, kinds in (
            ("nm-tomo-acquisition", ("TOMO", "GATED TOMO", "RECON TOMO", "RECON GATED TOMO")),
            ("nm-reconstruction", ("RECON TOMO", "RECON GATED TOMO")),
        )
    },
    ("parametric-map", "image-pixel"): Condition(
        present("PixelData"), "the pixels are integers", "A.75.3"
    ),
    ("ct-image", "multi-energy-ct-image"): Condition(
        is_one_of("MultienergyCTAcquisition", "YES"), "Multi-energy CT Acquisition is YES", "A.3.3"
    ),
    ("enhanced-ct-image", "enhanced-multi-energy-ct-acquisition"): Condition(
        is_one_of("MultienergyCTAcquisition", "YES"), "Multi-energy CT Acquisition is YES", "A.38.1"
    ),
    ("positron-emission-tomography-image", "pet-multi-gated-acquisition"): Condition(
        is_one_of("SeriesType", "GATED"), "the Series Type is GATED", "A.21.3"
    ),
}


def module_condition(iod: str, module: str) -> Condition | None:
    """Return when a conditional module is required; ``None`` if that is not known.

    Args:
        iod: The key of the IOD.
        module: The key of the module.
    """
    if module == "palette-color-lookup-table":
        return _PALETTE
    return _CONDITIONS.get((iod, module))
