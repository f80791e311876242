"""Which information object definition of PS3.3 a SOP class is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pacs_sdk.services.sop_classes.service_class import ServiceClass

__all__ = ["iod_name"]

_STORAGE_OF: Final = frozenset(
    (ServiceClass.STORAGE, ServiceClass.NON_PATIENT_OBJECT_STORAGE, ServiceClass.MEDIA_STORAGE)
)

_INTENTS: Final = (" - For Presentation", " - For Processing", " - Trial")

_SHORTER: Final[Mapping[str, str]] = {
    "Computed Radiography Image": "CR Image",
    "Ultrasound Image": "US Image",
    "Ultrasound Multi-frame Image": "US Multi-frame Image",
    "Nuclear Medicine Image": "NM Image",
    "Positron Emission Tomography Image": "PET Image",
    "Multi-frame Single Bit Secondary Capture Image": "Multi-frame Single Bit SC Image",
    "Multi-frame Grayscale Byte Secondary Capture Image": "Multi-frame Grayscale Byte SC Image",
    "Multi-frame Grayscale Word Secondary Capture Image": "Multi-frame Grayscale Word SC Image",
    "Multi-frame True Color Secondary Capture Image": "Multi-frame True Color SC Image",
    "12-lead ECG Waveform": "12-Lead ECG",
    "General ECG Waveform": "General ECG",
    "Ambulatory ECG Waveform": "Ambulatory ECG",
    "General 32-bit ECG Waveform": "General 32-bit ECG",
    "Cardiac Electrophysiology Waveform": "Basic Cardiac Electrophysiology Waveform",
    "Routine Scalp Electroencephalogram Waveform": "Routine Scalp Electroencephalogram",
    "Electromyogram Waveform": "Electromyogram",
    "Electrooculogram Waveform": "Electrooculogram",
    "Sleep Electroencephalogram Waveform": "Sleep Electroencephalogram",
    "Grayscale Planar MPR Volumetric Presentation State": "Planar MPR Volumetric Presentation State",
    "Compositing Planar MPR Volumetric Presentation State": (
        "Planar MPR Volumetric Presentation State"
    ),
    "Segmented Volume Rendering Volumetric Presentation State": (
        "Volume Rendering Volumetric Presentation State"
    ),
    "Multiple Volume Rendering Volumetric Presentation State": (
        "Volume Rendering Volumetric Presentation State"
    ),
    "Label Map Segmentation": "Segmentation",
    "Implantation Plan SR": "Implantation Plan SR Document",
    "Robotic Radiation Record": "Robotic-Arm Radiation Record",
    "Media Storage Directory": "Basic Directory",
}
"""Where the definition is called otherwise than its SOP class (PS3.4 Table B.5-1)."""

_NORMALIZED: Final[Mapping[str, str]] = {
    "StorageCommitmentPushModel": "Storage Commitment",
    "ModalityPerformedProcedureStep": "Modality Performed Procedure Step",
    "ModalityPerformedProcedureStepRetrieve": "Modality Performed Procedure Step",
    "ModalityPerformedProcedureStepNotification": "Modality Performed Procedure Step",
    "BasicFilmSession": "Basic Film Session",
    "BasicFilmBox": "Basic Film Box",
    "BasicGrayscaleImageBox": "Basic Image Box",
    "BasicColorImageBox": "Basic Image Box",
    "BasicAnnotationBox": "Basic Annotation Box",
    "PrintJob": "Print Job",
    "Printer": "Printer",
    "PrinterConfigurationRetrieval": "Printer Configuration",
    "VOILUTBox": "VOI LUT Box",
    "PresentationLUT": "Presentation LUT",
    "MediaCreationManagement": "Media Creation Management",
    "InstanceAvailabilityNotification": "Instance Availability Notification",
    "UnifiedProcedureStepPush": "Unified Procedure Step",
    "UnifiedProcedureStepWatch": "Unified Procedure Step",
    "UnifiedProcedureStepPull": "Unified Procedure Step",
    "UnifiedProcedureStepEvent": "Unified Procedure Step",
    "UnifiedProcedureStepQuery": "Unified Procedure Step",
    "RTConventionalMachineVerification": "RT Conventional Machine Verification",
    "RTIonMachineVerification": "RT Ion Machine Verification",
    "DisplaySystem": "Display System",
}
"""What SOP classes that are not of Storage work on (PS3.3 Annex B), by keyword."""


def iod_name(name: str, keyword: str, service_class: ServiceClass | None) -> str:
    """Name the information object definition of a SOP class (PS3.3 Annex A and B).

    Args:
        name: The SOP class's name.
        keyword: Its keyword.
        service_class: What it belongs to.

    Returns:
        The definition's name without the letters "IOD": "CT Image". Empty for a SOP class
        that is about none: an information model of queries, a Meta SOP Class.
    """
    if service_class not in _STORAGE_OF:
        return _NORMALIZED.get(keyword, "")
    for intent in _INTENTS:
        name = name.removesuffix(intent)
    name = name.removesuffix(" SOP Class").removesuffix(" Storage")
    return _SHORTER.get(name, name)
