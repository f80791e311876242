"""SUV factors against values computed by hand: half-lives of an hour, doses that halve."""

from __future__ import annotations

from typing import Any

import pydicom
import pytest
from pydicom.datadict import tag_for_keyword

from pacs_sdk.core import ErrorCode, PacsError
from pacs_sdk.integration.pet import SuvType, suv_scale, suv_scales

WEIGHT_KG = 70.0
HEIGHT_M = 1.75
DOSE_BQ = 370e6
HALF_LIFE_S = 3600.0


def pet_header(**changes: object) -> pydicom.Dataset:
    """Make a header in BQML, given at 10:00 and scanned from 11:00: the dose has halved.

    ``changes`` set attributes, ``None`` takes one away; names of the Radiopharmaceutical
    Information Sequence go into its item.
    """
    header, given = pydicom.Dataset(), pydicom.Dataset()
    attributes: dict[str, object] = {
        "Units": "BQML",
        "DecayCorrection": "START",
        "CorrectedImage": ["DECY", "ATTN", "SCAT"],
        "SeriesDate": "20240229",
        "SeriesTime": "110000",
        "AcquisitionDate": "20240229",
        "AcquisitionTime": "111000.00",
        "PatientWeight": "70",
        "PatientSize": "1.75",
        "PatientSex": "M",
        "RadiopharmaceuticalStartTime": "100000",
        "RadionuclideTotalDose": "370000000",
        "RadionuclideHalfLife": "3600",
    } | changes
    for keyword, value in attributes.items():
        if value is not None:
            of_dose = keyword.startswith(("Radiopharm", "Radionuclide"))
            setattr(given if of_dose else header, keyword, value)
    header.RadiopharmaceuticalInformationSequence = [given]
    return header


def factor_of(header: pydicom.Dataset, kind: SuvType | str = "BW") -> float:
    """Return the factor that has to be there."""
    return suv_scale(header, kind).unwrap().factor


def refusal(header: pydicom.Dataset, kind: SuvType | str = "BW") -> PacsError:
    """Return the error that has to be there."""
    return suv_scale(header, kind).failure()


@pytest.mark.parametrize(
    ("changes", "factor"),
    [
        # 70,000 g over 370 MBq that have halved
        ({}, 70_000 / 185e6),
        # values are given for the administration: the whole dose
        ({"DecayCorrection": "ADMIN"}, 70_000 / 370e6),
        # with a date, and the same time
        ({"RadiopharmaceuticalStartDateTime": "20240229100000"}, 70_000 / 185e6),
        # given two half-lives before, on the evening before: 23:30, scanned from 01:30
        (
            {
                "RadiopharmaceuticalStartTime": "233000",
                "SeriesTime": "013000",
                "AcquisitionTime": "014000",
            },
            70_000 / 92.5e6,
        ),
        # the same with a date, over the end of February
        (
            {
                "RadiopharmaceuticalStartDateTime": "20240229233000",
                "RadiopharmaceuticalStartTime": "2330",
                "SeriesDate": "20240301",
                "SeriesTime": "013000",
                "AcquisitionDate": "20240301",
                "AcquisitionTime": "014000",
            },
            70_000 / 92.5e6,
        ),
        # an offset from UTC: 09:00 in Greenwich is 10:00 at the scanner
        (
            {
                "RadiopharmaceuticalStartDateTime": "20240229090000+0000",
                "TimezoneOffsetFromUTC": "+0100",
            },
            70_000 / 185e6,
        ),
        # an offset and nothing to bring it to: the clock of the scanner
        ({"RadiopharmaceuticalStartDateTime": "20240229100000+0100"}, 70_000 / 185e6),
        # Acquisition DateTime where the pair is absent; Series Time is before it
        (
            {
                "AcquisitionDate": None,
                "AcquisitionTime": None,
                "AcquisitionDateTime": "20240229111000",
            },
            70_000 / 185e6,
        ),
        ({"Units": "GML"}, 1.0),
        ({"Units": "GML", "PatientWeight": None, "RadionuclideTotalDose": None}, 1.0),
    ],
)
def test_body_weight(changes: dict[str, object], factor: float) -> None:
    """The factor is grams over the dose at the time that the values are given for."""
    assert factor_of(pet_header(**changes)) == pytest.approx(factor, rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "sex", "size"),
    [
        (SuvType.BW, "M", 70_000),
        # 1.10 × 70 − 128 × (70 / 175)² = 77 − 20.48 kg
        (SuvType.LBMJAMES128, "M", 56_520),
        # 1.07 × 70 − 148 × (70 / 175)² = 74.9 − 23.68 kg
        (SuvType.LBMJAMES128, "F", 51_220),
        # index 70 / 3.0625 = 160 / 7; 648,900 / (6,680 + 216 × 160 / 7) kg
        (SuvType.LBMJANMA, "M", 55_857.1077),
        # 648,900 / (8,780 + 244 × 160 / 7) kg
        (SuvType.LBMJANMA, "F", 45_197.0149),
        # 0.007184 × 70^0.425 × 175^0.725 = 0.007184 × 6.08368 × 42.2867 m²
        (SuvType.BSA, "O", 18_481.4),
    ],
)
def test_sizes_of_a_body(kind: SuvType, sex: str, size: float) -> None:
    """Weight, lean mass by two formulas and both sexes, and surface stand over one dose."""
    scale = suv_scale(pet_header(PatientSex=sex), kind).unwrap()
    assert scale.factor * DOSE_BQ / 2 == pytest.approx(size, rel=1e-5)
    assert scale.suv_type is kind
    assert scale.unit.startswith("cm2/ml" if kind is SuvType.BSA else "g/ml")


def test_not_corrected_values_decay_until_the_mean_of_the_frame() -> None:
    """With NONE the dose decays until the moment whose activity is the mean of the frame.

    A frame of one half-life from 11:00 on: its mean activity is (1 − 1/2) / ln 2 of that at
    11:00, when the dose had halved.
    """
    header = pet_header(
        DecayCorrection="NONE",
        CorrectedImage=["ATTN"],
        AcquisitionTime="110000",
        ActualFrameDuration="3600000",
    )
    assert factor_of(header) == pytest.approx(70_000 / (185e6 * 0.5 / 0.69314718056), rel=1e-9)


def test_a_series_that_was_processed_later() -> None:
    """If Series Time is after the acquisition, the frame's own times tell when the scan began.

    One half-life is the frame's duration; its mean activity is after
    log2(ln 2 / (1 − 1/2)) = 0.471234 half-lives, 1696.441 s. The frame's reference time
    is 2296.441 s after the scan began, so that was 600 s before the acquisition: at 11:00.
    """
    header = pet_header(
        SeriesTime="180000", ActualFrameDuration="3600000", FrameReferenceTime="2296441.26"
    )
    assert factor_of(header) == pytest.approx(70_000 / 185e6, rel=1e-6)


def test_the_private_scan_time_of_ge() -> None:
    """If Series Time is after the acquisition, GE's private time of the scan counts."""
    header = pet_header(SeriesTime="180000")
    block = header.private_block(0x0009, "GEMS_PETD_01", create=True)
    block.add_new(0x0D, "DT", "20240229110000.00")
    assert factor_of(header) == pytest.approx(70_000 / 185e6, rel=1e-12)


def test_the_first_acquired_image_tells_when_the_scan_began() -> None:
    """All images of a series have one start, also where Series Time is between them."""
    early = pet_header(
        SeriesTime="111500", ActualFrameDuration="3600000", FrameReferenceTime="2296441.26"
    )
    late = pet_header(SeriesTime="111500", AcquisitionTime="112000")
    one, other = suv_scales([late, early]).unwrap()
    assert one.factor == other.factor == pytest.approx(70_000 / 185e6, rel=1e-6)


def philips(**numbers: str) -> pydicom.Dataset:
    """Make a header in counts with private numbers: ``x09`` is (7053,xx09)."""
    header = pet_header(Units="CNTS")
    block = header.private_block(0x7053, "Philips PET Private Group", create=True)
    for offset, value in numbers.items():
        block.add_new(int(offset.removeprefix("x"), 16), "DS", value)
    return header


@pytest.mark.parametrize(
    ("numbers", "factor"),
    [
        ({"x00": "0.00025"}, 0.00025),
        ({"x00": "0.00025", "x09": "2.5"}, 0.00025),
        ({"x09": "2.5"}, 2.5 * 70_000 / 185e6),
        ({"x00": "0", "x09": "2.5"}, 2.5 * 70_000 / 185e6),
    ],
)
def test_counts_of_philips(numbers: dict[str, str], factor: float) -> None:
    """Counts become SUV by (7053,xx00), or activity by (7053,xx09) where that is 0 or absent."""
    assert factor_of(philips(**numbers)) == pytest.approx(factor, rel=1e-12)


def test_private_factors_of_unknown_vr() -> None:
    """A private number that came as bytes (VR UN) is the same number."""
    header = pet_header(Units="CNTS")
    block = header.private_block(0x7053, "Philips PET Private Group", create=True)
    block.add_new(0x00, "UN", b"0.00025 ")
    assert factor_of(header) == 0.00025


def test_the_block_has_to_be_that_of_philips() -> None:
    """Another creator's (7053,1000) is no SUV factor."""
    header = pet_header(Units="CNTS")
    header.private_block(0x7053, "SOMEBODY ELSE", create=True).add_new(0x00, "DS", "3")
    error = refusal(header)
    assert error.code is ErrorCode.MISSING_REQUIRED_VALUE
    assert "Philips PET Private Group" in error.message


def test_other_types_of_stored_suv() -> None:
    """Stored SUV become another type by the two sizes; SUV Type says which they are."""
    assert factor_of(pet_header(Units="GML"), "LBMJAMES128") == pytest.approx(56.52 / 70)
    lean = pet_header(Units="GML", SUVType="LBMJAMES128")
    assert factor_of(lean, "LBMJAMES128") == 1.0
    assert factor_of(lean) == pytest.approx(70 / 56.52)
    assert factor_of(pet_header(Units="CM2ML"), "BSA") == 1.0
    assert factor_of(philips(x00="0.5"), "lbmjames128") == pytest.approx(0.5 * 56.52 / 70)


@pytest.mark.parametrize(
    ("changes", "kind", "keyword"),
    [
        ({"PatientWeight": None}, "BW", "PatientWeight"),
        ({"PatientWeight": ""}, "BW", "PatientWeight"),
        ({"PatientWeight": "0"}, "BW", "PatientWeight"),
        ({"PatientSize": None}, "BSA", "PatientSize"),
        ({"PatientSize": None}, "LBMJANMA", "PatientSize"),
        ({"PatientSex": ""}, "LBMJAMES128", "PatientSex"),
        ({"RadionuclideTotalDose": None}, "BW", "RadionuclideTotalDose"),
        ({"RadionuclideHalfLife": None}, "BW", "RadionuclideHalfLife"),
        ({"RadiopharmaceuticalStartTime": None}, "BW", "RadiopharmaceuticalStartTime"),
        ({"AcquisitionTime": None}, "BW", "AcquisitionTime"),
        ({"AcquisitionDate": ""}, "BW", "AcquisitionDate"),
        ({"DecayCorrection": None}, "BW", "DecayCorrection"),
        ({"CorrectedImage": None}, "BW", "CorrectedImage"),
        ({"Units": None}, "BW", "Units"),
        ({"SeriesTime": None, "ActualFrameDuration": "1000"}, "BW", "FrameReferenceTime"),
        ({"SeriesTime": "180000"}, "BW", "ActualFrameDuration"),
        ({"DecayCorrection": "NONE", "CorrectedImage": "ATTN"}, "BW", "ActualFrameDuration"),
    ],
)
def test_what_is_missing_is_named(changes: dict[str, object], kind: str, keyword: str) -> None:
    """A required attribute that is absent, empty or 0 is a refusal that names it."""
    error = refusal(pet_header(**changes), kind)
    assert error.code is ErrorCode.MISSING_REQUIRED_VALUE
    assert error.details["keyword"] == keyword
    number = tag_for_keyword(keyword) or 0
    assert error.details["tag"] == f"({number >> 16:04X},{number & 0xFFFF:04X})"
    assert keyword in error.message


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"PatientSize": "175"}, "BSA", "metres"),
        ({"PatientSize": "0.4"}, "LBMJAMES128", "no lean body mass"),
        ({"PatientSex": "O"}, "LBMJANMA", "'O'"),
        ({"PatientWeight": "-70"}, "BW", "not above 0"),
        ({"DecayCorrection": "SOME"}, "BW", "'SOME'"),
        ({"CorrectedImage": ["DECY"]}, "BW", "ATTN"),
        ({"CorrectedImage": ["ATTN"]}, "BW", "contradicts"),
        ({"DecayCorrection": "NONE"}, "BW", "contradicts"),
        ({"Units": "PROPCPS"}, "BW", "PROPCPS"),
        ({"Units": "GML", "SUVType": "IBW"}, "BW", "IBW"),
        # ten minutes after the scan began: no evening before, whatever the time
        ({"RadiopharmaceuticalStartTime": "111000"}, "BW", "after the time of the values"),
        ({"RadiopharmaceuticalStartDateTime": "20240229120000"}, "BW", "after the time"),
        # a date of another life: 365 days are 8,760 half-lives
        ({"RadiopharmaceuticalStartDateTime": "20230301100000"}, "BW", "half-lives"),
        # one day early, 25 hours of 18F are 13.7 half-lives
        (
            {
                "RadiopharmaceuticalStartDateTime": "20240228100000",
                "RadionuclideHalfLife": "6586.2",
            },
            "BW",
            "half-lives",
        ),
        # 09:00 in Greenwich, or at the scanner, whose clock says 10:00?
        (
            {"RadiopharmaceuticalStartDateTime": "20240229090000+0000"},
            "BW",
            "RadiopharmaceuticalStartTime (0018,1072) is 10:00:00",
        ),
        ({"RadionuclideTotalDose": "370"}, "BW", "it may be MBq"),
        ({"PatientWeight": "70000"}, "BW", "kilograms"),
        ({"RadiopharmaceuticalStartTime": "ten"}, "BW", "RadiopharmaceuticalStartTime"),
        ({"SeriesTime": "999999"}, "BW", "SeriesTime (0008,0031) is '999999'"),
        ({"AcquisitionDate": "20249999"}, "BW", "AcquisitionDate (0008,0022) is '20249999'"),
        ({"RadiopharmaceuticalStartDateTime": "soon"}, "BW", "StartDateTime (0018,1078) is 'soon'"),
    ],
)
def test_what_is_wrong_is_refused(changes: dict[str, object], kind: str, words: str) -> None:
    """A value that is wrong or contradicts another is a refusal too, never a wrong SUV."""
    with pydicom.config.disable_value_validation():
        error = refusal(pet_header(**changes), kind)
    assert error.code is ErrorCode.VALUE_CONVERSION_FAILED
    assert words in error.message


def test_several_doses_are_refused() -> None:
    """Two items of Radiopharmaceutical Information Sequence leave open which dose counts."""
    header = pet_header()
    header.RadiopharmaceuticalInformationSequence.append(pydicom.Dataset())
    assert "2 items" in refusal(header).message
    header.RadiopharmaceuticalInformationSequence = []
    assert refusal(header).code is ErrorCode.MISSING_REQUIRED_VALUE


def test_an_unknown_type() -> None:
    """A kind of SUV that nobody knows is an invalid argument, with the names there are."""
    error = refusal(pet_header(), "SUL")
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "LBMJANMA" in error.message


def test_the_words_tell_the_way() -> None:
    """The scale says how long the dose decayed, and until when."""
    words: Any = suv_scale(pet_header()).unwrap().words
    assert "3600 s" in words
    assert "Series Date and Time" in words
