"""A drawing of the upper layer's life cycle, made from the state table.

What is drawn comes from ``TABLE``: an arrow for each transition that changes the state,
but for aborts, which lead from everywhere to Sta13 or Sta1 and would hide the rest. Only
where the states stand, and on which way a few arrows go round others, is decided here.
"""

from __future__ import annotations

import html
import itertools
import textwrap
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from pacs_sdk.network.state_table import TABLE, Action, Event, State

__all__ = ["state_diagram"]

_Point: TypeAlias = tuple[int, int]

_WIDTH, _HEIGHT = 910, 950
_BOX_WIDTH, _BOX_HEIGHT = 172, 62
_LINE: Final = 13
"""From one line of text to the next."""

_IDLE_AGAIN: Final = (330, 905)
"""Sta1 is drawn a second time, so that its arrows need not go back up."""

_PLACES: Final[dict[State, _Point]] = {
    State.STA1: (430, 45),
    State.STA2: (620, 155),
    State.STA3: (620, 275),
    State.STA4: (240, 155),
    State.STA5: (240, 275),
    State.STA6: (430, 395),
    State.STA7: (330, 515),
    State.STA8: (620, 515),
    State.STA9: (140, 635),
    State.STA10: (520, 635),
    State.STA11: (140, 765),
    State.STA12: (520, 765),
    State.STA13: (665, 905),
}

_BENDS: Final[dict[tuple[State, State], tuple[_Point, ...]]] = {
    (State.STA2, State.STA13): ((840, 155), (840, 905)),
    (State.STA3, State.STA13): ((795, 275), (795, 700), (735, 820)),
    (State.STA5, State.STA1): ((25, 275), (25, 905)),
}
"""The corners of arrows that cannot go straight."""

_STYLE: Final = """
.state-diagram text { font: 11px sans-serif; fill: currentColor; text-anchor: middle; }
.state-diagram .name { font-weight: bold; font-size: 12px; }
.state-diagram rect, .state-diagram path { fill: none; stroke: currentColor; }
.state-diagram path { stroke-opacity: 0.65; }
.state-diagram marker path { fill: currentColor; stroke: none; }
.state-diagram .event { paint-order: stroke; stroke: var(--pst-color-background, white);
  stroke-width: 5px; }
"""


def state_diagram() -> str:
    """Return the drawing as SVG in a raw HTML block of MyST."""
    opening = (
        f'<svg class="state-diagram" viewBox="-20 0 {_WIDTH} {_HEIGHT}" role="img" '
        'aria-label="States of an association and what leads from one to another" '
        'xmlns="http://www.w3.org/2000/svg">'
    )
    arrow_head = (
        '<defs><marker id="state-arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0,0 L8,4 L0,8 z"/></marker></defs>'
    )
    drawn = "\n".join((*_arrows(), *_boxes()))
    return (
        f"```{{raw}} html\n{opening}\n<style>{_STYLE}</style>\n{arrow_head}\n{drawn}\n</svg>\n```"
    )


def _boxes() -> Iterator[str]:
    for state, place in (*_PLACES.items(), (State.STA1, _IDLE_AGAIN)):
        x, y = place
        yield (
            f'<rect x="{x - _BOX_WIDTH // 2}" y="{y - _BOX_HEIGHT // 2}" rx="8" '
            f'width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}"/>'
        )
        lines = textwrap.wrap(state.meaning, 29, break_on_hyphens=False)
        yield from _text((f"Sta{state:d}", *lines, *_staying(state)), place, first_class="name")


def _text(lines: Iterable[str], place: _Point, *, first_class: str = "") -> Iterator[str]:
    """Write lines of text, centred at a place."""
    x, y = place
    every = tuple(lines)
    for number, line in enumerate(every):
        baseline = y + 4 + round((number - (len(every) - 1) / 2) * _LINE)
        kind = first_class if number == 0 else ""
        yield f'<text class="{kind}" x="{x}" y="{baseline}">{html.escape(line)}</text>'


def _arrows() -> Iterator[str]:
    labels: dict[tuple[State, State], list[str]] = {}
    for (state, event), transition in TABLE.items():
        if _is_abort(transition.action):
            continue
        for target in transition.leads_to - {state}:
            label = _label(event, transition.action)
            labels.setdefault((state, target), []).append(label)
    for (state, target), texts in labels.items():
        end = _IDLE_AGAIN if target is State.STA1 else _PLACES[target]
        corners = (_PLACES[state], *_BENDS.get((state, target), ()), end)
        first, last = _at_edge(corners[0], corners[1]), _at_edge(corners[-1], corners[-2])
        points = (first, *corners[1:-1], last)
        yield (
            f'<path marker-end="url(#state-arrow)" d="M{" L".join(f"{x},{y}" for x, y in points)}"/>'
        )
        longest = max(itertools.pairwise(points), key=lambda pair: _distance(*pair))
        (x1, y1), (x2, y2) = longest
        for line in _text(texts, ((x1 + x2) // 2, (y1 + y2) // 2)):
            yield line.replace('class=""', 'class="event"')


def _staying(state: State) -> Iterator[str]:
    """Say in a line what happens in a state without leaving it."""
    found = [
        _label(event, transition.action)
        for (where, event), transition in TABLE.items()
        if where is state and state in transition.leads_to and not _is_abort(transition.action)
    ]
    if found:
        yield "\N{ANTICLOCKWISE OPEN CIRCLE ARROW} " + ", ".join(found)


def _label(event: Event, action: Action) -> str:
    return f"Evt{event:d}: {action.code}"


def _is_abort(action: Action) -> bool:
    """Tell whether an action is of PS3.8 Table 9-9, about aborts and errors."""
    return action.code.startswith("AA-")


def _distance(one: _Point, other: _Point) -> float:
    return float((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2)


def _at_edge(box: _Point, towards: _Point) -> _Point:
    """Return where a line from a box's centre leaves the box."""
    across, down = towards[0] - box[0], towards[1] - box[1]
    parts = [
        half / abs(way) for half, way in ((_BOX_WIDTH / 2, across), (_BOX_HEIGHT / 2, down)) if way
    ]
    part = min(parts)
    return round(box[0] + across * part), round(box[1] + down * part)
