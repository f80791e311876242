"""Series whose values need a decision: slopes, padding, MONOCHROME1, colour, mosaics.

Each has data in exactly that state, what happens by default, and the argument that changes it.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from pacs_sdk.core import ErrorCode
from pacs_sdk.integration.itk import LoadedVolume, load_volume
from pacs_sdk.integration.itk.mosaic import csa_numbers
from tests.integration.made_series import in_files, in_memory, made_slice, made_slices


def loaded(datasets: list[pydicom.Dataset], **options: Any) -> LoadedVolume:
    """Load what must be loadable."""
    return load_volume(in_memory(datasets), **options).unwrap()


# -- rescaling --------------------------------------------------------------------------------


def test_stored_values_on_request() -> None:
    """Without rescaling the type is that of the stored values, all of them."""
    stored = np.array([[0, 1, 2, 65535]] * 3, np.uint16)
    datasets = [made_slice(n, stored, RescaleSlope="2.5", RescaleIntercept="-7") for n in range(2)]
    assert loaded(datasets).array.dtype == np.float32
    volume = loaded(datasets, rescale="none")
    assert volume.array.dtype == np.uint16
    assert volume.array[1, 0].tolist() == [0, 1, 2, 65535]
    assert volume.report.rescale == "none: stored values, as asked for"
    assert volume.report.value_unit == ""


def test_signed_and_unsigned_slices_without_rescaling() -> None:
    """One type holds both: int32."""
    unsigned = made_slice(1, np.full((3, 4), 60000, np.uint16))
    volume = loaded([made_slice(0, np.full((3, 4), -5, np.int16)), unsigned], rescale="none")
    assert volume.array.dtype == np.int32
    assert volume.array[:, 0, 0].tolist() == [-5, 60000]
    assert any("PixelRepresentation (0028,0103) differ" in note for note in volume.report.notes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([{"RescaleType": "HU"}, {"RescaleType": "US"}], "HU, US"),
        ([{}, {"RescaleType": "US"}], "HU, US"),
        ([{"Modality": "PT", "Units": "BQML"}, {"Modality": "PT"}], "BQML, none"),
    ],
)
def test_slices_of_different_units_have_none_in_common(
    changes: list[dict[str, Any]], words: str
) -> None:
    """Rescale Type or Units differ: no slice's is that of the volume, and a note tells it."""
    datasets = [made_slice(n, **changes[n // 2]) for n in range(4)]
    volume = loaded(datasets)
    assert volume.report.value_unit == ""
    assert any(f"differ among the slices: {words};" in note for note in volume.report.notes)
    assert not any("differ" in note for note in loaded(datasets, rescale="none").report.notes)


def test_an_absent_rescale_type_is_the_unit_of_the_others() -> None:
    """In CT it means Hounsfield units: one slice that says so and one that does not agree."""
    volume = loaded([made_slice(0, RescaleType="HU"), made_slice(1)])
    assert volume.report.value_unit == "HU"
    assert not any("differ" in note for note in volume.report.notes)


def philips(number: int, scale: float = 0.004) -> pydicom.Dataset:
    """A slice as Philips writes it: display values by the rescaling, a scale slope beside."""
    one = made_slice(number, Modality="MR", RescaleSlope="2.5", RescaleIntercept="10")
    one.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(0x0E, "FL", scale)
    return one


def test_the_scale_slope_of_philips_is_an_option() -> None:
    """By default the values that are stated; else (stored × RS + RI) / (RS × SS)."""
    datasets = [philips(n) for n in range(2)]
    assert loaded(datasets).array[1, 0, 3] == 103 * 2.5 + 10
    volume = loaded(datasets, rescale="philips")
    scale = float(np.float32(0.004))
    assert volume.array[1, 0, 3] == pytest.approx((103 * 2.5 + 10) / (2.5 * scale), rel=1e-6)
    assert volume.metadata.slices[0].slope == pytest.approx(250)


def test_without_a_scale_slope_philips_is_refused() -> None:
    """Another vendor's series, or a block of somebody else."""
    other = [philips(n) for n in range(2)]
    for one in other:
        one[0x2005, 0x0010].value = "SOMEBODY ELSE"
    for datasets in (made_slices(2), other):
        error = load_volume(in_memory(datasets), rescale="philips").failure()
        assert error.code is ErrorCode.SERIES_NOT_LOADABLE
        assert "(2005,100E)" in error.message


def test_a_modality_lut_can_be_left_out() -> None:
    """It is refused unless stored values are wanted."""
    item = pydicom.Dataset()
    item.LUTDescriptor = [16, 0, 16]
    changes = {"RescaleSlope": None, "RescaleIntercept": None, "ModalityLUTSequence": [item]}
    error = load_volume(in_memory(made_slices(2, **changes))).failure()
    assert "rescale='none'" in error.message
    assert loaded(made_slices(2, **changes), rescale="none").array[1, 0, 0] == 100


def test_a_mapping_to_real_world_values_is_noted() -> None:
    """Where it is all that says what stored values are; a slope that is stated is enough."""
    changes: dict[str, Any] = {"RealWorldValueMappingSequence": [pydicom.Dataset()]}
    assert not any("(0040,9096)" in note for note in loaded(made_slices(3, **changes)).report.notes)
    changes |= {"RescaleSlope": None, "RescaleIntercept": None}
    assert any("(0040,9096)" in note for note in loaded(made_slices(3, **changes)).report.notes)


def test_a_parametric_map_is_no_stored_values() -> None:
    """Its values are what Real World Value Mapping says; stored ones are given on request."""
    changes = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.30"}
    error = load_volume(in_memory(made_slices(3, **changes))).failure()
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    assert "RealWorldValueMappingSequence (0040,9096)" in error.message
    assert loaded(made_slices(3, **changes), rescale="none").array[1, 0, 0] == 100


# -- padding ----------------------------------------------------------------------------------


def padded(padding: int = -2000, limit: int | None = None) -> list[pydicom.Dataset]:
    """CT slices whose corner is padding outside the scan field."""
    datasets = []
    for number in range(2):
        values = np.full((3, 4), 1000 + number, np.int16)
        values[0, 0] = padding
        if limit is not None:
            values[0, 1] = limit
        one = made_slice(number, values, RescaleIntercept="-1024", PixelPaddingValue=padding)
        if limit is not None:
            one.PixelPaddingRangeLimit = limit
        datasets.append(one)
    return datasets


def test_padding_is_kept_with_a_note() -> None:
    """By default it is rescaled like everything else: −2000 is −3024 HU."""
    volume = loaded(padded())
    assert volume.array[0, 0, 0] == -3024
    assert volume.mask is None
    assert any("PixelPaddingValue (0028,0120) is -2000" in note for note in volume.report.notes)


def test_padding_can_be_masked() -> None:
    """The values stay, the mask is true where there is something."""
    volume = loaded(padded(-2000, -1990), padding="mask")
    assert volume.mask is not None
    assert volume.mask.shape == volume.array.shape
    assert np.argwhere(~volume.mask).tolist() == [[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1]]
    assert volume.array[0, 0, 0] == -3024
    assert volume.report.actions == ("4 voxels of padding masked",)


def test_padding_can_get_another_value() -> None:
    """A rescaled value: air instead of −3024 HU."""
    volume = loaded(padded(), padding=-1024)
    assert volume.array[0, 0, 0] == -1024
    assert volume.report.value_range == (-1024, -23)
    assert volume.report.actions == ("2 voxels of padding made -1024",)
    error = load_volume(in_memory(padded()), padding=0.5).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT


def test_padding_of_the_other_sign_is_understood(tmp_path: Path) -> None:
    """63536 is −2000 in 16 signed bits: some writers give the VR of the other sign."""
    datasets = padded()
    for one in datasets:
        one[0x0028, 0x0120].VR = "US"
        one[0x0028, 0x0120].value = 0x10000 - 2000
    in_files(in_memory(datasets), tmp_path)
    mask = load_volume(tmp_path, padding="mask").unwrap().mask
    assert mask is not None
    assert (~mask).sum() == 2


# -- bits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("signed", [False, True])
def test_fewer_bits_stored_than_allocated(bits: int, signed: bool) -> None:
    """What is above Bits Stored is no value; the sign is in the highest bit stored."""
    value = 1 << bits - 1  # the highest bit that is stored
    rubbish = 0xFFFF << bits & 0xFFFF
    pixels = np.full((3, 4), value | rubbish, np.uint16).view(np.int16 if signed else np.uint16)
    one = made_slice(0, pixels, BitsStored=bits, HighBit=bits - 1)
    volume = loaded([one])
    assert volume.array[0, 0, 0] == (-value if signed else value)
    cleared = f"bits above BitsStored (0028,0101) {bits} were cleared in 1 of the slices"
    assert any(note.startswith(cleared) for note in volume.report.notes) == (
        bits < 16 and not signed  # what is signed was the sign
    )


# -- MONOCHROME1 ------------------------------------------------------------------------------


def test_monochrome1_keeps_its_values() -> None:
    """It says how they are shown, not what they are: a note, and the values."""
    volume = loaded(made_slices(2, PhotometricInterpretation="MONOCHROME1"))
    assert volume.array[1, 0].tolist() == [100, 101, 102, 103]
    assert any("MONOCHROME1" in note for note in volume.report.notes)


def test_monochrome1_can_be_inverted_or_refused() -> None:
    """Within the range of Bits Stored, before the rescaling."""
    changes: dict[str, Any] = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12}
    changes |= {"HighBit": 11, "RescaleIntercept": "-10", "PixelRepresentation": 0}
    volume = loaded(made_slices(2, **changes), monochrome1="invert")
    assert volume.array[1, 0].tolist() == [4095 - value - 10 for value in (100, 101, 102, 103)]
    assert any("inverted" in action for action in volume.report.actions)
    error = load_volume(in_memory(made_slices(2, **changes)), monochrome1="error").failure()
    assert "PhotometricInterpretation (0028,0004) is MONOCHROME1" in error.message


# -- colour -----------------------------------------------------------------------------------


def colour_slice(number: int, photometric: str) -> pydicom.Dataset:
    """A slice that is (200, 100, 50) all over, as RGB, YBR or by a palette."""
    rgb = np.array([200, 100, 50], np.float64)
    if photometric == "PALETTE COLOR":
        one = made_slice(number, np.ones((4, 4), np.uint8), PhotometricInterpretation=photometric)
        for name, level in zip(("Red", "Green", "Blue"), rgb.astype(int).tolist(), strict=True):
            descriptor = f"{name}PaletteColorLookupTableDescriptor"
            setattr(one, descriptor, [2, 0, 8])
            one[descriptor].VR = "US"
            setattr(one, f"{name}PaletteColorLookupTableData", bytes([0, level]))
        return one
    cells = rgb
    if photometric == "YBR_FULL":
        matrix = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
        cells = matrix @ rgb + (0, 128, 128)
    values = np.tile(cells.round().astype(np.uint8), (4, 4, 1))
    return made_slice(
        number,
        values,
        SamplesPerPixel=3,
        PlanarConfiguration=0,
        PhotometricInterpretation=photometric,
        Rows=4,
        Columns=4,
    )


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "PALETTE COLOR"])
def test_colour_becomes_red_green_and_blue(photometric: str) -> None:
    """Whatever it is stored as: (slices, rows, columns, 3), uint8."""
    datasets = [colour_slice(n, photometric) for n in range(2)]
    volume = loaded(datasets)
    assert volume.array.shape == (2, 4, 4, 3)
    assert volume.array.dtype == np.uint8
    assert np.abs(volume.array.astype(int) - (200, 100, 50)).max() <= 1
    assert volume.samples == 3
    assert any(photometric in note for note in volume.report.notes)
    assert volume.preview().unwrap()[:4] == b"\x89PNG"
    error = load_volume(in_memory(datasets), colour="error").failure()
    assert f"is {photometric}: it is in colour" in error.message


def test_colour_among_grey_is_another_volume() -> None:
    """A secondary capture in the series of the slices."""
    grey = [made_slice(n, np.zeros((4, 4), np.int16)) for n in range(3)]
    error = load_volume(in_memory([*grey, colour_slice(3, "RGB")])).failure()
    assert "PhotometricInterpretation (0028,0004)" in error.message
    assert loaded([*grey, colour_slice(3, "RGB")], strict=False).array.shape == (3, 4, 4)


# -- mosaics ----------------------------------------------------------------------------------

TILES = (3, 2, 5)
"""Rows, columns and number of the tiles: a mosaic of 3 × 3 has room for nine."""


def csa_header(normal: tuple[float, ...]) -> bytes:
    """A CSA header of two elements, as the description of the format lays it out."""
    data = b"SV10" + b"\4\3\2\1" + struct.pack("<2i", 2, 77)
    for name, texts in (("EchoNumber", ["1"]), ("SliceNormalVector", [str(n) for n in normal])):
        data += struct.pack("<64si4siii", name.encode(), 1, b"FD", 4, len(texts), 77)
        for text in texts:
            padded = text.encode() + b"\0"
            data += struct.pack("<4i", len(padded), len(padded), 77, len(padded))
            data += padded + bytes(-len(padded) % 4)
    return data


def mosaic(number: int = 0, normal: tuple[float, ...] = (0, 0, 1)) -> pydicom.Dataset:
    """Five slices of 3 × 2 pixels, the value is 100 × volume + 10 × slice."""
    rows, columns, count = TILES
    pixels = np.zeros((3 * rows, 3 * columns), np.int16)
    for tile in range(count):
        y, x = divmod(tile, 3)
        pixels[y * rows : (y + 1) * rows, x * columns : (x + 1) * columns] = (
            100 * number + 10 * tile
        )
    one = made_slice(
        0,
        pixels,
        Modality="MR",
        ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"],
        SOPInstanceUID=f"1.2.3.4.{number + 1}",
        AcquisitionNumber=number + 1,
        SpacingBetweenSlices="3.5",
        ImagePositionPatient=["0", "0", "7"],
        PixelSpacing=["2", "2"],
    )
    one.private_block(0x0019, "SIEMENS MR HEADER", create=True).add_new(0x0A, "US", count)
    block = one.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", csa_header(normal))
    return one


def test_a_mosaic_is_split_into_its_slices() -> None:
    """Tiles from the left to the right, around the centre of the mosaic."""
    volume = loaded([mosaic()])
    assert volume.array[:, 0, 0].tolist() == [0, 10, 20, 30, 40]
    assert volume.geometry.size == (2, 3, 5)
    assert volume.geometry.spacing == (2, 2, 3.5)
    # The mosaic is 6 × 9 pixels of 2 mm: the first tile's corner is 4 and 6 mm further in.
    assert volume.geometry.origin == (4, 6, 7)
    assert [source.frame for source in volume.sources] == [0, 1, 2, 3, 4]


def test_slices_of_a_mosaic_may_go_the_other_way() -> None:
    """The normal in the CSA header decides: the last tile is the lowest slice."""
    volume = loaded([mosaic(normal=(0, 0, -1))])
    assert volume.array[:, 0, 0].tolist() == [40, 30, 20, 10, 0]
    assert volume.geometry.origin == (4, 6, 7 - 4 * 3.5)


def test_mosaics_of_several_times_are_4d() -> None:
    """A functional MR: one mosaic a time point."""
    volume = loaded([mosaic(number) for number in range(3)])
    assert volume.array.shape == (3, 5, 3, 2)
    assert volume.array[:, 1, 0, 0].tolist() == [10, 110, 210]


def test_mosaics_can_be_refused() -> None:
    """And one that does not say enough always is."""
    error = load_volume(in_memory([mosaic()]), on_mosaic="error").failure()
    assert "ImageType (0008,0008) has MOSAIC" in error.message
    silent = mosaic()
    del silent[0x0029, 0x1010]
    assert "SliceNormalVector" in load_volume(in_memory([silent])).failure().message
    uncounted = mosaic()
    del uncounted[0x0019, 0x100A]
    assert "(0019,100A)" in load_volume(in_memory([uncounted])).failure().message


def test_damaged_csa_headers_have_no_numbers() -> None:
    """Each beginning of one, and lengths that lie."""
    whole = csa_header((0, 0, 1))
    assert csa_numbers(whole, "SliceNormalVector") == (0, 0, 1)
    for length in range(len(whole) - 8):
        assert csa_numbers(whole[:length], "SliceNormalVector") == ()
    huge = whole.replace(struct.pack("<i", 2), struct.pack("<i", 0x7FFFFFFF))
    assert csa_numbers(huge, "NoSuchElement") == ()
