"""Reports stay short, whatever is in an object, and nothing crowds errors out of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from pacs_sdk.services.iod_validation.report import IodFinding, Severity

__all__ = ["MAX_FINDINGS", "Room", "bounded"]

MAX_FINDINGS: Final = 1000
"""How many findings a report has at most. A person reads the first twenty; an object of a
million broken items must take neither minutes nor a gigabyte."""


@attrs.define
class Room:
    """How many more findings there is room for.

    Errors have room of their own: a thousand warnings about contours must not hide the
    error that comes after them, which decides what becomes of the object.
    """

    errors: int
    """Errors."""
    others: int
    """Warnings and notes."""

    @classmethod
    def of(cls, most: int) -> Room:
        """Return room for so many errors, and so many others."""
        return cls(most, most)

    @property
    def is_full(self) -> bool:
        """Whether looking further is of no use: what is left out now is no better."""
        return not self.errors

    def takes(self, finding: IodFinding) -> bool:
        """Take a finding if there is room for it, and tell whether there was."""
        if finding.severity is Severity.ERROR:
            had, self.errors = self.errors, max(self.errors - 1, 0)
        else:
            had, self.others = self.others, max(self.others - 1, 0)
        return bool(had)


def bounded(findings: Iterable[IodFinding]) -> tuple[list[IodFinding], bool]:
    """Take so many findings as a report may have, errors before others.

    Returns:
        The findings, and whether there were more. The rest is not looked for once there are
        more errors than a report takes.
    """
    room = Room.of(MAX_FINDINGS)
    taken: list[IodFinding] = []
    are_more = False
    for one in findings:
        if room.takes(one):
            taken.append(one)
            continue
        are_more = True
        if room.is_full:
            break
    taken.sort(key=lambda one: one.severity.rank)
    return taken[:MAX_FINDINGS], are_more or len(taken) > MAX_FINDINGS
