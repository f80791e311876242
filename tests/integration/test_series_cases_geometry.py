"""Series that are no plain stack: gaps, steps, tilts, duplicates, several volumes in one.

Each has data in exactly that state, what happens by default, and the argument that changes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from pacs_sdk.core import ErrorCode, PacsError
from pacs_sdk.core.results import Success
from pacs_sdk.integration.itk import LoadedVolume, load_series, load_study, load_volume, scan_series
from tests.integration.made_series import in_files, in_memory, made_slice, made_slices


def loaded(datasets: list[pydicom.Dataset], **options: Any) -> LoadedVolume:
    """Load what must be loadable."""
    return load_volume(in_memory(datasets), **options).unwrap()


def refusal(datasets: list[pydicom.Dataset], **options: Any) -> PacsError:
    """Load what must be refused as no one volume."""
    error = load_volume(in_memory(datasets), **options).failure()
    assert error.code is ErrorCode.SERIES_NOT_LOADABLE
    return error


def flat(number: int, value: int, z: float | None = None, **changes: Any) -> pydicom.Dataset:
    """Make a slice of one value, at a place of its own."""
    if z is not None:
        changes["ImagePositionPatient"] = ["-10", "20", f"{z:.15g}"]
    return made_slice(number, np.full((3, 4), value, np.int16), **changes)


def first_voxels(volume: LoadedVolume) -> list[float]:
    """Return the first voxel of each slice."""
    return [float(plane.flat[0]) for plane in volume.array]


# -- missing slices -------------------------------------------------------------------------


def gappy() -> list[pydicom.Dataset]:
    """Slices 0, 1, 2, 5 and 6 of seven."""
    return [made_slice(number) for number in (0, 1, 2, 5, 6)]


def test_a_gap_is_an_error_that_says_where() -> None:
    """By default: how many slices are missing, between which, at what position."""
    error = refusal(gappy())
    assert "2 slices are missing" in error.message
    assert "2 after instance 1.2.3.4.3 at (-10, 20, 0) mm" in error.message
    assert "on_gap=" in error.message


@pytest.mark.parametrize(
    ("fill_value", "expected"), [(None, 0), (-1024.0, -1024)], ids=["smallest", "chosen"]
)
def test_a_gap_is_filled_with_one_value(fill_value: float | None, expected: int) -> None:
    """The smallest value of the volume, or the one that is asked for; nothing came from there."""
    volume = loaded(gappy(), on_gap="fill", fill_value=fill_value)
    assert first_voxels(volume) == [0, 100, 200, expected, expected, 500, 600]
    assert (volume.array[3:5] == expected).all()
    assert volume.geometry.spacing[2] == 2.5
    assert volume.sop_instance_uids[2:6] == ("1.2.3.4.3", "", "", "1.2.3.4.6")
    assert volume.metadata.slices[3].position == (-10, 20, 2.5)
    (gap,) = volume.report.gaps
    assert (gap.missing, gap.step_mm, gap.index) == (2, 7.5, 2)
    assert volume.report.actions == (f"2 slices filled with {expected}",)
    assert volume.report.value_range[0] == min(0, expected)
    assert "Gap" in str(volume.report)


def test_a_gap_is_interpolated() -> None:
    """Each missing slice is the mean of its neighbours, weighted by distance."""
    volume = loaded(gappy(), on_gap="interpolate")
    assert first_voxels(volume) == [0, 100, 200, 300, 400, 500, 600]
    assert volume.report.actions == ("2 slices interpolated between their neighbours",)


@pytest.mark.parametrize("value", [0.5, 40000.0])
def test_a_fill_value_that_the_volume_cannot_hold(value: float) -> None:
    """A fraction among whole numbers, a number beyond 16 bits."""
    error = load_volume(in_memory(gappy()), on_gap="fill", fill_value=value).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert "fill_value=" in error.message


def test_what_is_put_in_is_never_infinite_unasked() -> None:
    """1e300 in single precision would be infinity."""
    datasets = [flat(n, n, 2.5 * n, RescaleSlope="0.5", PixelPaddingValue=3) for n in (0, 1, 3)]
    for argument in ("fill_value", "padding"):
        options: dict[str, Any] = {argument: 1e300}
        error = load_volume(in_memory(datasets), on_gap="fill", **options).failure()
        assert error.code is ErrorCode.INVALID_ARGUMENT
        assert "1e+300 is no value of float32" in error.message
    assert np.isnan(loaded(datasets, on_gap="fill", fill_value=float("nan")).array[2]).all()


def test_a_gap_of_millions_of_slices_takes_no_memory() -> None:
    """A wrong position makes no volume of a terabyte."""
    far = [*made_slices(3), flat(3, 0, 2.5e12)]
    error = load_volume(in_memory(far), on_gap="fill").failure()
    assert error.code is ErrorCode.LIMIT_EXCEEDED
    assert "max_volume_bytes" in error.message


# -- spacing --------------------------------------------------------------------------------


@pytest.mark.parametrize("jitter", [1e-14, 1e-3, 0.009])
def test_jitter_within_the_tolerance_is_accepted(jitter: float) -> None:
    """Up to one percent of a step, and the report has the statistics."""
    volume = loaded([flat(n, n, 2.5 * n + 2.5 * jitter * (n == 2)) for n in range(5)])
    assert volume.report.spacing is not None
    assert volume.report.spacing.jitter == pytest.approx(jitter, rel=1e-3, abs=1e-11)
    assert "jitter" in str(volume.report)


def test_the_tolerance_of_jitter_is_an_argument() -> None:
    """Four percent are too much, unless five are allowed."""
    datasets = [flat(n, n, 2.5 * n + 0.1 * (n == 2)) for n in range(5)]
    assert "steps between slices are irregular" in refusal(datasets).message
    assert loaded(datasets, spacing_tolerance=0.05).array.shape == (5, 3, 4)


HEAD = (0.0, 2.0, 4.0, 6.0, 11.0, 16.0, 21.0)
"""A protocol of two spacings: 2 mm at the skull base, 5 mm above."""


def test_variable_spacing_is_an_error() -> None:
    """By default, with the smallest and the largest step."""
    error = refusal([flat(n, 10 * n, z) for n, z in enumerate(HEAD)])
    assert "2 to 5 mm" in error.message
    assert "on_variable_spacing=" in error.message


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [10 * float(np.interp(z, HEAD, range(7))) for z in np.linspace(0, 21, 12)]),
        (
            {"slice_spacing": 7.0},
            [10 * float(np.interp(z, HEAD, range(7))) for z in (0, 7, 14, 21)],
        ),
        ({"slice_spacing": 10.5, "interpolation": "nearest"}, [0, 40, 60]),
    ],
    ids=["smallest step", "7 mm", "nearest"],
)
def test_variable_spacing_is_resampled(options: dict[str, Any], expected: list[float]) -> None:
    """To about the smallest step or the one asked for; values lie between the neighbours'."""
    datasets = [flat(n, 10 * n, z) for n, z in enumerate(HEAD)]
    volume = loaded(datasets, on_variable_spacing="resample", **options)
    assert first_voxels(volume) == [round(value) for value in expected]
    assert volume.geometry.spacing[2] == options.get("slice_spacing", 21 / 11)
    assert volume.geometry.origin == (-10, 20, 0)
    (action,) = volume.report.actions
    assert action.startswith("resampled")
    assert len(volume.sop_instance_uids) == len(expected)
    assert volume.sop_instance_uids[0] == "1.2.3.4.1"


@pytest.mark.parametrize("stated", ["-2.5", "0", "77"])
def test_spacing_between_slices_has_no_say(stated: str) -> None:
    """Negative or wrong, the positions decide."""
    assert loaded(made_slices(3, SpacingBetweenSlices=stated)).geometry.spacing[2] == 2.5


def test_a_single_slice_can_be_given_its_extent() -> None:
    """Where nothing says how thick it is, or something else than it says."""
    only = [flat(0, 1, SliceThickness=None)]
    assert "slice_spacing=" in refusal(only).message
    volume = loaded(only, slice_spacing=3.0)
    assert volume.geometry.spacing[2] == 3
    assert "3 mm was asked for" in volume.report.notes[0]


# -- gantry tilt ----------------------------------------------------------------------------


def tilted(count: int = 6, shift: float = 0.75) -> list[pydicom.Dataset]:
    """A ramp along y, each slice shifted by so much: what a gantry tilt does."""
    datasets = []
    for number in range(count):
        y = 20 + shift * number
        rows = np.arange(8)[:, np.newaxis] * 0.5 + y  # the value is the position in mm
        values = np.repeat(rows * 100, 4, axis=1).round().astype(np.int16)
        position = ["-10", f"{y:g}", f"{2.5 * number:g}"]
        datasets.append(
            made_slice(number, values, ImagePositionPatient=position, GantryDetectorTilt="0")
        )
    return datasets


def test_a_tilt_is_an_error_whatever_the_attribute_says() -> None:
    """It is computed from positions; Gantry/Detector Tilt says 0 here."""
    error = refusal(tilted())
    assert "gantry tilt of 16.70°" in error.message
    assert error.details["tilt_degrees"] == pytest.approx(np.degrees(np.arctan(0.75 / 2.5)))
    assert "on_tilt=" in error.message


@pytest.mark.parametrize("shift", [0.75, -0.6])
def test_a_tilt_is_resampled_to_right_angles(shift: float) -> None:
    """The grid has room for all slices, and each voxel has the value of its position."""
    volume = loaded(tilted(shift=shift), on_tilt="resample", fill_value=-1)
    columns, rows, slices = volume.geometry.size
    assert (columns, slices) == (4, 6)
    assert rows == 8 + np.ceil(abs(shift) * 5 / 0.5)
    assert volume.geometry.direction == (1, 0, 0, 0, 1, 0, 0, 0, 1)
    for index in range(slices):
        for row in range(rows):
            value = int(volume.array[index, row, 1])
            if value != -1:
                y = volume.geometry.point_of((1, row, index))[1]
                assert value == pytest.approx(100 * y, abs=1)
    seen = (volume.array[:, :, 0] != -1).sum(axis=1)
    assert seen.min() >= 7
    assert volume.report.tilt_degrees == pytest.approx(np.degrees(np.arctan(abs(shift) / 2.5)))
    assert any("sheared" in action for action in volume.report.actions)


# -- several images of one place ------------------------------------------------------------


def echoes(times: tuple[str, ...] = ("4.6", "9.2"), **changes: Any) -> list[pydicom.Dataset]:
    """Two echoes of three places, the slices mixed."""
    return [
        flat(
            10 * index + number,
            1000 * index + number,
            2.5 * number,
            EchoTime=time,
            **changes,
        )
        for number in range(3)
        for index, time in enumerate(times)
    ]


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


# -- duplicates -----------------------------------------------------------------------------


def test_exact_duplicates_are_dropped_and_reported() -> None:
    """The same instance again, and the same image under another UID."""
    datasets = [*made_slices(3), made_slice(1), made_slice(2, SOPInstanceUID="1.8")]
    volume = loaded(datasets)
    assert first_voxels(volume) == [0, 100, 200]
    assert {one.reason for one in volume.report.duplicates} == {
        "the same SOP Instance UID and image as instance 1.2.3.4.2",
        "the same image and place as instance 1.2.3.4.3",
    }


@pytest.mark.parametrize("copy", [made_slice(1), made_slice(1, SOPInstanceUID="1.8")])
def test_duplicates_are_refused_on_request(copy: pydicom.Dataset) -> None:
    """Even exact ones."""
    refusal([*made_slices(3), copy], on_duplicates="error")


def test_different_images_of_one_place_need_a_choice() -> None:
    """Nothing but Instance Number tells them apart: an error, or the lower number."""
    other = flat(9, 777, 2.5 - 5, InstanceNumber=99)
    datasets = [other, *made_slices(3)]
    assert "on_duplicates='first'" in refusal(datasets).message
    volume = loaded(datasets, on_duplicates="first")
    assert first_voxels(volume) == [0, 100, 200]
    (dropped,) = volume.report.duplicates
    assert dropped.name == "instance 1.2.3.4.10"
    assert "InstanceNumber is 2, not 99" in dropped.reason


def test_one_uid_for_two_images_of_one_place() -> None:
    """An error, or the one that was found first."""
    other = made_slice(1, np.full((3, 4), 5, np.int16))
    assert "SOPInstanceUID" in refusal([*made_slices(3), other]).message
    assert first_voxels(loaded([*made_slices(3), other], on_duplicates="first")) == [0, 100, 200]


# -- several volumes in one series ----------------------------------------------------------


def test_a_localiser_is_split_from_the_stack() -> None:
    """An error that lists both; the stack by on_mixed, either by its number."""
    localiser = made_slice(9, ImageOrientationPatient=["0", "1", "0", "0", "0", "-1"])
    datasets = [localiser, *made_slices(4)]
    error = refusal(datasets)
    assert "ImageOrientationPatient (0020,0037)" in error.message
    stack = loaded(datasets, on_mixed="largest")
    assert stack.array.shape[0] == 4
    assert [one.name for one in stack.report.skipped] == ["instance 1.2.3.4.10"]
    assert loaded(datasets, volume=0).array.shape[0] == 1
    missing = load_volume(in_memory(datasets), volume=2).failure()
    assert missing.code is ErrorCode.INVALID_ARGUMENT


def test_slices_of_another_size_are_split() -> None:
    """Rows differ: two volumes."""
    datasets = [*made_slices(3), made_slice(3, np.zeros((5, 4), np.int16))]
    assert "Rows (0028,0010)" in refusal(datasets).message
    assert loaded(datasets, on_mixed="largest").array.shape == (3, 3, 4)


def test_reports_and_segmentations_among_the_slices_are_skipped() -> None:
    """They are no slices, whatever strict says, and the report says what they are."""
    report = made_slice(8, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22", Modality="SR")
    for keyword in ("Rows", "Columns", "BitsAllocated", "PixelData"):
        delattr(report, keyword)
    segmentation = made_slice(9, SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", NumberOfFrames=3)
    volume = loaded([report, *made_slices(3), segmentation])
    assert volume.array.shape[0] == 3
    assert [one.reason.split(",")[0] for one in volume.report.skipped] == [
        "Enhanced SR Storage",
        "Segmentation Storage",
    ]


@pytest.mark.parametrize("change", [{"BitsAllocated": 8}, {"BitsAllocated": 32}])
def test_another_bit_depth_is_an_error_or_skipped(change: dict[str, int]) -> None:
    """One slice of other pixels: the error names the attribute, the report the reason."""
    bits = change["BitsAllocated"]
    odd = made_slice(3, np.zeros((3, 4), np.dtype(f"u{bits // 8}")))
    datasets = [*made_slices(3), odd]
    assert "BitsAllocated (0028,0100)" in refusal(datasets).message
    volume = loaded(datasets, strict=False)
    assert volume.array.shape[0] == 3
    assert f"BitsAllocated (0028,0100) {bits}" in volume.report.skipped[0].reason


def test_numbers_are_compared_not_text() -> None:
    """0.625000 and 0.625 are one pixel spacing, 4.60 and 4.6 one echo time."""
    datasets = made_slices(3, EchoTime="4.6")
    datasets[1].PixelSpacing = ["0.500000", "0.625000"]
    datasets[1].EchoTime = "4.60"
    assert loaded(datasets).array.shape == (3, 3, 4)


# -- what there is, before anything is decoded ----------------------------------------------


def test_a_folder_is_scanned_by_headers_alone(tmp_path: Path) -> None:
    """Two series, a localiser, two echoes, a text file; no pixel is looked at."""
    datasets = [
        made_slice(30, ImageOrientationPatient=["0", "1", "0", "0", "0", "-1"]),
        *made_slices(4),
        *[
            attrs_of_another_series(one, number)
            for number, one in enumerate(echoes(Modality="MR", SeriesDescription="T2*"))
        ],
    ]
    in_files(in_memory(datasets), tmp_path)
    for path in tmp_path.iterdir():
        # The pixels are rubbish of the right length: nothing here decodes them.
        path.write_bytes(path.read_bytes()[:-24] + bytes(range(24)))
    (tmp_path / "notes.txt").write_text("This is not an image, but a note about one of them.")
    scan = scan_series(tmp_path).unwrap()
    assert len(scan) == 3
    by_size = {volume.size[2]: volume for volume in scan if volume.modality == "CT"}
    assert by_size[4].plane == "axial"
    assert by_size[1].plane == "sagittal"
    (echo,) = (volume for volume in scan if volume.modality == "MR")
    assert echo.axis is not None
    assert len(echo.axis) == 2
    assert echo.description == "T2*"
    assert len(echo.sop_instance_uids) == 6
    assert [Path(one.name).name for one in scan.skipped] == ["notes.txt"]
    for text in (str(scan), scan._repr_html_()):
        assert "2 × EchoTime" in text
        assert "notes.txt" in text
    assert by_size[4].load_volume().unwrap().array.shape == (4, 3, 4)


def attrs_of_another_series(dataset: pydicom.Dataset, number: int) -> pydicom.Dataset:
    """Put a slice into a second series."""
    dataset.SeriesInstanceUID = "1.2.3.5"
    dataset.SOPInstanceUID = f"1.2.3.5.{number}"
    return dataset


def test_a_scan_tells_why_a_volume_cannot_be_loaded() -> None:
    """The same sentence as loading gives, and it follows the options."""
    scan = scan_series(in_memory(gappy())).unwrap()
    assert "2 slices are missing" in scan[0].problem
    assert scan_series(in_memory(gappy()), on_gap="fill").unwrap()[0].problem == ""
    assert "2 slices are missing" in scan[0].load_volume().failure().message
    assert scan[0].load_volume(on_gap="fill").unwrap().array.shape[0] == 7


def test_a_scan_names_the_reason_of_each_object() -> None:
    """A series of which nothing can be a slice is skipped object by object."""
    datasets = [made_slice(0, PixelSpacing=None), made_slice(1, ImagePositionPatient=None)]
    scan = scan_series(in_memory(datasets)).unwrap()
    assert len(scan) == 0
    assert [one.reason.split()[0] for one in scan.skipped] == [
        "PixelSpacing",
        "ImagePositionPatient",
    ]


def test_all_volumes_are_loaded_even_if_one_is_refused() -> None:
    """``load_study`` gives a result for each."""
    pytest.importorskip("SimpleITK")
    other = [attrs_of_another_series(made_slice(number), number) for number in range(3)]
    study = load_study(in_memory([*gappy(), *other])).unwrap()
    assert [isinstance(result, Success) for result in study.results] == [False, True]
    (volume,) = study.volumes
    assert volume.report.series_instance_uid == "1.2.3.5"
    assert load_study(in_memory(gappy()), on_gap="fill").unwrap().volumes[0].array.shape[0] == 7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("on_gap", "guess"),
        ("padding", "drop"),
        ("slice_spacing", 0.0),
        ("spacing_tolerance", 1.5),
        ("rescale", "maybe"),
    ],
)
def test_choices_that_there_are_not(name: str, value: object) -> None:
    """The error names the argument and what can be chosen."""
    error = load_volume(in_memory(made_slices(2)), **{name: value}).failure()  # type: ignore[arg-type]
    assert error.code is ErrorCode.INVALID_ARGUMENT
    assert name in error.message
