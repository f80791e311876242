"""Ready-made ways to keep what was retrieved."""

from __future__ import annotations

import threading
from pathlib import Path

import attrs

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import Failure, PacsResult, edge, raised
from pacs_sdk.core.uids import checked_uid
from pacs_sdk.encoding import Instance, read_file, write_file

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

    The data set is written byte for byte as it came. Files that are there already are replaced;
    but what came before in the same folder is not, where a peer sends other bytes by the same UID.
    """

    folder: Path
    """Where to; folders are made as needed."""
    paths: list[Path] = attrs.field(factory=list)
    """What was written."""
    failures: list[tuple[str, PacsError]] = attrs.field(factory=list)
    """What could not be kept, by SOP Instance UID, each with the reason."""
    _places: set[Path] = attrs.field(factory=set, init=False)
    _lock: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def keep(self, instance: Instance) -> PacsResult[Path]:
        """Write one instance.

        Returns:
            ``Success`` with the file, or ``Failure`` with ``MISSING_REQUIRED_VALUE`` or
            ``INVALID_UID`` (a UID that cannot name a file), ``DUPLICATE_OBJECT`` (another
            instance of that UID was written before), ``FILE_WRITE_FAILED``, or what reading the
            header gives.
        """
        written = self._written(instance)
        with self._lock:
            match written:
                case Failure(error):
                    self.failures.append((instance.sop_instance_uid, error))
                case _ if (path := written.unwrap()) not in self._places:
                    self._places.add(path)
                    self.paths.append(path)
        return written

    @edge({OSError: ErrorCode.FILE_WRITE_FAILED})
    def _written(self, instance: Instance) -> Path:
        header = raised(instance.header())
        # UIDs come from the peer: nothing but digits and dots may become a path.
        study = checked_uid(header.text("StudyInstanceUID"), "Study Instance UID")
        series = checked_uid(header.text("SeriesInstanceUID"), "Series Instance UID")
        name = checked_uid(instance.sop_instance_uid, "SOP Instance UID")
        place = self.folder / study / series / f"{name}.dcm"
        if place in self._places:
            _check_is_same(instance, place)
            return place
        place.parent.mkdir(parents=True, exist_ok=True)
        return raised(write_file(instance, place))


def _check_is_same(instance: Instance, place: Path) -> None:
    """Check that an instance that comes again is the one that was written.

    Raises:
        PacsException: ``DUPLICATE_OBJECT``, or what reading the file gives.
    """
    written = raised(read_file(place))
    is_same = (
        written.transfer_syntax_uid == instance.transfer_syntax_uid
        and written.encoded.view() == instance.encoded.view()
    )
    if not is_same:
        raise PacsException(
            ErrorCode.DUPLICATE_OBJECT,
            f"{instance.sop_instance_uid} came twice, with different data; the first is in {place}",
        )
