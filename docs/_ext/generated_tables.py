"""Tables of the reference that are made from the code, so they cannot go stale."""

from __future__ import annotations

from collections.abc import Iterator

from pacs_sdk.core import ErrorCategory, ErrorCode

__all__ = ["error_table"]


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
