"""What tables cannot say: whether attributes agree with each other and with the data."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from pacs_sdk.core.results import raised
from pacs_sdk.services.iod_validation import IodRule, Severity, validate_instance
from tests.services.iod_validation.iod_objects import code, item, make, reference

Change = Callable[[Any], object]


def given(**values: object) -> Change:
    """Change a data set by setting elements."""

    def change(dataset: Dataset) -> None:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return change


def at(where: Callable[[Any], Dataset], **values: object) -> Change:
    """Change an item by setting elements."""
    return lambda dataset: given(**values)(where(dataset))


def beam(plan: Any) -> Any:
    """Return the beam of a plan."""
    return plan.BeamSequence[0]


def contour(structures: Any) -> Any:
    """Return the contour of a structure set."""
    return structures.ROIContourSequence[0].ContourSequence[0]


def scoord(kind: str, *data: float) -> Dataset:
    """Return a content item with spatial coordinates."""
    return item(
        RelationshipType="CONTAINS",
        ValueType="SCOORD",
        ConceptNameCodeSequence=[code("111030", "DCM", "Image Region")],
        GraphicType=kind,
        GraphicData=list(data),
    )


def added(*items: Dataset) -> Change:
    """Add content items to a report."""
    return lambda report: report.ContentSequence.extend(items)


def by_reference(*identifier: int) -> Change:
    """Add a relationship by reference to the first content item of a report."""
    one = item(RelationshipType="INFERRED FROM", ReferencedContentItemIdentifier=list(identifier))
    return lambda report: given(ContentSequence=[one])(report.ContentSequence[0])


IDENTIFIER = "ContentSequence[0].ContentSequence[0].ReferencedContentItemIdentifier"
PER_FRAME = "PerFrameFunctionalGroupsSequence"
SHARED = "SharedFunctionalGroupsSequence"
POINT = "BeamSequence[0].ControlPointSequence"

CASES: list[tuple[str, Change, str, str]] = [
    # object, change, path, some of the words
    # image pixels (C.7.6.3)
    ("CT", given(Rows=9), "PixelData", "96 bytes"),
    ("CT", given(Rows=0), "Rows", "no Rows"),
    ("CT", given(BitsAllocated=12), "BitsAllocated", "multiple of 8"),
    ("CT", given(BitsStored=17), "BitsStored", "17 bits stored in 16"),
    ("CT", given(HighBit=16), "HighBit", "the high bit is 16"),
    ("CT", given(PhotometricInterpretation="RGB"), "SamplesPerPixel", "RGB has 3"),
    ("CT", given(PlanarConfiguration=0), "PlanarConfiguration", "one sample"),
    ("CT", given(PhotometricInterpretation="YBR_RCT", SamplesPerPixel=3),
     "PhotometricInterpretation", "compressed pixels only"),
    ("SC", given(PhotometricInterpretation="YBR_FULL_422", Columns=7), "Columns", "odd number"),
    ("SC", given(
        PhotometricInterpretation="PALETTE COLOR", SamplesPerPixel=1,
        RedPaletteColorLookupTableDescriptor=[256, 0, 16],
        RedPaletteColorLookupTableData=bytes(500)),
     "RedPaletteColorLookupTableData", "500 bytes for 256 entries"),
    ("SC", given(PhotometricInterpretation="PALETTE COLOR",
                 RedPaletteColorLookupTableDescriptor=[256, 0, 12]),
     "RedPaletteColorLookupTableDescriptor", "8 or 16 bits"),
    ("CT", lambda one: one.add_new("PixelPaddingValue", "SS", -2000),
     "PixelPaddingValue", "SS, and the pixels are unsigned"),
    # multi-frame (C.7.6.6)
    ("US", given(NumberOfFrames=0), "NumberOfFrames", "at least one"),
    ("US", given(FrameIncrementPointer=0x00181065), "FrameIncrementPointer", "not there"),
    ("US", given(FrameTimeVector=[0, 40], FrameIncrementPointer=0x00181065),
     "FrameTimeVector", "2 values for 3 frames"),
    ("US", given(RepresentativeFrameNumber=4), "RepresentativeFrameNumber", "frame 4 of 3"),
    # ultrasound (C.8.5)
    ("US", given(SOPClassUID="1.2.840.10008.5.1.4.1.1.6.1"), "NumberOfFrames", "single images"),
    ("US", given(SequenceOfUltrasoundRegions=[item(
        RegionLocationMinX0=0, RegionLocationMaxX1=6)]),
     "SequenceOfUltrasoundRegions[0].RegionLocationMaxX1", "from 0 to 6 in an image of 6"),
    ("US", given(SequenceOfUltrasoundRegions=[item(
        RegionLocationMinY0=5, RegionLocationMaxY1=2)]),
     "SequenceOfUltrasoundRegions[0].RegionLocationMaxY1", "from 5 to 2"),
    # functional groups and dimensions (C.7.6.16, C.7.6.17)
    ("SEG", lambda one: one.PerFrameFunctionalGroupsSequence.pop(), PER_FRAME, "1 items for 2"),
    ("SEG", lambda one: one.SharedFunctionalGroupsSequence.append(Dataset()), SHARED, "2 items"),
    ("SEG", at(
        lambda d: d.SharedFunctionalGroupsSequence[0],
        FrameContentSequence=[item(DimensionIndexValues=[1, 1])]),
     PER_FRAME, "both shared and in single frames"),
    ("SEG", at(
        lambda d: d.PerFrameFunctionalGroupsSequence[1].FrameContentSequence[0],
        DimensionIndexValues=[1]),
     f"{PER_FRAME}[1].FrameContentSequence[0].DimensionIndexValues", "1 values for 2 dimensions"),
    ("SEG", at(lambda d: d.DimensionIndexSequence[0], DimensionOrganizationUID="1.2.3"),
     "DimensionIndexSequence[0].DimensionOrganizationUID", "has this UID"),
    ("SEG", at(lambda d: d.DimensionIndexSequence[1], DimensionIndexPointer=0x00201041),
     "DimensionIndexSequence[1].DimensionIndexPointer", "no frame has"),
    # segmentations (C.8.20)
    ("SEG", given(SegmentationType="FRACTIONAL", SegmentationFractionalType="OCCUPANCY",
                  MaximumFractionalValue=255), "BitsAllocated", "1 bits in a FRACTIONAL"),
    ("SEG", given(SegmentationType="FRACTIONAL", MaximumFractionalValue=0),
     "MaximumFractionalValue", "no value of 8 bits above 0"),
    ("SEG", at(lambda d: d.SegmentSequence[0], SegmentNumber=2),
     "SegmentSequence[0].SegmentNumber", "segment 2 where 1 is next"),
    ("SEG", lambda one: one.SegmentSequence.append(copy.deepcopy(one.SegmentSequence[0])),
     "SegmentSequence[1].SegmentNumber", "more than once"),
    ("SEG", at(lambda d: d.SharedFunctionalGroupsSequence[0].SegmentIdentificationSequence[0],
               ReferencedSegmentNumber=7),
     f"{SHARED}[0].SegmentIdentificationSequence[0].ReferencedSegmentNumber", "segment 7"),
    # structured reports (C.17.3)
    ("SR", given(ValueType="TEXT"), "ValueType", "is a CONTAINER"),
    ("SR", given(ContentTemplateSequence=[item(
        MappingResource="DCMR", TemplateIdentifier="1500")]),
     "ConceptNameCodeSequence[0].CodeValue", "root of template 1500"),
    ("SR", given(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.67", ContentTemplateSequence=[item(
        MappingResource="DCMR", TemplateIdentifier="1500")]),
     "ContentTemplateSequence[0].TemplateIdentifier", "template 1500; objects of this SOP class"),
    ("SR", at(lambda d: d.ContentSequence[0], ValueType="WORDS"),
     "ContentSequence[0].ValueType", "one of CODE"),
    ("SR", given(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11"),
     "ContentSequence[1].ValueType", "NUM, which the IOD doesn't allow"),
    ("SR", at(lambda d: d.ContentSequence[0], RelationshipType="IS"),
     "ContentSequence[0].RelationshipType", "one of CONTAINS"),
    ("SR", at(lambda d: d.ContentSequence[1], RelationshipType="HAS CONCEPT MOD"),
     "ContentSequence[1].RelationshipType", "cannot lead to NUM"),
    ("SR", at(lambda d: d.ContentSequence[0], ContentSequence=[item(
        RelationshipType="CONTAINS", ValueType="TEXT", TextValue="x")]),
     "ContentSequence[0].ContentSequence[0].RelationshipType", "only a CONTAINER"),
    ("SR", by_reference(1, 9), IDENTIFIER, "no such content item"),
    ("SR", by_reference(2), IDENTIFIER, "begins with 1"),
    ("SR", by_reference(1, 1), IDENTIFIER, "a loop"),
    ("SR", lambda one: (given(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22")(one),
                        by_reference(1, 2)(one)),
     IDENTIFIER, "forbids"),
    ("SR", added(scoord("CIRCLE", 1, 2)), "ContentSequence[3].GraphicData", "of a CIRCLE"),
    ("SR", added(scoord("POLYLINE", 1, 2, 3)), "ContentSequence[3].GraphicData", "3 numbers"),
    ("SR", at(lambda d: d.ContentSequence[2].ReferencedSOPSequence[0],
              ReferencedSOPInstanceUID="1.2.3"),
     "ContentSequence[2].ReferencedSOPSequence[0].ReferencedSOPInstanceUID", "don't list"),
    # RT Dose (C.8.8.3)
    ("RTDOSE", given(GridFrameOffsetVector=[0, 1, 2]), "GridFrameOffsetVector", "3 values for 2"),
    ("RTDOSE", given(GridFrameOffsetVector=[0, 0]), "GridFrameOffsetVector", "one direction"),
    ("RTDOSE", given(GridFrameOffsetVector=[7, 8]), "GridFrameOffsetVector", "neither with 0"),
    ("RTDOSE", given(DoseGridScaling=0), "DoseGridScaling", "makes no dose"),
    ("RTDOSE", given(PixelRepresentation=1), "PixelRepresentation", "no difference"),
    ("RTDOSE", given(DoseUnits="RELATIVE"), "DoseUnits", "relative to what"),
    ("RTDOSE", given(DVHSequence=[item(DVHNumberOfBins=2, DVHData=[1, 2, 3])]),
     "DVHSequence[0].DVHData", "3 numbers for 2 bins"),
    # RT Structure Set (C.8.8.5, C.8.8.6)
    ("RTSTRUCT", at(contour, ContourData=[0, 0, 0, 1]),
     "ROIContourSequence[0].ContourSequence[0].ContourData", "no triplets"),
    ("RTSTRUCT", at(contour, NumberOfContourPoints=4),
     "ROIContourSequence[0].ContourSequence[0].NumberOfContourPoints", "the data of 3"),
    ("RTSTRUCT", at(contour, ContourGeometricType="POINT"),
     "ROIContourSequence[0].ContourSequence[0].ContourData", "of a POINT"),
    ("RTSTRUCT", at(contour, NumberOfContourPoints=4,
                    ContourData=[0, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0]),
     "ROIContourSequence[0].ContourSequence[0].ContourData", "repeats the first"),
    ("RTSTRUCT", at(lambda d: d.ROIContourSequence[0], ReferencedROINumber=5),
     "ROIContourSequence[0].ReferencedROINumber", "ROI 5"),
    ("RTSTRUCT", lambda one: one.StructureSetROISequence.append(one.StructureSetROISequence[0]),
     "StructureSetROISequence[1].ROINumber", "more than once"),
    ("RTSTRUCT", at(lambda d: d.StructureSetROISequence[0], ReferencedFrameOfReferenceUID="1.2"),
     "StructureSetROISequence[0].ReferencedFrameOfReferenceUID", "has this UID"),
    # RT Plan (C.8.8.14)
    ("RTPLAN", at(beam, NumberOfControlPoints=3), "BeamSequence[0].NumberOfControlPoints", "2"),
    ("RTPLAN", at(beam, FinalCumulativeMetersetWeight=2.0),
     "BeamSequence[0].FinalCumulativeMetersetWeight", "come to 1"),
    ("RTPLAN", at(beam, ReferencedPatientSetupNumber=4),
     "BeamSequence[0].ReferencedPatientSetupNumber", "patient setup 4"),
    ("RTPLAN", at(lambda d: beam(d).ControlPointSequence[1], CumulativeMetersetWeight=-1.0),
     f"{POINT}[1].CumulativeMetersetWeight", "never falls"),
    ("RTPLAN", at(lambda d: beam(d).ControlPointSequence[1], ControlPointIndex=5),
     f"{POINT}[1].ControlPointIndex", "count from 0"),
    ("RTPLAN", lambda one: beam(one).ControlPointSequence[0].__delattr__("GantryAngle"),
     f"{POINT}[0].GantryAngle", "first control point"),
    ("RTPLAN", at(lambda d: beam(d).ControlPointSequence[0].BeamLimitingDevicePositionSequence[0],
                  LeafJawPositions=[1]),
     f"{POINT}[0].BeamLimitingDevicePositionSequence[0].LeafJawPositions", "1 positions of 1"),
    ("RTPLAN", at(lambda d: beam(d).ControlPointSequence[0].BeamLimitingDevicePositionSequence[0],
                  RTBeamLimitingDeviceType="Y"),
     f"{POINT}[0].BeamLimitingDevicePositionSequence[0].RTBeamLimitingDeviceType", "no Y"),
    ("RTPLAN", at(lambda d: beam(d).BeamLimitingDeviceSequence[0],
                  RTBeamLimitingDeviceType="MLCX", LeafPositionBoundaries=[0, 1, 2]),
     "BeamSequence[0].BeamLimitingDeviceSequence[0].LeafPositionBoundaries", "which have 2"),
    ("RTPLAN", lambda one: one.BeamSequence.append(copy.deepcopy(beam(one))),
     "BeamSequence[1].BeamNumber", "more than once"),
    ("RTPLAN", at(lambda d: d.FractionGroupSequence[0].ReferencedBeamSequence[0],
                  ReferencedBeamNumber=9),
     "FractionGroupSequence[0].ReferencedBeamSequence[0].ReferencedBeamNumber", "beam 9"),
    ("RTPLAN", at(lambda d: d.FractionGroupSequence[0], NumberOfBeams=2),
     "FractionGroupSequence[0].NumberOfBeams", "1 are referred to"),
    # PET (C.8.9)
    ("PET", given(RescaleIntercept=1), "RescaleIntercept", "it is 0"),
    ("PET", given(RescaleSlope=0), "RescaleSlope", "all values 0"),
    ("PET", given(ImageIndex=2), "ImageIndex", "image 2 of a series of 1"),
    ("PET", given(CorrectedImage=["ATTN"]), "CorrectedImage", "lacks DECY"),
    ("PET", given(PatientWeight=None), "PatientWeight", "no SUV"),
    ("PET", at(lambda d: d.RadiopharmaceuticalInformationSequence[0], RadionuclideHalfLife=None),
     "RadiopharmaceuticalInformationSequence[0].RadionuclideHalfLife", "no SUV"),
    # X-ray (C.8.7)
    ("XA", given(ImageType=["ORIGINAL", "PRIMARY"]), "ImageType", "SINGLE PLANE"),
    ("XA", given(BitsStored=7), "BitsStored", "7 bits stored in 8"),
    ("XA", given(PixelRepresentation=1), "PixelRepresentation", "unsigned ones"),
    ("XA", given(PositionerMotion="DYNAMIC", PositionerPrimaryAngleIncrement=[0, 1, 2]),
     "PositionerPrimaryAngleIncrement", "3 steps for 2 frames"),
    ("XA", given(PositionerPrimaryAngleIncrement=[0, 1]),
     "PositionerPrimaryAngleIncrement", "STATIC"),
    ("XA", given(MaskSubtractionSequence=[item(
        MaskOperation="AVG_SUB", MaskFrameNumbers=[3], ApplicableFrameRange=[1])]),
     "MaskSubtractionSequence[0].MaskFrameNumbers", "frame 3 of 2"),
    # waveforms (C.10.9)
    ("ECG", at(lambda d: d.WaveformSequence[0], NumberOfWaveformSamples=5),
     "WaveformSequence[0].WaveformData", "8 bytes, where 1 channels of 5"),
    ("ECG", at(lambda d: d.WaveformSequence[0], NumberOfWaveformChannels=2),
     "WaveformSequence[0].NumberOfWaveformChannels", "1 are described"),
    ("ECG", at(lambda d: d.WaveformSequence[0], WaveformBitsAllocated=8),
     "WaveformSequence[0].WaveformBitsAllocated", "samples that are SS"),
    ("ECG", at(lambda d: d.WaveformSequence[0].ChannelDefinitionSequence[0],
               WaveformBitsStored=17),
     "WaveformSequence[0].ChannelDefinitionSequence[0].WaveformBitsStored", "17 bits stored"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "path", "words"), CASES)
def test_contradictions_are_found(name: str, change: Change, path: str, words: str) -> None:
    """An object that contradicts itself has a finding where it does, with its section."""
    dataset = make(name)
    change(dataset)
    findings = [
        one
        for one in raised(validate_instance(dataset)).at_least(Severity.WARNING)
        if one.rule is IodRule.CONSISTENCY and str(one.path) == path and words in one.words
    ]
    assert len(findings) == 1
    assert findings[0].reference.startswith("PS3.3 ")


def test_reports_may_refer_to_items_elsewhere() -> None:
    """A reference to another branch of the tree leads somewhere, and is no loop."""
    dataset = make("SR")
    by_reference(1, 3)(dataset)
    assert raised(validate_instance(dataset)).at_least(Severity.WARNING) == ()


def test_functional_groups_have_to_be_somewhere() -> None:
    """A mandatory functional group that is neither shared nor in a frame is absent."""
    dataset = make("SEG")
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"  # Enhanced CT
    absent = {
        str(one.path)
        for one in raised(validate_instance(dataset)).errors
        if one.rule is IodRule.ABSENT
    }
    assert "SharedFunctionalGroupsSequence[0].CTImageFrameTypeSequence" in absent
    assert "SharedFunctionalGroupsSequence[0].PixelMeasuresSequence" not in absent


def test_functional_groups_of_some_frames() -> None:
    """A functional group that some frames have, and others don't, is a warning there."""
    dataset = make("SEG")
    del dataset.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence
    (finding,) = raised(validate_instance(dataset)).findings
    assert finding.severity is Severity.WARNING
    assert str(finding.path) == f"{PER_FRAME}[1].PlanePositionSequence"


def test_a_key_object_document_has_its_template() -> None:
    """A root of a title that the template doesn't know is a warning: titles may be added."""
    dataset = make("SR")
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.59"
    dataset.ContentTemplateSequence = [item(MappingResource="DCMR", TemplateIdentifier="2010")]
    dataset.ContentSequence = [
        item(RelationshipType="CONTAINS", ValueType="IMAGE", ReferencedSOPSequence=[reference()])
    ]
    findings = raised(validate_instance(dataset)).findings
    severities = {str(one.path): one.severity for one in findings if "template" in one.words}
    assert severities == {"ConceptNameCodeSequence[0].CodeValue": Severity.WARNING}


def test_a_region_that_leaves_the_image_is_a_warning() -> None:
    """The standard forbids no region beyond the image; one that ends before it begins is wrong."""
    dataset = make("US")
    place = "SequenceOfUltrasoundRegions[0].RegionLocationMaxX1"
    for first, last, severity in ((0, 6, Severity.WARNING), (5, 2, Severity.ERROR)):
        region = item(RegionLocationMinX0=first, RegionLocationMaxX1=last)
        dataset.SequenceOfUltrasoundRegions = [region]
        findings = raised(validate_instance(dataset)).findings
        assert [one.severity for one in findings if str(one.path) == place] == [severity]


def test_compressed_pixels_may_have_an_odd_number_of_columns() -> None:
    """Only native YBR_FULL_422 needs pairs of columns (C.7.6.3, Columns)."""
    dataset = make("SC")
    dataset.PhotometricInterpretation, dataset.Columns = "YBR_FULL_422", 7
    dataset.PixelData = encapsulate([b"\xff\xd8" + bytes(20) + b"\xff\xd9"])
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    assert raised(validate_instance(dataset)).errors == ()


@pytest.mark.parametrize(
    ("sop_class", "is_needed"),
    [
        ("1.2.840.10008.5.1.4.1.1.66.4", True),  # Segmentation
        ("1.2.840.10008.5.1.4.1.1.77.1.6", False),  # VL Whole Slide Microscopy
        ("1.2.840.10008.5.1.4.1.1.7.2", False),  # Multi-frame Grayscale Byte Secondary Capture
    ],
)
def test_frame_content(sop_class: str, *, is_needed: bool) -> None:
    """Frame Content is no functional group of some IODs, and optional in others (A.32.8, A.8)."""
    dataset = item(SOPClassUID=sop_class, SOPInstanceUID="1.2.3")
    dataset.SharedFunctionalGroupsSequence = [Dataset()]
    dataset.PerFrameFunctionalGroupsSequence = [Dataset()]
    absent = {str(one.path) for one in raised(validate_instance(dataset)).errors}
    assert (f"{PER_FRAME}[0].FrameContentSequence" in absent) is is_needed


def test_a_projection_is_not_reconstructed() -> None:
    """CT Reconstruction is not required at a constant angle (A.38.1.4)."""
    reconstruction = f"{SHARED}[0].CTReconstructionSequence"
    for kind, is_needed in (("SPIRAL", True), ("CONSTANT_ANGLE", False)):
        dataset = make("ENHANCED CT")
        dataset.ImageType = ["ORIGINAL", *dataset.ImageType[1:]]
        shared = dataset.SharedFunctionalGroupsSequence[0]
        shared.CTAcquisitionTypeSequence = [item(AcquisitionType=kind)]
        absent = {str(one.path) for one in raised(validate_instance(dataset)).errors}
        assert (reconstruction in absent) is is_needed


def test_groups_are_looked_for_where_none_is_shared() -> None:
    """Without shared groups the frames are checked all the same."""
    dataset = make("ENHANCED CT")
    del dataset.SharedFunctionalGroupsSequence
    absent = {str(one.path) for one in raised(validate_instance(dataset)).errors}
    assert {SHARED, f"{SHARED}[0].PixelMeasuresSequence"} <= absent
