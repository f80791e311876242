"""Types, conditions, modules and terms of PS3.3, applied to objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pacs_sdk.core.results import raised
from pacs_sdk.services.iod_validation import (
    IodFinding,
    IodRule,
    Outcome,
    Severity,
    ValidationReport,
    validate_instance,
)
from tests.services.iod_validation.iod_objects import OBJECTS, item, make

ABSENT, EMPTY = IodRule.ABSENT, IodRule.EMPTY


def report_on(dataset: Dataset) -> ValidationReport:
    """Validate what has to be readable."""
    return raised(validate_instance(dataset))


def found(name: str, change: Callable[[Dataset], object]) -> dict[tuple[str, IodRule], IodFinding]:
    """Return the errors and warnings of an object that was changed, by path and rule."""
    dataset = make(name)
    change(dataset)
    findings = report_on(dataset).at_least(Severity.WARNING)
    return {(str(one.path), one.rule): one for one in findings}


@pytest.mark.parametrize("name", OBJECTS)
def test_small_objects_conform(name: str) -> None:
    """An object with all that its IOD demands, and nothing else, has no finding."""
    report = report_on(make(name))
    assert report.findings == ()
    assert report.outcome is Outcome.CONFORMS


def removed(keyword: str) -> Callable[[Dataset], object]:
    """Change a data set by removing an element."""
    return lambda dataset: dataset.__delattr__(keyword)


def given(**values: object) -> Callable[[Dataset], object]:
    """Change a data set by setting elements."""

    def change(dataset: Dataset) -> None:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return change


def dose_reference(structure_type: str) -> Dataset:
    """Return a dose reference that says of what kind it is, and nothing else of where."""
    return item(
        DoseReferenceNumber=1,
        DoseReferenceStructureType=structure_type,
        DoseReferenceType="ORGAN_AT_RISK",
    )


TYPES = [
    # object, change, path, rule, type
    ("CT", removed("Modality"), "Modality", ABSENT, "1"),
    ("CT", given(Modality=""), "Modality", EMPTY, "1"),
    ("CT", given(Modality=" "), "Modality", EMPTY, "1"),
    ("CT", removed("PatientName"), "PatientName", ABSENT, "2"),
    ("CT", removed("Rows"), "Rows", ABSENT, "1"),
    ("CT", removed("PatientPosition"), "PatientPosition", ABSENT, "2C"),
    ("CT", given(WindowCenter=40), "WindowWidth", ABSENT, "1C"),
    ("CT", given(WindowCenter=40, WindowWidth=None), "WindowWidth", EMPTY, "1C"),
    ("CT", given(PixelPaddingRangeLimit=0), "PixelPaddingValue", ABSENT, "1C"),
    ("CT", given(PatientIdentityRemoved="YES"), "DeidentificationMethod", ABSENT, "1C"),
    ("CT", given(ResponsiblePerson="Doe^J"), "ResponsiblePersonRole", ABSENT, "1C"),
    ("CT", given(ClinicalTrialSponsorName="S"), "ClinicalTrialProtocolID", ABSENT, "1"),
    ("CT", given(SynchronizationFrameOfReferenceUID="1.2"), "SynchronizationTrigger", ABSENT, "1"),
    ("MR", removed("InversionTime"), "InversionTime", ABSENT, "2C"),
    ("MR", given(ScanOptions="CG"), "TriggerTime", ABSENT, "2C"),
    ("MR", removed("RepetitionTime"), "RepetitionTime", ABSENT, "2C"),
    ("PET", removed("DecayFactor"), "DecayFactor", ABSENT, "1C"),
    ("PET", given(SeriesType=["GATED", "IMAGE"]), "NumberOfTimeSlots", ABSENT, "1C"),
    ("PET", given(SeriesType=["DYNAMIC", "IMAGE"]), "NumberOfTimeSlices", ABSENT, "1C"),
    ("US", removed("FrameTime"), "FrameTime", ABSENT, "1C"),
    ("US", removed("PatientOrientation"), "PatientOrientation", ABSENT, "2C"),
    ("US", removed("PlanarConfiguration"), "PlanarConfiguration", ABSENT, "1C"),
    ("XA", removed("NumberOfFrames"), "NumberOfFrames", ABSENT, "1"),
    ("XA", removed("Exposure"), "", ABSENT, ""),  # time and current say the same
    ("XA", lambda one: (removed("Exposure")(one), removed("ExposureTime")(one)),
     "ExposureTime", ABSENT, "2C"),
    ("XA", given(PositionerMotion="DYNAMIC"), "PositionerPrimaryAngleIncrement", ABSENT, "2C"),
    ("SC", given(ImagePositionPatient=[0, 0, 0]), "ImageOrientationPatient", ABSENT, "1"),
    ("SC", given(PhotometricInterpretation="PALETTE COLOR", SamplesPerPixel=1),
     "RedPaletteColorLookupTableDescriptor", ABSENT, "1C"),
    ("SC", removed("PixelData"), "PixelData", ABSENT, "1C"),
    ("SEG", given(SegmentationType="FRACTIONAL"), "MaximumFractionalValue", ABSENT, "1C"),
    ("SEG", lambda one: given(SegmentAlgorithmType="AUTOMATIC")(one.SegmentSequence[0]),
     "SegmentSequence[0].SegmentAlgorithmName", ABSENT, "1C"),
    ("SEG", given(SegmentSequence=[]), "SegmentSequence", EMPTY, "1"),
    ("SR", given(VerificationFlag="VERIFIED"), "VerifyingObserverSequence", ABSENT, "1C"),
    ("SR", lambda one: removed("TextValue")(one.ContentSequence[0]),
     "ContentSequence[0].TextValue", ABSENT, "1C"),
    ("SR", lambda one: removed("RelationshipType")(one.ContentSequence[1]),
     "ContentSequence[1].RelationshipType", ABSENT, "1C"),
    ("RTDOSE", removed("DoseGridScaling"), "DoseGridScaling", ABSENT, "1C"),
    ("RTDOSE", removed("GridFrameOffsetVector"), "GridFrameOffsetVector", ABSENT, "1C"),
    ("RTDOSE", removed("ReferencedRTPlanSequence"), "ReferencedRTPlanSequence", ABSENT, "1C"),
    ("RTPLAN", removed("ReferencedStructureSetSequence"),
     "ReferencedStructureSetSequence", ABSENT, "1C"),
    ("RTPLAN", lambda one: removed("ReferencedBeamSequence")(one.FractionGroupSequence[0]),
     "FractionGroupSequence[0].ReferencedBeamSequence", ABSENT, "1C"),
    ("RTPLAN", given(DoseReferenceSequence=[dose_reference("COORDINATES")]),
     "DoseReferenceSequence[0].DoseReferencePointCoordinates", ABSENT, "1C"),
    ("RTPLAN", given(DoseReferenceSequence=[dose_reference("VOLUME")]),
     "DoseReferenceSequence[0].ReferencedROINumber", ABSENT, "1C"),
    ("RTPLAN", given(DoseReferenceSequence=[dose_reference("SITE")]), "", ABSENT, ""),
    ("RTSTRUCT", lambda one: removed("ROIName")(one.StructureSetROISequence[0]),
     "StructureSetROISequence[0].ROIName", ABSENT, "2"),
    ("ECG", lambda one: removed("ChannelBaseline")(
        one.WaveformSequence[0].ChannelDefinitionSequence[0]),
     "WaveformSequence[0].ChannelDefinitionSequence[0].ChannelBaseline", ABSENT, "1C"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "path", "rule", "kind"), TYPES)
def test_types_and_conditions(
    name: str, change: Callable[[Dataset], object], path: str, rule: IodRule, kind: str
) -> None:
    """What is required and absent, or has no value, is an error at its path."""
    findings = found(name, change)
    if not path:
        assert findings == {}
        return
    one = findings[path, rule]
    assert one.severity is Severity.ERROR
    assert str(one.type) == kind
    assert one.module
    assert kind in one.words


SEGMENTED_PALETTE: dict[str, Any] = {
    "PhotometricInterpretation": "PALETTE COLOR",
    "SamplesPerPixel": 1,
    "PixelData": bytes(48),
    **{f"{one}PaletteColorLookupTableDescriptor": [2, 0, 8] for one in ("Red", "Green", "Blue")},
    **{f"Segmented{one}PaletteColorLookupTableData": bytes(4) for one in ("Red", "Green", "Blue")},
}

ALLOWED = [
    ("CT", given(PatientName="", PatientID="")),  # type 2 may be empty
    ("CT", given(ContrastBolusAgent="")),
    ("CT", given(Laterality="")),
    ("MR", lambda one: given(ScanningSequence="EP", InversionTime=None)(one)
     or removed("RepetitionTime")(one)),
    ("SC", given(PositionReferenceIndicator="")),  # alone it is no Frame of Reference
    ("SC", lambda one: (removed("PlanarConfiguration")(one), given(**SEGMENTED_PALETTE)(one))),
    ("SEG", given(SegmentationType="BINARY")),
    ("RTDOSE", given(DoseSummationType="PLAN")),
    ("RTDOSE", lambda one: given(DoseSummationType="PLAN_OVERVIEW")(one)
     or removed("ReferencedRTPlanSequence")(one)),
    ("RTDOSE", lambda one: given(FrameIncrementPointer=0x00181063, FrameTime=1)(one)
     or removed("GridFrameOffsetVector")(one)),
    ("PET", given(BeatRejectionFlag="Y")),  # it matters in GATED series alone
]  # fmt: skip


@pytest.mark.parametrize(("name", "change"), ALLOWED)
def test_what_is_allowed(name: str, change: Callable[[Dataset], object]) -> None:
    """Empty type 2, conditions that don't hold, and optional modules not used are no error."""
    assert found(name, change) == {}


def absent_from(sop_class: str, **values: object) -> set[str]:
    """Return what is absent from an object of these attributes alone."""
    dataset = item(SOPClassUID=sop_class, SOPInstanceUID="1.2.3", **values)
    return {str(one.path) for one in report_on(dataset).errors if one.rule is ABSENT}


def test_a_secondary_capture_of_one_frame_points_nowhere() -> None:
    """The SC Multi-frame Image Module has the last word on Frame Increment Pointer (C.8.6.3)."""
    multi_frame_sc = "1.2.840.10008.5.1.4.1.1.7.2"
    assert "FrameIncrementPointer" not in absent_from(multi_frame_sc, NumberOfFrames=1)
    assert "FrameIncrementPointer" in absent_from(multi_frame_sc, NumberOfFrames=2)
    assert "FrameIncrementPointer" in absent_from(  # of ultrasound it is type 1
        "1.2.840.10008.5.1.4.1.1.3.1", NumberOfFrames=1
    )


def test_enhanced_images_that_were_acquired() -> None:
    """What tells of the acquisition is required of ORIGINAL and MIXED images (C.8.15.2)."""
    enhanced_mr = "1.2.840.10008.5.1.4.1.1.4.1"
    acquired = {"AcquisitionDateTime", "ResonantNucleus", "PulseSequenceName"}
    for kind in ("ORIGINAL", "MIXED"):
        image_type = [kind, "PRIMARY", "M", "NONE"]
        assert acquired <= absent_from(enhanced_mr, ImageType=image_type)
    legacy_converted = "1.2.840.10008.5.1.4.1.1.4.4"
    assert "LossyImageCompression" in absent_from(enhanced_mr)
    converted = absent_from(legacy_converted, ImageType=["ORIGINAL", "PRIMARY", "M", "NONE"])
    assert converted.isdisjoint({"LossyImageCompression", "AcquisitionDateTime"})
    derived = ["DERIVED", "PRIMARY", "M", "NONE"]
    assert acquired.isdisjoint(absent_from(enhanced_mr, ImageType=derived))


def test_other_conditions_by_sop_class() -> None:
    """A CDA document is identified; a presentation has a Presentation LUT of either kind."""
    cda, pdf = "1.2.840.10008.5.1.4.1.1.104.2", "1.2.840.10008.5.1.4.1.1.104.1"
    assert "HL7InstanceIdentifier" in absent_from(cda)
    assert "HL7InstanceIdentifier" not in absent_from(pdf)
    grayscale = "1.2.840.10008.5.1.4.1.1.11.1"
    assert "PresentationLUTShape" in absent_from(grayscale)
    assert "PatientOrientation" not in absent_from(
        "1.2.840.10008.5.1.4.1.1.20", DetectorInformationSequence=[item()]
    )


def test_segmentations_in_space_have_a_geometry() -> None:
    """With a Frame of Reference, pixels of a segmentation have a size and a place (C.7.6.16.2)."""
    dataset = make("SEG")
    shared = dataset.SharedFunctionalGroupsSequence[0]
    first = dataset.PerFrameFunctionalGroupsSequence[0]
    del shared.PixelMeasuresSequence[0].PixelSpacing
    del shared.PixelMeasuresSequence[0].SliceThickness
    del shared.PlaneOrientationSequence[0].ImageOrientationPatient
    del first.PlanePositionSequence[0].ImagePositionPatient
    absent = {str(one.path) for one in report_on(dataset).errors}
    assert absent == {
        "SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing",
        "SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SliceThickness",
        "SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient",
        "PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient",
    }
    del dataset.FrameOfReferenceUID
    assert report_on(dataset).errors == ()


def test_distorted_frames_have_no_place() -> None:
    """ORIGINAL frames need a position but for those that are DISTORTED (C.7.6.16.2.3)."""
    position = "PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0].ImagePositionPatient"
    for properties, is_needed in (("VOLUME", True), ("DISTORTED", False)):
        dataset = make("ENHANCED CT")
        dataset.ImageType = ["ORIGINAL", *dataset.ImageType[1:]]
        dataset.VolumetricProperties = properties
        dataset.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence = [item()]
        absent = {str(one.path) for one in report_on(dataset).errors}
        assert (position in absent) is is_needed


def test_the_root_of_a_report_has_a_name() -> None:
    """The concept name of the root is the title of the document (C.17.3)."""
    dataset = make("SR")
    del dataset.ConceptNameCodeSequence
    assert {str(one.path) for one in report_on(dataset).errors} == {"ConceptNameCodeSequence"}


def test_items_of_look_up_tables_and_annotations() -> None:
    """A window has a width; a mapping is a line or a table; a text is anchored or in a box."""
    dataset = make("ENHANCED CT")
    shared = dataset.SharedFunctionalGroupsSequence[0]
    shared.FrameVOILUTSequence = [item(WindowCenter=1)]
    shared.RealWorldValueMappingSequence = [item(RealWorldValueLUTData=1.0)]
    absent = {str(one.path).rpartition(".")[2] for one in report_on(dataset).errors}
    assert {"WindowWidth", "RealWorldValueFirstValueMapped"} <= absent
    assert absent.isdisjoint({"RealWorldValueSlope", "RealWorldValueIntercept"})
    state = absent_from(
        "1.2.840.10008.5.1.4.1.1.11.1",
        GraphicAnnotationSequence=[item(TextObjectSequence=[item(AnchorPoint=[1, 1]), item()])],
        DisplayedAreaSelectionSequence=[item(PresentationSizeMode="TRUE SIZE")],
    )
    text = "GraphicAnnotationSequence[0].TextObjectSequence"
    area = "DisplayedAreaSelectionSequence[0]"
    assert {f"{text}[0].AnchorPointVisibility", f"{text}[1].AnchorPoint"} <= state
    assert f"{text}[0].AnchorPoint" not in state
    assert {f"{area}.PresentationPixelSpacing", f"{area}.PresentationPixelAspectRatio"} <= state


CONDITIONAL_MODULES: list[tuple[str, dict[str, object], set[str]]] = [
    # SOP class, what it has, what is then absent
    ("1.2.840.10008.5.1.4.1.1.12.2", {"FrameIncrementPointer": 0x00181063}, {"NumberOfFrames"}),
    ("1.2.840.10008.5.1.4.1.1.12.2", {"ScanOptions": "TOMO"}, {"TomoLayerHeight"}),
    ("1.2.840.10008.5.1.4.1.1.30", {"PixelData": b"12"}, {"PixelRepresentation"}),
    ("1.2.840.10008.5.1.4.1.1.20", {"ImageType": ["ORIGINAL", "PRIMARY", "TOMO", "EMISSION"]},
     {"RotationInformationSequence"}),
    ("1.2.840.10008.5.1.4.1.1.2", {"MultienergyCTAcquisition": "YES"},
     {"MultienergyCTAcquisitionSequence"}),
    ("1.2.840.10008.5.1.4.1.1.4.3", {"ImageType": ["ORIGINAL", "PRIMARY"]}, {"PulseSequenceName"}),
]  # fmt: skip


@pytest.mark.parametrize(("sop_class", "values", "needed"), CONDITIONAL_MODULES)
def test_conditional_modules(sop_class: str, values: dict[str, object], needed: set[str]) -> None:
    """A conditional module is required where its condition holds, and not otherwise."""
    assert needed <= absent_from(sop_class, **values)
    assert needed.isdisjoint(absent_from(sop_class))


def test_overlays_are_checked_group_by_group() -> None:
    """The Overlay Plane Module holds for each of the repeating groups that is there."""
    dataset = make("CT")
    dataset.add_new(0x60020010, "US", 8)
    paths = {str(one.path) for one in report_on(dataset).errors}
    assert "(6002,0011)" in paths
    assert not any(path.startswith("(6000") for path in paths)


def test_nested_items_are_checked_only_where_they_are() -> None:
    """Attributes of an item are required where the item is, and each item is looked at."""
    complete = item(
        StudyInstanceUID="1.2",
        ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        ReferencedSOPInstanceUID="1.2.3",
    )
    broken = item(ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2")
    findings = found("CT", given(ReferencedImageSequence=[complete, broken]))
    assert set(findings) == {("ReferencedImageSequence[1].ReferencedSOPInstanceUID", ABSENT)}


def test_the_module_that_demands_the_most_is_told() -> None:
    """What two modules say of one attribute is one finding, of the stricter type."""
    finding = found("CT", removed("ImageType"))["ImageType", ABSENT]
    assert (str(finding.type), finding.module) == ("1", "CT Image")


TERMS = [
    ("CT", given(PatientSex="X"), "PatientSex", IodRule.ENUMERATED_VALUE),
    ("CT", given(ImageType=["NEW", "PRIMARY", "AXIAL"]), "ImageType", IodRule.ENUMERATED_VALUE),
    ("CT", given(PatientPosition="UP"), "PatientPosition", IodRule.DEFINED_TERM),
    ("MR", given(ScanningSequence=["SE", "XX"]), "ScanningSequence", IodRule.ENUMERATED_VALUE),
    ("RTDOSE", given(DoseUnits="RAD"), "DoseUnits", IodRule.ENUMERATED_VALUE),
    ("XA", given(RadiationSetting="XX"), "RadiationSetting", IodRule.ENUMERATED_VALUE),
    ("PET", given(SeriesType=["STATIC", "XX"]), "SeriesType", IodRule.ENUMERATED_VALUE),
    ("SC", given(ConversionType="XX"), "ConversionType", IodRule.DEFINED_TERM),
    (
        "CT",
        given(WindowCenter=1, WindowWidth=2, VOILUTFunction="ACME"),
        "VOILUTFunction",
        IodRule.DEFINED_TERM,
    ),
]


@pytest.mark.parametrize(("name", "change", "path", "rule"), TERMS)
def test_terms(name: str, change: Callable[[Dataset], object], path: str, rule: IodRule) -> None:
    """Enumerated Values are the whole list; other Defined Terms are a warning (PS3.3 1.5)."""
    finding = found(name, change)[path, rule]
    wanted = Severity.ERROR if rule is IodRule.ENUMERATED_VALUE else Severity.WARNING
    assert finding.severity is wanted
    assert finding.reference.startswith("PS3.3 C.")


def test_content_items_by_reference_need_no_value() -> None:
    """A relationship by reference has its type and the identifier, and nothing else."""
    dataset = make("SR")
    dataset.ContentSequence[0].ContentSequence = [
        item(RelationshipType="INFERRED FROM", ReferencedContentItemIdentifier=[1, 2])
    ]
    assert report_on(dataset).at_least(Severity.WARNING) == ()


def test_content_items_are_checked_at_every_depth() -> None:
    """The content items of a report are checked however deep they lie."""
    dataset = make("SR")
    deepest = item(RelationshipType="HAS CONCEPT MOD", ValueType="CODE")
    text = item(RelationshipType="HAS PROPERTIES", ValueType="TEXT", ContentSequence=[deepest])
    dataset.ContentSequence[0].ContentSequence = [text]
    paths = {str(one.path) for one in report_on(dataset).errors}
    inner = "ContentSequence[0].ContentSequence[0]"
    assert paths == {
        f"{inner}.TextValue",
        f"{inner}.ConceptNameCodeSequence",
        f"{inner}.ContentSequence[0].ConceptCodeSequence",
        f"{inner}.ContentSequence[0].ConceptNameCodeSequence",
    }
