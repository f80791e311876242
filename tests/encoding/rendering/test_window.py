"""Windows against the pseudo-code of PS3.3 C.11.2.1.2.1, C.11.2.1.3.1 and C.11.2.1.3.2."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.encoding.rendering import VoiFunction, Window, apply_window

LINEAR, EXACT, SIGMOID = VoiFunction.LINEAR, VoiFunction.LINEAR_EXACT, VoiFunction.SIGMOID


def by_the_standard(x: float, c: float, w: float, function: VoiFunction) -> float:
    """Follow the standard line by line, for an output from 0 to 255."""
    if function is SIGMOID:
        power = -4 * (x - c) / w
        return 255 / (1 + math.exp(power)) if power < 700 else 0.0
    if function is EXACT:
        if x <= c - w / 2:
            return 0
        if x > c + w / 2:
            return 255
        return ((x - c) / w + 0.5) * 255
    if x <= c - 0.5 - (w - 1) / 2:
        return 0
    if x > c - 0.5 + (w - 1) / 2:
        return 255
    return ((x - (c - 0.5)) / (w - 1) + 0.5) * 255


@pytest.mark.parametrize(
    ("window", "values"),
    [
        # The examples of C.11.2.1.2.1, Note 2: the ends, a value inside them, the middle.
        # 0.6 = 10/4095 × 255; at 2047.5 it would be 127.5
        (
            Window(2048, 4096, LINEAR),
            {-1: 0, 0: 0, 10: 1, 2047: 127, 2048: 128, 4095: 255, 4096: 255},
        ),
        (Window(2048, 1, LINEAR), {2047: 0, 2047.5: 0, 2047.6: 255, 2048: 255}),
        # ((x + 0.5) / 99 + 0.5) × 255: for −49 it is 2.6, for 0 it is 128.8, for 48 it is 252.4
        (Window(0, 100, LINEAR), {-50: 0, -49: 3, 0: 129, 48: 252, 49: 255, 50: 255}),
        (Window(0, 1, LINEAR), {-1: 0, -0.5: 0, 0: 255}),
        # C.11.2.1.3.2, Note: x / 4096 × 255 is 0.6 for 10, 127.5 in the middle
        (Window(2048, 4096, EXACT), {0: 0, 10: 1, 2048: 128, 4095: 255, 4096: 255}),
        (Window(2048, 1, EXACT), {2047.5: 0, 2048: 128, 2048.25: 191, 2048.5: 255}),
        (Window(0, 100, EXACT), {-50: 0, -49: 3, 0: 128, 49: 252, 50: 255}),
        (Window(0, 0.5, EXACT), {-0.25: 0, -0.125: 64, 0: 128, 0.25: 255}),
        # C.11.2.1.3.1: 255 / (1 + e^(−4 (x − c) / w)): e^−4 gives 250.4, e^−2 224.6, e^4 4.6
        (Window(40, 400, SIGMOID), {-360: 5, 40: 128, 240: 225, 440: 250, 10000: 255}),
        (Window(0, 1e-9, SIGMOID), {-1: 0, 0: 128, 1: 255}),
    ],
    ids=str,
)
def test_vectors(window: Window, values: dict[float, int]) -> None:
    """Each function gives what its formula gives, rounded to the nearest level."""
    found = raised(apply_window(np.array(list(values)), window))
    assert found.dtype == np.uint8
    assert dict(zip(values, found.tolist(), strict=True)) == values


_FINITE = st.floats(-1e6, 1e6)


@given(
    values=st.lists(_FINITE, min_size=1, max_size=20),
    center=_FINITE,
    width=st.floats(1, 1e6),
    function=st.sampled_from(VoiFunction),
)
def test_any_window(
    values: list[float], center: float, width: float, function: VoiFunction
) -> None:
    """Every value is mapped as the pseudo-code says, to within rounding."""
    found = Window(center, width, function).fraction(np.array(values)) * 255
    expected = [by_the_standard(value, center, width, function) for value in values]
    assert np.abs(found - expected).max() <= 255 * 1e-6 or width - 1 < 1e-3


@given(
    values=st.lists(st.integers(-32768, 32767), min_size=1, max_size=200),
    center=st.integers(-40000, 40000),
    width=st.integers(1, 70000),
    function=st.sampled_from(VoiFunction),
)
def test_tables_give_what_arithmetic_gives(
    values: list[int], center: int, width: int, function: VoiFunction
) -> None:
    """Through a table or one by one: 16-bit numbers, signed or not, come out the same."""
    window = Window(center, width, function)
    signed = np.array(values, np.int16)
    many = np.tile(signed, 70_000 // len(values))  # enough for a table of any range
    one_by_one = raised(apply_window(signed.astype(np.float64), window))
    assert np.array_equal(raised(apply_window(many, window))[: len(values)], one_by_one)
    assert np.array_equal(raised(apply_window(signed, window)), one_by_one)
    unsigned = (signed.astype(np.int32) + 32768).astype(np.uint16)
    moved = Window(center + 32768, width, function)
    assert np.array_equal(raised(apply_window(unsigned, moved)), one_by_one)


@given(center=st.integers(-1000, 1000), width=st.integers(1, 1000), f=st.sampled_from(VoiFunction))
def test_greater_values_are_never_darker(center: int, width: int, f: VoiFunction) -> None:
    """The output rises from one end to the other."""
    found = raised(apply_window(np.arange(-3000, 3000), Window(center, width, f))).astype(int)
    assert (np.diff(found) >= 0).all()


@pytest.mark.parametrize("function", VoiFunction)
def test_numbers_that_are_none(function: VoiFunction) -> None:
    """NaN is black; infinities are at the ends."""
    values = np.array([np.nan, -np.inf, np.inf, 0], np.float32)
    assert raised(apply_window(values, Window(0, 1e-3 + 1, function))).tolist()[:3] == [0, 0, 255]


def test_more_values_than_are_mapped_at_once() -> None:
    """Real numbers are mapped piece by piece, the last one shorter."""
    values = np.linspace(0, 1, 200_001)
    found = raised(apply_window(values, Window(0.5, 1, EXACT)))
    parts = (values[:99_999], values[99_999:])
    alone = [raised(apply_window(part, Window(0.5, 1, EXACT))) for part in parts]
    assert np.array_equal(found, np.concatenate(alone))


def test_shapes_are_kept() -> None:
    """Any number of axes, none of them copied into another order."""
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    found = raised(apply_window(values.transpose(), Window(12, 24, EXACT)))
    assert found.shape == (4, 3, 2)
    assert np.array_equal(found.transpose(), raised(apply_window(values, Window(12, 24, EXACT))))
    assert raised(apply_window(np.zeros((0, 5)), Window(0, 1))).shape == (0, 5)
    assert raised(apply_window(np.array([True, False]), Window(0.5, 1, EXACT))).tolist() == [255, 0]


@pytest.mark.parametrize(
    ("center", "width", "function", "words"),
    [
        (0, 0.9, LINEAR, "LINEAR window is at least 1"),
        (0, 0, EXACT, "above 0"),
        (0, -1, SIGMOID, "above 0"),
        (math.nan, 1, LINEAR, "finite"),
        (0, math.inf, LINEAR, "finite"),
        (0, 1, "CUBIC", "'CUBIC' is not one of LINEAR, LINEAR_EXACT, SIGMOID"),
    ],
)
def test_no_window(center: float, width: float, function: VoiFunction, words: str) -> None:
    """What the standard doesn't allow cannot be made."""
    with pytest.raises(PacsException, match=words) as caught:
        Window(center, width, function)
    assert caught.value.error.code is ErrorCode.INVALID_ARGUMENT


def test_a_function_by_its_name() -> None:
    """The value of VOI LUT Function names it; text shows all of a window."""
    window = Window(40, 400, "SIGMOID", "SOFT TISSUE")
    assert window.function is SIGMOID
    assert str(window) == "window 40/400 SIGMOID (SOFT TISSUE)"


def test_values_that_are_not_real() -> None:
    """Complex numbers and text have no grey."""
    error = apply_window(np.array([1j]), Window(0, 1)).failure()
    assert error.code is ErrorCode.INVALID_ARGUMENT
