"""Ready-made ways to keep what was retrieved."""

from __future__ import annotations

import threading
from pathlib import Path

import attrs

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.results import Failure, PacsResult, edge, raised
from pacs_sdk.core.uids import checked_uid
from pacs_sdk.encoding import Instance, write_file

__all__ = ["InFolder", "InMemory"]


@attrs.define
class InMemory:
    """Keeps copies of instances in memory, in the order in which they come."""

    instances: list[Instance] = attrs.field(factory=list)
    """What has come."""

    @edge()
    def keep(self, instance: Instance) -> Instance:
        """Copy an instance, whose own bytes are valid during the call only."""
        copied = attrs.evolve(instance, encoded=MemoryBytes(bytes(instance.encoded.view())))
        self.instances.append(copied)
        return copied


@attrs.define
class InFolder:
    """Writes each instance to ``<folder>/<study>/<series>/<instance>.dcm``.

    The data set is written byte for byte as it came.
    """

    folder: Path
    """Where to; folders are made as needed."""
    paths: list[Path] = attrs.field(factory=list)
    """What was written."""
    failures: list[tuple[str, PacsError]] = attrs.field(factory=list)
    """What could not be kept, by SOP Instance UID, each with the reason."""
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def keep(self, instance: Instance) -> PacsResult[Path]:
        """Write one instance.

        Returns:
            ``Success`` with the file, or ``Failure`` with ``MISSING_REQUIRED_VALUE`` or
            ``INVALID_UID`` (a UID that cannot name a file), ``FILE_WRITE_FAILED``, or
            what reading the header gives.
        """
        written = self._written(instance)
        with self._lock:
            match written:
                case Failure(error):
                    self.failures.append((instance.sop_instance_uid, error))
                case _:
                    self.paths.append(written.unwrap())
        return written

    @edge({OSError: ErrorCode.FILE_WRITE_FAILED})
    def _written(self, instance: Instance) -> Path:
        header = raised(instance.header())
        # UIDs come from the peer: nothing but digits and dots may become a path.
        study = checked_uid(header.text("StudyInstanceUID"), "Study Instance UID")
        series = checked_uid(header.text("SeriesInstanceUID"), "Series Instance UID")
        name = checked_uid(instance.sop_instance_uid, "SOP Instance UID")
        place = self.folder / study / series / f"{name}.dcm"
        place.parent.mkdir(parents=True, exist_ok=True)
        return raised(write_file(instance, place))
