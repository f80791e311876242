"""Tables of the reference that are made from the code, so they cannot go stale."""

from __future__ import annotations

from collections.abc import Iterator

from pacs_sdk.core import ErrorCategory, ErrorCode
from pacs_sdk.network.state_table import TABLE, Action, Event, State

__all__ = ["error_table", "state_table"]


def error_table() -> str:
    """Return one Markdown table for each block of error codes."""
    return "\n".join(line for category in ErrorCategory for line in _block(category))


def _block(category: ErrorCategory) -> Iterator[str]:
    first, last = category.value
    title = category.name.replace("_", " ").lower()
    yield f"**{title}** ({first} … {last})\n"
    yield "| code | number | DIMSE status | HTTP status | meaning |"
    yield "|---|---|---|---|---|"
    for code in ErrorCode:
        if code.category is category:
            yield (
                f"| `{code.name}` | {code.number} | {code.dimse_status:04X}H "
                f"| {code.http_status} | {code.meaning} |"
            )
    yield ""


def state_table() -> str:
    """Return PS3.8 Table 9-10 as the engine has it, with its rows, columns and cells named."""
    columns = "|".join(f" Sta{state.value} " for state in State)
    lines = [f"| |{columns}|", "|---" * (len(State) + 1) + "|"]
    for event in Event:
        cells = "|".join(_cell(state, event) for state in State)
        lines.append(f"| Evt{event.value} |{cells}|")
    return "\n".join(
        (
            *lines,
            "\n**Events**\n",
            *(f"{event.value}. {event.meaning}" for event in Event),
            "\n**States**\n",
            *(f"{state.value}. {state.meaning}" for state in State),
            "\n**Actions**\n",
            *(f"- {action.code}: {action.description}" for action in Action),
        )
    )


def _cell(state: State, event: Event) -> str:
    found = TABLE.get((state, event))
    return f" {found.action.code} " if found else " "
