"""Two drawings of the upper layer's life cycle, made from the state table.

What is drawn comes from ``TABLE``, all of it. Aborts lead from everywhere to Sta13 or Sta1
and would hide the rest, so they have a drawing of their own. Only where the states stand,
and on which way a few arrows go round others, is decided here.

Whatever stands for transitions is a group whose title spells them out, one a line. A
browser shows it under the mouse.
"""

from __future__ import annotations

import html
import itertools
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

import attrs

from pacs_sdk.network.state_table import TABLE, Action, Event, State

__all__ = ["state_diagram"]

_Point: TypeAlias = tuple[int, int]


@attrs.frozen
class _Step:
    """One way that a transition may go."""

    state: State
    event: Event
    action: Action
    target: State

    def __str__(self) -> str:
        return (
            f"Sta{self.state:d} → Sta{self.target:d}, Evt{self.event:d} {self.event.meaning}: "
            f"{self.action.code} {self.action.description}"
        )

    @property
    def label(self) -> str:
        """What stands at its arrow."""
        return f"Evt{self.event:d}: {self.action.code}"

    @property
    def is_abort(self) -> bool:
        """Whether its action is of PS3.8 Table 9-9, about aborts and errors."""
        return self.action.code.startswith("AA-")


_STEPS: Final = tuple(
    _Step(state, event, transition.action, target)
    for (state, event), transition in TABLE.items()
    for target in sorted(transition.leads_to)
)

_WIDTH: Final = 910
_LIFE_HEIGHT: Final = 950
_BOX_WIDTH, _BOX_HEIGHT = 172, 62
_LINE: Final = 13
"""From one line of text to the next."""

_STAYS: Final = "\N{ANTICLOCKWISE OPEN CIRCLE ARROW}"

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

_LEFT, _MIDDLE, _RIGHT = 55, 420, 805
"""Where Sta1, the states between, and Sta13 stand in the drawing of the aborts."""

_SIDE_WIDTH: Final = 150
_MIDDLE_WIDTH: Final = 216
_ABORTS_ROW: Final = 62
_ABORTS_HEIGHT: Final = 12 * _ABORTS_ROW + 10

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
    """Return the drawings as SVG in a raw HTML block of MyST."""
    drawings = (
        _svg("life", _LIFE_HEIGHT, "States of an association and what leads on", _life()),
        _svg("aborts", _ABORTS_HEIGHT, "Aborts and errors, in each state", _aborts()),
    )
    return f"```{{raw}} html\n<style>{_STYLE}</style>\n{''.join(drawings)}```"


def _svg(name: str, height: int, label: str, drawn: Iterable[str]) -> str:
    arrow_head = (
        f'<defs><marker id="{name}-arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0,0 L8,4 L0,8 z"/></marker></defs>'
    )
    return (
        f'<svg class="state-diagram" viewBox="-20 0 {_WIDTH} {height}" role="img" '
        f'aria-label="{label}" xmlns="http://www.w3.org/2000/svg">\n{arrow_head}\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


def _group(steps: Iterable[_Step], drawn: Iterable[str]) -> str:
    """Put what stands for transitions together, with their words."""
    title = "\n".join(map(str, steps))
    return f"<g><title>{html.escape(title)}</title>{''.join(drawn)}</g>"


def _box(place: _Point, width: int, height: int) -> str:
    x, y = place
    return (
        f'<rect x="{x - width // 2}" y="{y - height // 2}" rx="8" width="{width}" '
        f'height="{height}"/>'
    )


# -- the life of an association -----------------------------------------------------------


def _life() -> Iterator[str]:
    steps = [step for step in _STEPS if not step.is_abort]
    ways = dict.fromkeys((step.state, step.target) for step in steps)
    for way in ways:
        if way[0] is not way[1]:
            yield _arrow(*way, [step for step in steps if (step.state, step.target) == way])
    for state, place in (*_PLACES.items(), (State.STA1, _IDLE_AGAIN)):
        staying = [step for step in steps if step.state is step.target is state]
        lines = [f"Sta{state:d}", *textwrap.wrap(state.meaning, 29, break_on_hyphens=False)]
        if staying:
            lines.append(f"{_STAYS} " + ", ".join(step.label for step in staying))
        drawn = (_box(place, _BOX_WIDTH, _BOX_HEIGHT), *_text(lines, place, first_class="name"))
        yield _group(staying, drawn) if staying else "".join(drawn)


def _arrow(state: State, target: State, steps: Sequence[_Step]) -> str:
    end = _IDLE_AGAIN if target is State.STA1 else _PLACES[target]
    corners = (_PLACES[state], *_BENDS.get((state, target), ()), end)
    first, last = _at_edge(corners[0], corners[1]), _at_edge(corners[-1], corners[-2])
    points = (first, *corners[1:-1], last)
    way = " L".join(f"{x},{y}" for x, y in points)
    (x1, y1), (x2, y2) = max(itertools.pairwise(points), key=lambda pair: _distance(*pair))
    labels = _text([step.label for step in steps], ((x1 + x2) // 2, (y1 + y2) // 2))
    path = f'<path marker-end="url(#life-arrow)" d="M{way}"/>'
    return _group(steps, (path, *(line.replace('class=""', 'class="event"') for line in labels)))


# -- aborts and errors ----------------------------------------------------------------------


def _aborts() -> Iterator[str]:
    """Draw the states in a column between Sta1 and Sta13, where all aborts lead."""
    between = [state for state in State if state not in (State.STA1, State.STA13)]
    first_y, last_y = _ABORTS_ROW // 2 + 5, _ABORTS_ROW // 2 + 5 + len(between) * _ABORTS_ROW
    yield _side(State.STA1, _LEFT, [])
    yield _side(State.STA13, _RIGHT, _abort_steps(State.STA13, State.STA13))
    for y, state in zip(range(first_y, last_y, _ABORTS_ROW), between, strict=True):
        yield _box((_MIDDLE, y), _MIDDLE_WIDTH, _ABORTS_ROW - 14)
        lines = [f"Sta{state:d}", *textwrap.wrap(state.meaning, 36, break_on_hyphens=False)]
        yield from _text(lines, (_MIDDLE, y), first_class="name")
        yield from _level_arrows(state, State.STA1, y, _MIDDLE - _MIDDLE_WIDTH // 2)
        yield from _level_arrows(state, State.STA13, y, _MIDDLE + _MIDDLE_WIDTH // 2)
    yield from _level_arrows(State.STA13, State.STA1, last_y, _RIGHT - _SIDE_WIDTH // 2)


def _side(state: State, x: int, staying: Sequence[_Step]) -> str:
    """Draw a state as high as the drawing, and what happens in it without leaving it."""
    texts = [state.meaning, *(f"{_STAYS} {words}" for words in _by_action(staying))]
    lines = [f"Sta{state:d}", *(line for text in texts for line in textwrap.wrap(text, 22))]
    place = (x, _ABORTS_HEIGHT // 2)
    drawn = (
        _box(place, _SIDE_WIDTH, _ABORTS_HEIGHT - 10),
        *_text(lines, place, first_class="name"),
    )
    return _group(staying, drawn) if staying else "".join(drawn)


def _level_arrows(state: State, target: State, y: int, start_x: int) -> Iterator[str]:
    """Draw an arrow from a box to one of the sides for each action."""
    half = _SIDE_WIDTH // 2
    end_x = _LEFT + half if target is State.STA1 else _RIGHT - half
    by_action = _by_action(_abort_steps(state, target))
    for number, (words, steps) in enumerate(by_action.items()):
        level = y + 9 + round((number - (len(by_action) - 1) / 2) * 2 * _LINE)
        path = f'<path marker-end="url(#aborts-arrow)" d="M{start_x},{level} L{end_x},{level}"/>'
        yield _group(steps, (path, *_text([words], ((start_x + end_x) // 2, level - 9))))


def _abort_steps(state: State, target: State) -> list[_Step]:
    return [
        step for step in _STEPS if step.is_abort and (step.state, step.target) == (state, target)
    ]


def _by_action(steps: Iterable[_Step]) -> dict[str, list[_Step]]:
    """Join the events that have an action in common, such as ``Evt3, 4, 6: AA-8``."""
    found: dict[Action, list[_Step]] = {}
    for step in steps:
        found.setdefault(step.action, []).append(step)
    return {
        f"Evt{', '.join(f'{step.event:d}' for step in same)}: {action.code}": same
        for action, same in found.items()
    }


# -- text and geometry ----------------------------------------------------------------------


def _text(lines: Iterable[str], place: _Point, *, first_class: str = "") -> Iterator[str]:
    """Write lines of text, centred at a place."""
    x, y = place
    every = tuple(lines)
    for number, line in enumerate(every):
        baseline = y + 4 + round((number - (len(every) - 1) / 2) * _LINE)
        kind = first_class if number == 0 else ""
        yield f'<text class="{kind}" x="{x}" y="{baseline}">{html.escape(line)}</text>'


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
