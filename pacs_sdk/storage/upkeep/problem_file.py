"""The list of what is wrong with files, on the disk: it outlives a run that is killed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.storage.objects.disk import reason_of
from pacs_sdk.storage.upkeep.index_building import ObjectProblem, ProblemKind

__all__ = ["PROBLEMS_NAME", "ProblemFile"]

PROBLEMS_NAME: Final = "reindex-problems.jsonl"
"""In the archive's folder; one JSON object a line."""


class ProblemFile:
    """What is wrong with the files of an archive, one JSON object a line.

    Args:
        data_dir: The archive's folder.
    """

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / PROBLEMS_NAME
        self._written: set[tuple[ProblemKind, str]] = set()

    def begin(self) -> None:
        """Begin a new list.

        Raises:
            PacsException: ``STORAGE_WRITE_FAILED``; so for the other methods.
        """
        try:
            self._path.unlink(missing_ok=True)
        except OSError as exc:
            raise self._failed(exc) from exc

    def read(self) -> dict[tuple[ProblemKind, str], ObjectProblem]:
        """Read the list of a run that was interrupted; a line that was cut short is left out."""
        found: dict[tuple[ProblemKind, str], ObjectProblem] = {}
        try:
            lines = self._path.read_text("utf-8").splitlines()
        except FileNotFoundError:
            return found
        except OSError as exc:
            raise self._failed(exc) from exc
        for line in lines:
            try:
                one = json.loads(line)
                problem = ObjectProblem(ProblemKind(one["kind"]), one["key"], one["message"])
            except (ValueError, KeyError, TypeError):
                continue
            found[problem.kind, problem.storage_key] = problem
            if problem.kind is ProblemKind.DUPLICATE:
                found.pop((ProblemKind.MISPLACED, problem.storage_key), None)
        self._written = set(found)
        return found

    def append(self, problems: Mapping[tuple[ProblemKind, str], ObjectProblem]) -> None:
        """Add what is not in the list yet."""
        new = [one for key, one in problems.items() if key not in self._written]
        if not new:
            return
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(f"{_line(one)}\n" for one in new)
        except OSError as exc:
            raise self._failed(exc) from exc
        self._written.update((one.kind, one.storage_key) for one in new)

    def finish(self, problems: Sequence[ObjectProblem]) -> Path | None:
        """Write the whole list; return where it is, or ``None`` where nothing is wrong."""
        self.begin()
        if not problems:
            return None
        self._written.clear()
        self.append({(one.kind, one.storage_key): one for one in problems})
        return self._path

    def _failed(self, error: OSError) -> PacsException:
        return PacsException(
            ErrorCode.STORAGE_WRITE_FAILED,
            f"the list {self._path} could not be written: {reason_of(error)}",
            path=str(self._path),
        )


def _line(problem: ObjectProblem) -> str:
    values = {
        "kind": problem.kind.value,
        "key": problem.storage_key,
        "message": problem.message,
    }
    return json.dumps(values, ensure_ascii=False)
