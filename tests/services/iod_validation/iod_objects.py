"""Objects of thirteen IODs, each as small as its IOD allows, and free of errors.

They are made by hand from the module tables of PS3.3; dicom3tools' dciodvfy finds no error in
them either (tests/interop/test_iod_validation.py).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

__all__ = ["INSTANCE", "OBJECTS", "code", "item", "make"]

_ROOT = "1.2.826.0.1.3680043.8.498."
STUDY, SERIES, INSTANCE, FRAME = (f"{_ROOT}{number}" for number in (1, 2, 3, 4))
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def item(**values: object) -> Dataset:
    """Return a data set or item with these elements."""
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return an item of the Code Sequence Macro."""
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def reference(sop_class: str = CT_IMAGE, instance: str = f"{_ROOT}9") -> Dataset:
    """Return an item that refers to an instance."""
    return item(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=instance)


def _common(sop_class: str, modality: str) -> Dataset:
    return item(
        SOPClassUID=sop_class,
        SOPInstanceUID=INSTANCE,
        StudyDate="20250102",
        StudyTime="101112",
        AccessionNumber="A1",
        Modality=modality,
        Manufacturer="ACME",
        ReferringPhysicianName="Doe^Jane",
        PatientName="Roe^Richard",
        PatientID="P1",
        PatientBirthDate="19500102",
        PatientSex="M",
        StudyInstanceUID=STUDY,
        SeriesInstanceUID=SERIES,
        StudyID="1",
        SeriesNumber=1,
        InstanceNumber=1,
    )


def _pixels(dataset: Dataset, *, bits: int = 16, samples: int = 1, frames: int = 1) -> None:
    if dataset.Modality not in ("RTDOSE", "SEG"):
        dataset.BodyPartExamined = "CHEST"  # there is one, so nobody asks for its Laterality
    dataset.SamplesPerPixel = samples
    dataset.PhotometricInterpretation = "MONOCHROME2" if samples == 1 else "RGB"
    if samples > 1:
        dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = 8, 6
    dataset.BitsAllocated = bits
    dataset.BitsStored = bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = 0
    dtype = {8: np.uint8, 16: np.uint16}[bits]
    dataset.PixelData = np.arange(48 * samples * frames, dtype=dtype).tobytes()
    dataset["PixelData"].VR = "OB" if bits == 8 else "OW"


def _plane(dataset: Dataset) -> None:
    dataset.PixelSpacing = [1.0, 1.0]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [1, 2, 3]
    dataset.SliceThickness = 1
    dataset.FrameOfReferenceUID = FRAME
    dataset.PositionReferenceIndicator = ""


def ct() -> Dataset:
    """Return a CT Image."""
    made = _common(CT_IMAGE, "CT")
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    made.PatientPosition = "HFS"
    made.KVP, made.AcquisitionNumber = 120, 1
    made.RescaleIntercept, made.RescaleSlope, made.RescaleType = -1024, 1, "HU"
    _plane(made)
    _pixels(made)
    return made


def mr() -> Dataset:
    """Return an MR Image."""
    made = _common("1.2.840.10008.5.1.4.1.1.4", "MR")
    made.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    made.PatientPosition = "HFS"
    made.ScanningSequence, made.SequenceVariant, made.ScanOptions = ["SE", "IR"], "NONE", ""
    made.MRAcquisitionType = "2D"
    made.RepetitionTime, made.EchoTime, made.InversionTime, made.EchoTrainLength = 500, 10, 90, 1
    _plane(made)
    _pixels(made)
    return made


def pet() -> Dataset:
    """Return a PET Image, with activity in BQML."""
    made = _common("1.2.840.10008.5.1.4.1.1.128", "PT")
    made.ImageType = ["ORIGINAL", "PRIMARY"]
    made.SeriesDate, made.SeriesTime = "20250102", "101112"
    made.AcquisitionDate, made.AcquisitionTime = "20250102", "101112"
    made.SeriesType, made.Units, made.CountsSource = ["STATIC", "IMAGE"], "BQML", "EMISSION"
    made.NumberOfSlices, made.ImageIndex = 1, 1
    made.CorrectedImage, made.DecayCorrection, made.DecayFactor = ["DECY", "ATTN"], "START", 1.1
    made.CollimatorType, made.ActualFrameDuration, made.FrameReferenceTime = "NONE", 1000, 0
    made.RescaleIntercept, made.RescaleSlope = 0, 2.5
    made.PatientWeight = 70
    made.RadiopharmaceuticalInformationSequence = [
        item(
            RadionuclideCodeSequence=[code("77004003", "SCT", "^18^Fluorine")],
            Radiopharmaceutical="FDG",
            RadiopharmaceuticalStartTime="090000",
            RadionuclideTotalDose=3e8,
            RadionuclideHalfLife=6586.2,
        )
    ]
    made.PatientOrientationCodeSequence = [code("102538003", "SCT", "recumbent")]
    made.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = [
        code("40199007", "SCT", "supine")
    ]
    made.PatientGantryRelationshipCodeSequence = [code("102540008", "SCT", "headfirst")]
    _plane(made)
    _pixels(made)
    return made


def us() -> Dataset:
    """Return an Ultrasound Multi-frame Image of three frames."""
    made = _common("1.2.840.10008.5.1.4.1.1.3.1", "US")
    made.ImageType = ["ORIGINAL", "PRIMARY", "ABDOMINAL", "0001"]
    made.PatientOrientation = ""
    made.NumberOfFrames, made.FrameTime = 3, 40
    made.FrameIncrementPointer = 0x00181063
    made.LossyImageCompression = "00"
    _pixels(made, bits=8, samples=3, frames=3)
    return made


def xa() -> Dataset:
    """Return an X-Ray Angiographic Image of two frames."""
    made = _common("1.2.840.10008.5.1.4.1.1.12.1", "XA")
    made.ImageType = ["ORIGINAL", "PRIMARY", "SINGLE PLANE"]
    made.PatientOrientation = ["L", "F"]
    made.NumberOfFrames, made.FrameTime = 2, 66
    made.FrameIncrementPointer = 0x00181063
    made.PixelIntensityRelationship = "LIN"
    made.KVP, made.ExposureTime, made.XRayTubeCurrent, made.Exposure = 80, 10, 100, 1
    made.RadiationSetting = "GR"
    made.PositionerMotion = "STATIC"
    made.PositionerPrimaryAngle, made.PositionerSecondaryAngle = 0, 0
    _pixels(made, bits=8, frames=2)
    return made


def sc() -> Dataset:
    """Return a Secondary Capture Image."""
    made = _common("1.2.840.10008.5.1.4.1.1.7", "OT")
    made.ConversionType = "WSD"
    made.PatientOrientation = ""
    _pixels(made, bits=8, samples=3)
    return made


def _groups(number: int) -> Dataset:
    return item(
        FrameContentSequence=[item(DimensionIndexValues=[1, number])],
        PlanePositionSequence=[item(ImagePositionPatient=[0, 0, number])],
        DerivationImageSequence=[],
    )


def seg() -> Dataset:
    """Return a binary Segmentation of one segment in two frames."""
    made = _common("1.2.840.10008.5.1.4.1.1.66.4", "SEG")
    made.ImageType = ["DERIVED", "PRIMARY"]
    made.ManufacturerModelName, made.DeviceSerialNumber, made.SoftwareVersions = "M", "1", "1"
    made.ContentDate, made.ContentTime = "20250102", "101112"
    made.ContentLabel, made.ContentDescription, made.ContentCreatorName = "SEGMENT", "", "Doe^J"
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = FRAME, ""
    made.LossyImageCompression = "00"
    made.SegmentationType = "BINARY"
    made.SegmentSequence = [
        item(
            SegmentNumber=1,
            SegmentLabel="liver",
            SegmentAlgorithmType="MANUAL",
            SegmentedPropertyCategoryCodeSequence=[
                code("123037004", "SCT", "Anatomical Structure")
            ],
            SegmentedPropertyTypeCodeSequence=[code("10200004", "SCT", "Liver")],
        )
    ]
    organization = f"{_ROOT}5"
    made.DimensionOrganizationSequence = [item(DimensionOrganizationUID=organization)]
    made.DimensionIndexSequence = [
        item(
            DimensionOrganizationUID=organization,
            DimensionIndexPointer=0x0062000B,
            FunctionalGroupPointer=0x0062000A,
            DimensionDescriptionLabel="segment",
        ),
        item(
            DimensionOrganizationUID=organization,
            DimensionIndexPointer=0x00200032,
            FunctionalGroupPointer=0x00209113,
            DimensionDescriptionLabel="position",
        ),
    ]
    made.SharedFunctionalGroupsSequence = [
        item(
            PixelMeasuresSequence=[
                item(SliceThickness=1, SpacingBetweenSlices=1, PixelSpacing=[1.0, 1.0])
            ],
            PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            SegmentIdentificationSequence=[item(ReferencedSegmentNumber=1)],
        )
    ]
    made.NumberOfFrames = 2
    made.PerFrameFunctionalGroupsSequence = [_groups(1), _groups(2)]
    _pixels(made, bits=8, frames=2)
    made.BitsAllocated = made.BitsStored = 1
    made.HighBit = 0
    made.PixelData = bytes(12)  # 2 frames of 8 × 6 bits
    return made


def enhanced_ct() -> Dataset:
    """Return a derived Enhanced CT Image of two frames."""
    made = _common("1.2.840.10008.5.1.4.1.1.2.1", "CT")
    made.ImageType = ["DERIVED", "PRIMARY", "VOLUME", "NONE"]
    made.ManufacturerModelName, made.DeviceSerialNumber, made.SoftwareVersions = "M", "1", "1"
    made.ContentDate, made.ContentTime = "20250102", "101112"
    made.PatientPosition, made.AcquisitionContextSequence = "HFS", []
    made.PixelPresentation, made.VolumetricProperties = "MONOCHROME", "VOLUME"
    made.VolumeBasedCalculationTechnique = "NONE"
    made.ContentQualification, made.BurnedInAnnotation = "PRODUCT", "NO"
    made.LossyImageCompression, made.PresentationLUTShape = "00", "IDENTITY"
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = FRAME, ""
    organization = f"{_ROOT}5"
    made.DimensionOrganizationSequence = [item(DimensionOrganizationUID=organization)]
    made.DimensionIndexSequence = [
        item(
            DimensionOrganizationUID=organization,
            DimensionIndexPointer=0x00200032,
            FunctionalGroupPointer=0x00209113,
            DimensionDescriptionLabel="position",
        )
    ]
    made.SharedFunctionalGroupsSequence = [
        item(
            PixelMeasuresSequence=[item(SliceThickness=1, PixelSpacing=[1.0, 1.0])],
            PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
            FrameAnatomySequence=[
                item(
                    FrameLaterality="U",
                    AnatomicRegionSequence=[code("51185008", "SCT", "Chest")],
                )
            ],
            PixelValueTransformationSequence=[
                item(RescaleIntercept=-1024, RescaleSlope=1, RescaleType="HU")
            ],
            IrradiationEventIdentificationSequence=[item(IrradiationEventUID=f"{_ROOT}6")],
            CTImageFrameTypeSequence=[
                item(
                    FrameType=["DERIVED", "PRIMARY", "VOLUME", "NONE"],
                    PixelPresentation="MONOCHROME",
                    VolumetricProperties="VOLUME",
                    VolumeBasedCalculationTechnique="NONE",
                )
            ],
        )
    ]
    made.NumberOfFrames = 2
    made.PerFrameFunctionalGroupsSequence = [
        item(
            FrameContentSequence=[item(DimensionIndexValues=[number])],
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, number])],
        )
        for number in (1, 2)
    ]
    _pixels(made, frames=2)
    return made


def sr() -> Dataset:
    """Return a Comprehensive SR with a text, a number and an image."""
    made = _common("1.2.840.10008.5.1.4.1.1.88.33", "SR")
    made.ReferencedPerformedProcedureStepSequence = []
    made.ContentDate, made.ContentTime = "20250102", "101112"
    made.CompletionFlag, made.VerificationFlag = "COMPLETE", "UNVERIFIED"
    made.PerformedProcedureCodeSequence = []
    made.CurrentRequestedProcedureEvidenceSequence = [
        item(
            StudyInstanceUID=STUDY,
            ReferencedSeriesSequence=[
                item(SeriesInstanceUID=SERIES, ReferencedSOPSequence=[reference()])
            ],
        )
    ]
    made.ValueType, made.ContinuityOfContent = "CONTAINER", "SEPARATE"
    made.ConceptNameCodeSequence = [code("121144", "DCM", "Document Title")]
    made.ContentSequence = [
        item(
            RelationshipType="CONTAINS",
            ValueType="TEXT",
            ConceptNameCodeSequence=[code("121071", "DCM", "Finding")],
            TextValue="nothing",
        ),
        item(
            RelationshipType="CONTAINS",
            ValueType="NUM",
            ConceptNameCodeSequence=[code("410668003", "SCT", "Length")],
            MeasuredValueSequence=[
                item(
                    NumericValue="3",
                    MeasurementUnitsCodeSequence=[code("mm", "UCUM", "millimeter")],
                )
            ],
        ),
        item(RelationshipType="CONTAINS", ValueType="IMAGE", ReferencedSOPSequence=[reference()]),
    ]
    return made


def rt_dose() -> Dataset:
    """Return an RT Dose of two planes."""
    made = _common("1.2.840.10008.5.1.4.1.1.481.2", "RTDOSE")
    made.OperatorsName, made.PatientOrientation = "", ""
    made.DoseUnits, made.DoseType, made.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    made.DoseGridScaling = 0.001
    made.ReferencedRTPlanSequence = [reference("1.2.840.10008.5.1.4.1.1.481.5")]
    made.NumberOfFrames = 2
    made.FrameIncrementPointer = 0x3004000C
    made.GridFrameOffsetVector = [0, 2.5]
    _plane(made)
    _pixels(made, frames=2)
    return made


def rt_structure_set() -> Dataset:
    """Return an RT Structure Set with one closed contour."""
    made = _common("1.2.840.10008.5.1.4.1.1.481.3", "RTSTRUCT")
    made.OperatorsName = ""
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = FRAME, ""
    made.StructureSetLabel, made.StructureSetDate, made.StructureSetTime = "S", "", ""
    made.ReferencedFrameOfReferenceSequence = [item(FrameOfReferenceUID=FRAME)]
    made.StructureSetROISequence = [
        item(
            ROINumber=1,
            ReferencedFrameOfReferenceUID=FRAME,
            ROIName="liver",
            ROIGenerationAlgorithm="MANUAL",
        )
    ]
    made.ROIContourSequence = [
        item(
            ReferencedROINumber=1,
            ContourSequence=[
                item(
                    ContourGeometricType="CLOSED_PLANAR",
                    NumberOfContourPoints=3,
                    ContourData=[0, 0, 0, 1, 0, 0, 1, 1, 0],
                )
            ],
        )
    ]
    made.RTROIObservationsSequence = [
        item(ObservationNumber=1, ReferencedROINumber=1, RTROIInterpretedType="", ROIInterpreter="")
    ]
    return made


def _control_point(number: int) -> Dataset:
    point = item(ControlPointIndex=number, CumulativeMetersetWeight=float(number))
    if number == 0:
        point.NominalBeamEnergy = 6
        point.BeamLimitingDevicePositionSequence = [
            item(RTBeamLimitingDeviceType="X", LeafJawPositions=[-10, 10])
        ]
        point.GantryAngle = point.BeamLimitingDeviceAngle = point.PatientSupportAngle = 0
        point.TableTopEccentricAngle = 0
        point.GantryRotationDirection = point.BeamLimitingDeviceRotationDirection = "NONE"
        point.PatientSupportRotationDirection = point.TableTopEccentricRotationDirection = "NONE"
        point.TableTopPitchAngle = point.TableTopRollAngle = 0.0
        point.TableTopPitchRotationDirection = point.TableTopRollRotationDirection = "NONE"
        point.TableTopVerticalPosition = point.TableTopLongitudinalPosition = None
        point.TableTopLateralPosition = None
        point.IsocenterPosition = [0, 0, 0]
    return point


def rt_plan() -> Dataset:
    """Return an RT Plan of one beam with two control points."""
    made = _common("1.2.840.10008.5.1.4.1.1.481.5", "RTPLAN")
    made.OperatorsName = ""
    made.RTPlanLabel, made.RTPlanDate, made.RTPlanTime = "P", "", ""
    made.RTPlanGeometry = "PATIENT"
    made.ReferencedStructureSetSequence = [reference("1.2.840.10008.5.1.4.1.1.481.3")]
    made.FractionGroupSequence = [
        item(
            FractionGroupNumber=1,
            NumberOfFractionsPlanned=30,
            NumberOfBeams=1,
            NumberOfBrachyApplicationSetups=0,
            ReferencedBeamSequence=[item(ReferencedBeamNumber=1)],
        )
    ]
    made.PatientSetupSequence = [item(PatientSetupNumber=1, PatientPosition="HFS")]
    made.BeamSequence = [
        item(
            BeamNumber=1,
            BeamName="B",
            BeamType="STATIC",
            RadiationType="PHOTON",
            TreatmentMachineName="",
            BeamLimitingDeviceSequence=[item(RTBeamLimitingDeviceType="X", NumberOfLeafJawPairs=1)],
            ReferencedPatientSetupNumber=1,
            NumberOfWedges=0,
            NumberOfCompensators=0,
            NumberOfBoli=0,
            NumberOfBlocks=0,
            FinalCumulativeMetersetWeight=1.0,
            NumberOfControlPoints=2,
            ControlPointSequence=[_control_point(0), _control_point(1)],
        )
    ]
    return made


def ecg() -> Dataset:
    """Return a General ECG Waveform of one channel."""
    made = _common("1.2.840.10008.5.1.4.1.1.9.1.2", "ECG")
    made.ContentDate, made.ContentTime = "20250102", "101112"
    made.AcquisitionDateTime, made.BodyPartExamined = "20250102101112", "CHEST"
    made.AcquisitionContextSequence = []
    made.WaveformSequence = [
        item(
            WaveformOriginality="ORIGINAL",
            NumberOfWaveformChannels=1,
            NumberOfWaveformSamples=4,
            SamplingFrequency=500,
            ChannelDefinitionSequence=[
                item(
                    ChannelSourceSequence=[code("2:1", "MDC", "Lead I")],
                    ChannelSensitivity=1,
                    ChannelSensitivityUnitsSequence=[code("uV", "UCUM", "microvolt")],
                    ChannelSensitivityCorrectionFactor=1,
                    ChannelBaseline=0,
                    ChannelSampleSkew=0,
                    WaveformBitsStored=16,
                )
            ],
            WaveformBitsAllocated=16,
            WaveformSampleInterpretation="SS",
            WaveformData=bytes(8),
        )
    ]
    return made


OBJECTS: dict[str, Callable[[], Dataset]] = {
    "CT": ct,
    "MR": mr,
    "PET": pet,
    "US": us,
    "XA": xa,
    "SC": sc,
    "SEG": seg,
    "ENHANCED CT": enhanced_ct,
    "SR": sr,
    "RTDOSE": rt_dose,
    "RTSTRUCT": rt_structure_set,
    "RTPLAN": rt_plan,
    "ECG": ecg,
}
"""By modality."""


def make(name: str) -> Dataset:
    """Return the object of a modality, with the file meta of Explicit VR Little Endian."""
    made = OBJECTS[name]()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made
