"""Series with several images of one place: echoes, times, diffusion, phases.

Each has data in exactly that state, what happens by default, and the argument that changes it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pydicom
import pytest

from pacs_sdk.integration.itk import load_series
from tests.integration.made_series import in_memory
from tests.integration.series_cases import (
    echoes,
    first_voxels,
    flat,
    gappy,
    loaded,
    refusal,
    tilted,
)


def test_echoes_become_a_4d_array() -> None:
    """The first axis says by which attribute, in the order of its numbers."""
    volume = loaded(echoes(("9.2", "4.6"), Modality="MR"))
    assert volume.array.shape == (2, 3, 3, 4)
    assert volume.array[:, :, 0, 0].tolist() == [[1000, 1001, 1002], [0, 1, 2]]
    assert volume.axis is not None
    assert volume.axis.keywords == ("EchoTime",)
    assert volume.axis.numbers("EchoTime") == (4.6, 9.2)
    assert volume.report.volume_labels == ("EchoTime=4.6", "EchoTime=9.2")
    assert [one.echo_time_ms for one in volume.metadata.slices] == [4.6] * 3 + [9.2] * 3
    assert volume.sop_instance_uids[3] == "1.2.3.4.1"
    assert volume.at(1).unwrap().array[2, 0, 0] == 2


def test_echoes_are_refused_on_request() -> None:
    """Who expects one volume can say so."""
    error = refusal(echoes(), on_same_position="error")
    assert "EchoTime=4.6; EchoTime=9.2" in error.message


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("TemporalPositionIdentifier", (1, 2)),
        ("AcquisitionNumber", (1, 2)),
        ("InversionTime", ("100", "250")),
        ("TriggerTime", ("0", "40")),
        ("FrameReferenceTime", ("30000", "90000")),
        ("EchoNumbers", (1, 2)),
    ],
)
def test_other_attributes_make_an_axis_too(keyword: str, values: tuple[object, object]) -> None:
    """Time points, phases of the heart, inversion times."""
    datasets = [
        flat(10 * index + n, 1000 * index + n, 2.5 * n, **{keyword: value})
        for index, value in enumerate(values)
        for n in range(3)
    ]
    volume = loaded(datasets)
    assert volume.axis is not None
    assert volume.axis.keywords == (keyword,)
    assert volume.array.shape == (2, 3, 3, 4)


def test_volumes_that_are_moved_against_each_other_have_no_one_grid() -> None:
    """The second echo lies 3 mm beside the first: its file is named."""
    datasets = echoes()
    for one in datasets:
        if one.EchoTime == 9.2:
            one.ImagePositionPatient[0] = "-7"
    error = refusal(datasets)
    assert "is 3 mm beside that of instance 1.2.3.4.1" in error.message
    assert error.details["tag"] == "(0020,0032)"


def test_gaps_of_4d_arrays_are_filled_in_each_volume() -> None:
    """The same places are missing in all of them."""
    datasets = [
        flat(10 * index + n, 1000 * index + 10 * n, 2.5 * n, EchoTime=time)
        for n in (0, 1, 3)
        for index, time in enumerate(("4.6", "9.2"))
    ]
    assert "1 slice is missing" in refusal(datasets).message
    volume = loaded(datasets, on_gap="interpolate")
    assert volume.array[:, :, 0, 0].tolist() == [[0, 10, 20, 30], [1000, 1010, 1020, 1030]]
    assert len(volume.sources) == 8


@pytest.mark.parametrize("memory", ["on_demand", "shared"])
def test_images_of_all_kinds_are_those_of_the_array(memory: Any) -> None:
    """4-D, filled, resampled: in NumPy's memory and in SimpleITK's."""
    sitk: Any = pytest.importorskip("SimpleITK")
    kinds: list[tuple[list[pydicom.Dataset], dict[str, Any]]] = [
        (echoes(), {}),
        (gappy(), {"on_gap": "fill"}),
        (tilted(), {"on_tilt": "resample"}),
    ]
    for datasets, options in kinds:
        series = load_series(in_memory(datasets), image_memory=memory, **options).unwrap()
        assert np.array_equal(sitk.GetArrayFromImage(series.image), series.array)
        assert np.array_equal(series.array, loaded(datasets, **options).array)
        assert tuple(series.image.GetSpacing()[:3]) == series.geometry.spacing


def test_masks_are_resampled_with_the_values() -> None:
    """Outside of the slices there is nothing, and padding stays none."""
    datasets = tilted()
    for one in datasets:
        pixels = np.frombuffer(one.PixelData, "<i2").reshape(8, 4).copy()
        pixels[:, 0] = -2000
        one.PixelData = pixels.tobytes()
        one.PixelPaddingValue = -2000
    volume = loaded(datasets, on_tilt="resample", padding="mask", interpolation="nearest")
    assert volume.mask is not None
    assert volume.mask.shape == volume.array.shape
    assert not volume.mask[:, :, 0].any()
    assert (volume.mask[:, :, 1].sum(axis=1) >= 7).all()
    assert not volume.mask[0, 8:].any()


def test_times_that_each_slice_has_for_itself_are_ranked() -> None:
    """Slices of a cine MR have trigger times of their own; their order makes the phases."""
    datasets = [
        flat(10 * phase + n, 1000 * phase + n, 2.5 * n, TriggerTime=str(40 * phase + n))
        for phase in range(3)
        for n in range(4)
    ]
    volume = loaded(datasets)
    assert volume.array[:, :, 0, 0].tolist() == [
        [1000 * phase + n for n in range(4)] for phase in range(3)
    ]
    assert any("its order makes the 3 volumes" in note for note in volume.report.notes)


def with_times(kinds: list[dict[str, Any]], back: bool = True) -> list[pydicom.Dataset]:
    """Make images of three places, each with a time of its own; the middle one in reverse order.

    The values are 10 × the number of the kind.
    """
    datasets = []
    for place in range(3):
        order = list(enumerate(kinds))
        if place == 1 and back:
            order.reverse()
        for time, (number, kind) in enumerate(order):
            datasets.append(
                flat(
                    10 * number + place,
                    10 * number,
                    2.5 * place,
                    ContentTime=f"12{place:02}{time:02}",
                    **kind,
                )
            )
    return datasets


@pytest.mark.parametrize(
    "kinds",
    [
        [{"FlipAngle": "5"}, {"FlipAngle": "15"}],
        [{"KVP": "80"}, {"KVP": "140"}],
        [{"RepetitionTime": "15"}, {"RepetitionTime": "100"}],
        [
            {"EchoTime": echo, "DiffusionBValue": b_value, "TemporalPositionIdentifier": time}
            for echo in ("4.6", "9.2")
            for b_value in (0.0, 800.0)
            for time in (1, 2)
        ],
    ],
)
def test_times_never_mix_what_else_tells_images_apart(kinds: list[dict[str, Any]]) -> None:
    """Where the images of one place came in another order, each volume is of one kind still."""
    volume = loaded(with_times(kinds))
    assert volume.axis is not None
    assert volume.axis.keywords == tuple(kinds[0])
    assert volume.array[:, :, 0, 0].tolist() == [[10 * n] * 3 for n in range(len(kinds))]


def test_times_are_ranked_among_images_of_one_kind() -> None:
    """Two echoes of two times, the echoes in another order at one place."""
    kinds = [{"EchoTime": echo, "EchoNumbers": n} for n, echo in enumerate(("4.6", "9.2"))]
    volume = loaded(with_times([kinds[0], kinds[1], kinds[0], kinds[1]]))
    assert volume.axis is not None
    assert volume.axis.keywords == ("EchoTime", "ContentTime")
    assert volume.axis.numbers("EchoTime") == (4.6, 4.6, 9.2, 9.2)
    found = volume.array[:, :, 0, 0].tolist()
    assert found == [[0, 20, 0], [20, 0, 20], [10, 30, 10], [30, 10, 30]]


def test_times_do_not_hide_that_echoes_differ_from_place_to_place() -> None:
    """Echoes of 4.6 and 9.2 ms at one place, of 4.6 and 14 ms at the next, are no two volumes."""
    datasets = with_times([{"EchoTime": "4.6"}, {"EchoTime": "9.2"}], back=False)
    datasets[3].EchoTime = "14"
    assert "no attribute makes volumes of them" in refusal(datasets).message


def test_a_jitter_of_echo_times_is_no_other_echo() -> None:
    """Numbers of echoes tell volumes apart whose times are computed for each slice anew."""
    kinds = [{"EchoTime": "4.6", "EchoNumbers": 1}, {"EchoTime": "9.2", "EchoNumbers": 2}]
    datasets = with_times(kinds)
    datasets[0].EchoTime = "4.60001"
    volume = loaded(datasets)
    assert volume.array[:, :, 0, 0].tolist() == [[0] * 3, [10] * 3]


@pytest.mark.parametrize(
    "echoes",
    [
        (("4.9994", "4.9996", "5.0002"), ("4.9996", "5.0001", "4.9993"), ("5", "4.9992", "4.9997")),
        (("4.9994", "4.9996"), ("4.9996", "4.9994"), ("4.9994", "4.9996")),
    ],
)
def test_a_jitter_of_echo_times_mixes_no_volumes(echoes: tuple[tuple[str, ...], ...]) -> None:
    """Echo times of one echo differ in the last digits, from place to place in another order."""
    datasets = [
        flat(
            10 * time + place,
            100 * time,
            2.5 * place,
            ContentTime=f"12{time:02}{place:02}",
            EchoTime=echo,
        )
        for place, of_place in enumerate(echoes)
        for time, echo in enumerate(of_place)
    ]
    volume = loaded(datasets)
    assert volume.axis is not None
    assert volume.axis.keywords == ("ContentTime",)
    assert volume.array[:, :, 0, 0].tolist() == [[100 * time] * 3 for time in range(len(echoes[0]))]


def test_a_jitter_tells_volumes_apart_where_nothing_else_does() -> None:
    """All slices of one volume have 4.9994 ms, all of the other 4.9996 ms."""
    datasets = [
        flat(10 * n + place, 100 * n, 2.5 * place, EchoTime=echo)
        for n, echo in enumerate(("4.9994", "4.9996"))
        for place in range(3)
    ]
    assert loaded(datasets).array[:, :, 0, 0].tolist() == [[0] * 3, [100] * 3]


def test_many_temporal_positions_are_all_told_apart() -> None:
    """Numbers that count have no jitter: 2,001 is another position than 2,000."""
    datasets = [
        flat(
            10 * n + place,
            100 * n,
            2.5 * place,
            TemporalPositionIdentifier=2000 + n,
            ContentTime=f"12{(n + place) % 2:02}00",
        )
        for n in range(2)
        for place in range(3)
    ]
    assert loaded(datasets).array[:, :, 0, 0].tolist() == [[0] * 3, [100] * 3]


def test_rounded_positions_of_one_slice_in_time_are_one_place() -> None:
    """A cine of one slice whose positions differ by some nm has one slice, not two 4 nm apart."""
    datasets = [
        flat(n, n, 4e-6 * (n % 2), ContentTime=f"1200{n:02}", SliceThickness="5") for n in range(6)
    ]
    volume = loaded(datasets)
    assert volume.array[:, :, 0, 0].tolist() == [[n] for n in range(6)]
    assert volume.geometry.spacing[2] == 5


def test_steps_of_micrometres_stay_apart() -> None:
    """Slices of a micro-CT are 2 µm apart and as thick."""
    volume = loaded([flat(n, n, 2e-3 * n, SliceThickness="0.002") for n in range(4)])
    assert volume.array.shape[0] == 4


@pytest.mark.parametrize("date", [None, "20000101"])
def test_times_go_on_after_midnight_where_no_date_says_so(date: str | None) -> None:
    """Data without an identity keep times, and lose dates: morning comes after the evening."""
    times = ("235930", "235950", "000010", "000030")
    datasets = [
        flat(
            10 * n + place,
            100 * n,
            2.5 * place,
            AcquisitionDate=date,
            AcquisitionTime=times[n + place],
        )
        for n in range(3)
        for place in range(2)
    ]
    volume = loaded(datasets)
    assert volume.array[:, :, 0, 0].tolist() == [[0, 0], [100, 100], [200, 200]]
    assert any("000030 were taken to be of the next day" in one for one in volume.report.notes)


def test_times_of_a_long_day_stay_in_one() -> None:
    """Eleven hours apart, or all day long without an evening of its own, is one day."""
    for times in (("080000", "190000"), ("010000", "080000", "150000", "230000")):
        datasets = [
            flat(10 * n + place, 100 * n, 2.5 * place, ContentTime=time)
            for n, time in enumerate(times)
            for place in range(2)
        ]
        volume = loaded(datasets)
        assert volume.axis is not None
        assert volume.axis.labels == tuple(f"ContentTime={time}" for time in times)


@pytest.mark.parametrize("kind", ["Acquisition", "Content"])
def test_times_go_on_after_midnight(kind: str) -> None:
    """What was scanned at 00:01 of the next day comes after 23:59."""
    days = (("20240228", "235900"), ("20240229", "000100"))
    datasets = [
        flat(10 * n + z, 100 * n, 2.5 * z, **{f"{kind}Date": day, f"{kind}Time": time})
        for n, (day, time) in enumerate(days)
        for z in range(3)
    ]
    volume = loaded(datasets)
    assert volume.axis is not None
    assert volume.axis.labels == (f"{kind}Time=235900", f"{kind}Time=000100")
    assert volume.array[:, 0, 0, 0].tolist() == [0, 100]


def test_time_points_between_one_another_are_noted() -> None:
    """Slices of a second time point half a step off make one regular stack with the first."""
    datasets = [
        flat(2 * n + time, 0, 2.5 * n + 1.25 * time, TemporalPositionIdentifier=time + 1)
        for time in range(2)
        for n in range(3)
    ]
    notes = loaded(datasets).report.notes
    assert any(note.startswith("TemporalPositionIdentifier (0020,0100) differs") for note in notes)


def test_what_differs_among_the_slices_of_one_volume_is_noted() -> None:
    """A magnitude between phases, each at a place of its own, could be of another volume."""
    datasets = [flat(n, n, 2.5 * n, EchoTime=time) for n, time in enumerate(("4.6", "9.2", "4.60"))]
    datasets[1].ImageType = ["ORIGINAL", "PRIMARY", "P"]
    notes = loaded(datasets).report.notes
    assert [note.split(" differs")[0] for note in notes if "differs among the slices" in note] == [
        "ImageType (0008,0008)",
        "EchoTime (0018,0081)",
    ]
    assert any(note.endswith(": 4.6, 9.2, 4.60") for note in notes)


def diffusion(**extra: Any) -> list[pydicom.Dataset]:
    """One volume without weighting, two directions of b=1000."""
    directions = ((0.0, None), (1000.0, [1.0, 0.0, 0.0]), (1000.0, [0.0, 1.0, 0.0]))
    datasets = []
    for index, (b_value, direction) in enumerate(directions):
        for number in range(2):
            one = flat(10 * index + number, 100 * index + number, 2.5 * number, Modality="MR")
            if extra.get("vendor") == "siemens":
                block = one.private_block(0x0019, "SIEMENS MR HEADER", create=True)
                block.add_new(0x0C, "IS", str(int(b_value)))
                if direction:
                    block.add_new(0x0E, "FD", direction)
            elif extra.get("vendor") == "philips":
                block = one.private_block(0x2001, "Philips Imaging DD 001", create=True)
                block.add_new(0x03, "FL", b_value)
                block = one.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
                for offset, part in enumerate(direction or [0.0, 0.0, 0.0]):
                    block.add_new(0xB0 + offset, "FL", part)
            elif extra.get("vendor") == "ge":
                block = one.private_block(0x0043, "GEMS_PARM_01", create=True)
                block.add_new(0x39, "IS", [str(int(b_value + 1_000_000_000)), "8", "0", "0"])
                one.DiffusionGradientOrientation = direction or [0.0, 0.0, 0.0]
            else:
                one.DiffusionBValue = b_value
                if direction:
                    one.DiffusionGradientOrientation = direction
            datasets.append(one)
    return datasets


@pytest.mark.parametrize("vendor", ["standard", "siemens", "philips", "ge"])
def test_diffusion_weighting_makes_an_axis(vendor: str) -> None:
    """b-values and directions, from the standard's attributes or the vendor's own."""
    volume = loaded(diffusion(vendor=vendor))
    assert volume.axis is not None
    assert set(volume.axis.keywords) <= {"DiffusionBValue", "DiffusionGradientOrientation"}
    assert volume.array.shape == (3, 2, 3, 4)
    found = {
        (one.b_value, one.gradient): int(volume.array[index // 2, index % 2, 0, 0])
        for index, one in enumerate(volume.metadata.slices)
        if index % 2 == 0
    }
    assert found[1000, (1, 0, 0)] == 100
    assert found[1000, (0, 1, 0)] == 200
    assert {b_value for b_value, _ in found} == {0, 1000}


def test_an_image_type_is_no_axis() -> None:
    """Magnitude and phase are two volumes: one has to be chosen."""
    kinds = (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"])
    datasets = [
        flat(10 * index + n, 1000 * index + n, 2.5 * n, ImageType=kind)
        for index, kind in enumerate(kinds)
        for n in range(3)
    ]
    error = refusal(datasets)
    assert "ImageType (0008,0008)" in error.message
    assert "volume=" in error.message
    assert loaded(datasets, volume=1).array[0, 0, 0] == 1000


def test_phases_that_cover_different_ranges_are_volumes_of_their_own() -> None:
    """An axis needs the same places in each; these have three and four slices."""
    first = [flat(n, n, 2.5 * n, AcquisitionNumber=1) for n in range(3)]
    second = [flat(10 + n, 100 + n, 2.5 * n, AcquisitionNumber=2) for n in range(4)]
    assert "AcquisitionNumber (0020,0012)" in refusal(first + second).message
    volume = loaded(first + second, on_mixed="largest")
    assert first_voxels(volume) == [100, 101, 102, 103]
    assert len(volume.report.skipped) == 3
    assert "another volume of the series" in volume.report.skipped[0].reason
