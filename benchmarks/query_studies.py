"""C-FIND at the STUDY level: all studies of archives that hold the same objects.

The archives run from the first round to the end, and were filled by C-STORE. The client replays
bytes and counts the answers, so what is timed is the archive.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
from typing import Final

import attrs

from benchmarks.harness import Comparison, Contestant, scaled
from benchmarks.launch import Launch
from benchmarks.loopback_client import STUDY_ROOT_FIND, Client, find_message
from benchmarks.peers import dcmqrscp, orthanc, our_server, present
from pacs_sdk.core import DicomDataset
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    Instance,
    encode_dataset,
    instance_from_dataset,
)
from pacs_sdk.network import Peer
from pacs_sdk.services import StorageScu

__all__ = ["comparisons"]

_STUDIES: Final = 1000
_MOST_OF_DCMQRSCP: Final = 400
"""It takes no more than 500 studies, whatever its configuration says."""

_KEYS: Final = (
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "PatientName",
    "PatientID",
    "AccessionNumber",
    "StudyDescription",
    "StudyID",
)
_COMPUTED: Final = (
    "ModalitiesInStudy",
    "NumberOfStudyRelatedSeries",
    "NumberOfStudyRelatedInstances",
)

_running = contextlib.ExitStack()
atexit.register(_running.close)


@attrs.frozen(eq=False)
class _Archive:
    """One archive, which is started and filled when it is first asked."""

    launch: Launch
    studies: int
    """How many it has."""

    @functools.cache  # noqa: B019  # there are four, until the program ends
    def _port(self) -> int:
        server = _running.enter_context(self.launch.running())
        peer = Peer("127.0.0.1", server.port, "DCMQRSCP")
        report = (
            StorageScu().store(peer, [_made(number) for number in range(self.studies)]).unwrap()
        )
        if report.failures:
            raise RuntimeError(f"not every image was taken by {self.launch.name}")
        return server.port

    def find(self, message: tuple[bytes, ...]) -> None:
        """Ask for all studies, on an association of its own."""
        client = Client(self._port(), STUDY_ROOT_FIND)
        found = client.find(message)
        client.release()
        if found != self.studies:
            raise RuntimeError(f"{self.launch.name} found {found} studies, not {self.studies}")


def comparisons() -> tuple[Comparison, ...]:
    """Compare a list of studies without, and with, what has to be counted for each."""
    launches = present(
        our_server("pacs_sdk serve", "--durability", "relaxed", "--log-level", "warning"),
        orthanc("Orthanc", sync=False),
    )
    archives = [_Archive(launch, _count()) for launch in launches]
    archives += [_Archive(one, min(_count(), _MOST_OF_DCMQRSCP)) for one in present(dcmqrscp())]
    return (
        _comparison("C-FIND of all studies, 8 attributes each", archives, _KEYS),
        _comparison(
            "C-FIND of all studies, modalities and counts too", archives, (*_KEYS, *_COMPUTED)
        ),
    )


def _comparison(title: str, archives: list[_Archive], keys: tuple[str, ...]) -> Comparison:
    identifier = DicomDataset(None, QueryRetrieveLevel="STUDY", **dict.fromkeys(keys, ""))
    message = find_message(encode_dataset(identifier, EXPLICIT_VR_LITTLE_ENDIAN).unwrap())
    contestants = tuple(
        Contestant(
            archive.launch.name, functools.partial(archive.find, message), count=archive.studies
        )
        for archive in archives
    )
    return Comparison(title, "studies", _count(), contestants)


def _count() -> int:
    return scaled(_STUDIES)


def _made(number: int) -> Instance:
    """Make an object of a study of its own."""
    study = f"1.2.826.0.1.3680043.8.498.{number + 1}"
    dataset = DicomDataset(
        None,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        SOPInstanceUID=f"{study}.1.1",
        SeriesInstanceUID=f"{study}.1",
        StudyInstanceUID=study,
        StudyDate=f"2025{number % 12 + 1:02}{number % 28 + 1:02}",
        StudyTime=f"{number % 24:02}3015",
        PatientName=f"Family{number}^Given",
        PatientID=f"P{number:06}",
        AccessionNumber=f"A{number:08}",
        StudyDescription="CT of the head without contrast",
        StudyID=str(number),
        Modality="CT",
        SeriesNumber=1,
        InstanceNumber=1,
    )
    return instance_from_dataset(dataset).unwrap()
