"""A file that says what a peer has acknowledged, so that a second run can go on.

The first line names the peer; each further one is an instance, as it was acknowledged:
SOP Instance UID, bytes of its data set, status in hexadecimal, separated by tabs. A line that
a crash has cut short is ignored, and so is sent again.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, Final, Self

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.uids import is_valid_uid
from pacs_sdk.encoding import Instance
from pacs_sdk.network import Peer
from pacs_sdk.network.dimse import StatusCategory, status_category

__all__ = ["ResumeList"]

_BEGINNING: Final = "# pacs_sdk resume list of "
_FIELDS: Final = 3


class ResumeList:
    """Knows what was acknowledged before, and records what is acknowledged now.

    One thread at a time uses it.

    Args:
        path: The file; made if it is not there.
        peer: Whom the instances are sent to.

    Raises:
        PacsException: ``FILE_READ_FAILED``, ``FILE_WRITE_FAILED``, or ``INVALID_ARGUMENT`` for
            another file, or the list of another peer, who lacks what this one has.
    """

    def __init__(self, path: str | os.PathLike[str], peer: Peer) -> None:
        self.path = Path(path)
        """Where it is."""
        self._heading = f"{_BEGINNING}{peer.ae_title} at {peer.host} port {peer.port}"
        self._known: dict[tuple[str, int], int] = {}
        text = self._text()
        if text:
            self._read(text)
        try:
            self._file: BinaryIO = self.path.open("ab", buffering=0)
            if not text:
                self._write(self._heading + "\n")
            elif not text.endswith("\n"):
                self._write("\n")
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def status_of(self, instance: Instance) -> int | None:
        """Tell the status that an instance was acknowledged with before, if it was."""
        return self._known.get((instance.sop_instance_uid, instance.size))

    def add(self, sop_instance_uid: str, size_bytes: int, status: int) -> None:
        """Record that an instance was acknowledged.

        Raises:
            PacsException: ``FILE_WRITE_FAILED``.
        """
        try:
            self._write(f"{sop_instance_uid}\t{size_bytes}\t{status:04X}\n")
        except OSError as exc:
            raise self._unwritable(exc) from exc

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _text(self) -> str:
        try:
            return self.path.read_bytes().decode("utf-8", "replace")
        except FileNotFoundError:
            return ""
        except OSError as exc:
            raise PacsException(
                ErrorCode.FILE_READ_FAILED,
                f"the resume list {self.path} cannot be read: {exc.strerror or exc}",
                path=str(self.path),
            ) from exc

    def _read(self, text: str) -> None:
        heading, *lines = text.split("\n")
        if not heading.startswith(_BEGINNING):
            raise self._unfit("is no resume list; name another file")
        if heading != self._heading:
            raise self._unfit(
                f"is the list of what {heading.removeprefix(_BEGINNING)} has; use one file a peer"
            )
        for line in lines[:-1]:  # what follows the last line break was cut short
            fields = line.split("\t")
            if len(fields) != _FIELDS or not is_valid_uid(fields[0]):
                continue
            try:
                size_bytes, status = int(fields[1]), int(fields[2], 16)
            except ValueError:  # no numbers: as if it had not been sent
                continue
            if status_category(status) in (StatusCategory.SUCCESS, StatusCategory.WARNING):
                self._known[fields[0], size_bytes] = status

    def _write(self, text: str) -> None:
        rest = memoryview(text.encode())
        while rest:  # a disk that becomes full takes a part
            rest = rest[self._file.write(rest) :]

    def _unfit(self, words: str) -> PacsException:
        return PacsException(
            ErrorCode.INVALID_ARGUMENT, f"{self.path} {words}", path=str(self.path)
        )

    def _unwritable(self, exc: OSError) -> PacsException:
        return PacsException(
            ErrorCode.FILE_WRITE_FAILED,
            f"the resume list {self.path} cannot be written: {exc.strerror or exc}",
            path=str(self.path),
        )
