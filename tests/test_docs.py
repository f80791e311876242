"""What the documentation draws and names: all of it is there, and none of it is made up."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pytest

from pacs_sdk.network.state_table import TABLE, State

DOCS: Final = Path(__file__).parents[1] / "docs"
SVG: Final = "{http://www.w3.org/2000/svg}"

STEP: Final = re.compile(r"Sta(\d+) → Sta(\d+), Evt(\d+) .+: ([A-Z]{2}-\d+) .+")
"""A line of a title: from where to where a transition leads, its event and its action."""


@pytest.fixture
def drawings(monkeypatch: pytest.MonkeyPatch) -> list[ET.Element]:
    """Draw the state table as the build of the documentation does."""
    monkeypatch.syspath_prepend(DOCS / "_ext")
    try:
        block = importlib.import_module("state_diagram").state_diagram()
    finally:
        sys.modules.pop("state_diagram", None)
    found = re.findall(r"<svg.*?</svg>", block, re.DOTALL)
    return [ET.fromstring(text) for text in found]  # noqa: S314  # made just now


def titled_groups(drawing: ET.Element) -> Iterator[tuple[list[str], str]]:
    """Give the lines of each group's title, and the text one sees."""
    for group in drawing.iter(f"{SVG}g"):
        title = group.findtext(f"{SVG}title") or ""
        visible = " ".join(text.text or "" for text in group.iter(f"{SVG}text"))
        yield title.splitlines(), visible


def test_every_transition_is_drawn_once(drawings: list[ET.Element]) -> None:
    """The two drawings together are PS3.8 Table 9-10: nothing missing, nothing added."""
    drawn = [
        tuple(match.groups())
        for drawing in drawings
        for lines, _ in titled_groups(drawing)
        for line in lines
        if (match := STEP.fullmatch(line))
    ]
    wanted = {
        (f"{state:d}", f"{target:d}", f"{event:d}", transition.action.code)
        for (state, event), transition in TABLE.items()
        for target in transition.leads_to
    }
    assert len(drawn) == len(wanted)
    assert set(drawn) == wanted


def test_every_arrow_shows_its_events_and_actions(drawings: list[ET.Element]) -> None:
    """What one sees without the mouse names each event and action of the group."""
    for drawing in drawings:
        for lines, visible in titled_groups(drawing):
            assert lines
            for line in lines:
                match = STEP.fullmatch(line)
                assert match is not None
                _, _, event, action = match.groups()
                assert re.search(rf"\bEvt(\d+, )*{event}\b[^E]*: {action}\b", visible), visible


def test_every_state_is_drawn_with_its_meaning(drawings: list[ET.Element]) -> None:
    """Each of the two drawings has a box for each of the 13 states, with words in it."""
    for drawing in drawings:
        seen = " ".join(text.text or "" for text in drawing.iter(f"{SVG}text"))
        for state in State:
            assert f"Sta{state:d} {state.meaning}" in seen


def test_arrows_join_boxes(drawings: list[ET.Element]) -> None:
    """Each arrow begins and ends at the edge of a box, and both colours follow the theme."""
    for drawing in drawings:
        boxes = [
            tuple(int(rect.get(name, "")) for name in ("x", "y", "width", "height"))
            for rect in drawing.iter(f"{SVG}rect")
        ]
        arrows = [path for path in drawing.iter(f"{SVG}path") if path.get("marker-end")]
        assert arrows
        for path in arrows:
            points = re.findall(r"(-?\d+),(-?\d+)", path.get("d", ""))
            for x, y in ((int(x), int(y)) for x, y in (points[0], points[-1])):
                assert any(
                    left <= x <= left + width
                    and top - 6 <= y <= top + height + 6  # labels stand above level arrows
                    and (x in (left, left + width) or y in (top, top + height))
                    for left, top, width, height in boxes
                ), path.get("d")
        for element in drawing.iter():
            assert element.get("fill") is None
            assert element.get("stroke") is None


def test_the_way_of_a_byte_names_what_there_is() -> None:
    """Each module that the page names exists, and each class or function of its diagram."""
    page = (DOCS / "explanation" / "how-a-byte-travels.md").read_text("utf-8")
    diagram = re.search(r"```text\n(.+?)```", page, re.DOTALL)
    assert diagram is not None
    modules = set(re.findall(r"`((?:network|storage|services|encoding)\.[\w.]+)`", page))
    assert len(modules) > 10
    for module in modules:
        importlib.import_module(f"pacs_sdk.{module}")
    named = re.findall(
        r"│ +(\w+)(?:\.(\w+))?\b.*?((?:network|storage|services)\.[\w.]+)", diagram[1]
    )
    assert len(named) > 8
    for name, method, module in named:
        found = getattr(importlib.import_module(f"pacs_sdk.{module}"), name)
        assert not method or callable(getattr(found, method))
