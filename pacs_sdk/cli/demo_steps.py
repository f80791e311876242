"""The steps of ``pacs demo``: each does one thing, checks it, and says what it did."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
import numpy as np
import pydicom.data

from pacs_sdk.cli.errors import CommandFailed
from pacs_sdk.cli.output import ProgressBar
from pacs_sdk.cli.retrieval import Follower
from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import Instance, read_file
from pacs_sdk.integration.itk import LoadedSeries, load_series
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.integration.phantom import Phantom, PhantomSpec, make_phantom
from pacs_sdk.services import InFolder

__all__ = [
    "Series",
    "Step",
    "compare",
    "draw",
    "fetch",
    "load",
    "phantom_series",
    "query",
    "sample_series",
    "send",
]

_SAMPLE_FOLDER: Final = "dicomdirtests/98892001/CT5N"
"""A CT series of five slices among the test files that pydicom installs."""

_PHANTOM: Final = PhantomSpec(slices=60, rows=512, columns=512, shuffle_seed=2)
"""Shuffled, so that neither names nor Instance Numbers give the order of the slices."""

_TOLERANCE_MM: Final = 1e-6
"""Positions are written with 16 characters: a nanometre is far more than is lost."""

_SUCCESS: Final = 0x0000


@attrs.frozen
class Step:
    """A step that was done and whose checks held."""

    name: str
    """What was done."""
    count: str
    """How many of what."""
    checked: str
    """What was found to be as it must be."""
    duration_s: float
    """How long it took."""
    size_bytes: int = 0
    """How many bytes of data sets or values went through; 0 where that says nothing."""
    is_transfer: bool = False
    """Whether bytes per second are worth telling."""


@attrs.frozen
class Series:
    """A series that goes through the demo."""

    name: str
    """What to call it."""
    study_uid: str
    """Its study."""
    series_uid: str
    """Itself."""
    instances: tuple[Instance, ...]
    """Its images, as they were before they were sent."""

    @property
    def size_bytes(self) -> int:
        """The bytes of its data sets."""
        return sum(instance.size for instance in self.instances)


def _check(name: str, held: bool, words: str) -> None:
    """Go on only if a check held.

    Raises:
        CommandFailed: It did not; the text names the check and what was found.
    """
    if not held:
        raise CommandFailed(f"the check '{name}' failed: {words}")


# -- what is sent ----------------------------------------------------------------------------


def sample_series() -> tuple[Series, Step]:
    """Open the CT series that pydicom brings."""
    begin = time.monotonic()
    folder = Path(pydicom.data.__file__).parent / "test_files" / _SAMPLE_FOLDER
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    if not files:
        raise CommandFailed(f"pydicom's test files are not installed: there is no {folder}")
    series = _series("CT", tuple(raised(read_file(file)) for file in files))
    return series, Step("read CT", _images(series), "complete", _since(begin), series.size_bytes)


def phantom_series() -> tuple[Phantom, Series, Step]:
    """Make the phantom."""
    begin = time.monotonic()
    phantom = raised(make_phantom(_PHANTOM))
    series = _series("phantom", phantom.instances)
    step = Step("make phantom", _images(series), "", _since(begin), series.size_bytes)
    return phantom, series, step


def _series(name: str, instances: tuple[Instance, ...]) -> Series:
    header = raised(instances[0].header())
    return Series(
        name, header.text("StudyInstanceUID"), header.text("SeriesInstanceUID"), instances
    )


# -- over the network ------------------------------------------------------------------------


def send(pacs: Pacs, series: Series, progress: ProgressBar) -> Step:
    """Send a series by C-STORE; each instance has to be acknowledged with Success."""
    begin = time.monotonic()
    scu = pacs.container.services.storage_scu()
    report = raised(scu.store(pacs.peer, series.instances, lambda _: progress.advance()))
    duration_s = _since(begin)
    refused = [one for one in report.outcomes if one.status != _SUCCESS]
    words = f"{len(refused)} of {len(series.instances)} were not"
    if refused:
        words += f", the first with {refused[0].comment or refused[0].status}"
    _check(f"{series.name}: every instance is stored", not refused, words)
    return Step(
        f"send {series.name}",
        _images(series),
        "acknowledged",
        duration_s,
        report.size_bytes,
        is_transfer=True,
    )


def query(pacs: Pacs, everything: Sequence[Series]) -> Iterator[Step]:
    """Ask at study, series and image level; the counts have to be those that were sent."""
    begin = time.monotonic()
    studies = {
        one["StudyInstanceUID"]: one
        for one in _find(
            pacs,
            "STUDY",
            StudyInstanceUID="",
            NumberOfStudyRelatedSeries="",
            NumberOfStudyRelatedInstances="",
        )
    }
    duration_s = _since(begin)
    _check(
        "the studies are found",
        studies.keys() == {series.study_uid for series in everything},
        f"found {len(studies)}, sent {len(everything)}",
    )
    for series in everything:
        found = studies[series.study_uid]
        counts = (found["NumberOfStudyRelatedSeries"], found["NumberOfStudyRelatedInstances"])
        _check(
            f"{series.name}: the study's counts",
            counts == (1, len(series.instances)),
            f"the archive says {counts[0]} series, {counts[1]} instances",
        )
    yield Step("query studies", f"{len(studies)} matches", "UIDs, counts", duration_s)
    yield _query_series(pacs, everything)
    yield _query_images(pacs, everything)


def _query_series(pacs: Pacs, everything: Sequence[Series]) -> Step:
    begin = time.monotonic()
    for series in everything:
        found = _find(
            pacs,
            "SERIES",
            StudyInstanceUID=series.study_uid,
            SeriesInstanceUID="",
            NumberOfSeriesRelatedInstances="",
        )
        counts = [
            (one["SeriesInstanceUID"], one["NumberOfSeriesRelatedInstances"]) for one in found
        ]
        _check(
            f"{series.name}: the series and its count",
            counts == [(series.series_uid, len(series.instances))],
            f"the archive says {counts}",
        )
    return Step("query series", f"{len(everything)} matches", "UIDs, counts", _since(begin))


def _query_images(pacs: Pacs, everything: Sequence[Series]) -> Step:
    begin = time.monotonic()
    total = 0
    for series in everything:
        found = _find(
            pacs,
            "IMAGE",
            StudyInstanceUID=series.study_uid,
            SeriesInstanceUID=series.series_uid,
            SOPInstanceUID="",
        )
        total += len(found)
        sent = sorted(instance.sop_instance_uid for instance in series.instances)
        _check(
            f"{series.name}: the images are found",
            sorted(str(one["SOPInstanceUID"]) for one in found) == sent,
            f"found {len(found)}, sent {len(sent)}, or others",
        )
    return Step("query images", f"{total} matches", "UIDs", _since(begin))


def _find(pacs: Pacs, level: str, **keys: str) -> Sequence[DicomDataset]:
    scu = pacs.container.services.query_scu()
    identifier = DicomDataset(QueryRetrieveLevel=level)
    for keyword, value in keys.items():
        identifier[keyword] = value
    return raised(scu.find(pacs.peer, identifier))


def fetch(pacs: Pacs, series: Series, folder: Path, progress: ProgressBar) -> Step:
    """Fetch a study by C-GET into a folder; as many images have to come as were sent."""
    begin = time.monotonic()
    writer = InFolder(folder)
    progress.of(len(series.instances))
    report = raised(
        pacs.container.services.retrieve_scu().get(
            pacs.peer,
            DicomDataset(QueryRetrieveLevel="STUDY", StudyInstanceUID=series.study_uid),
            writer.keep,
            on_progress=Follower(progress).follow,
        )
    )
    duration_s = _since(begin)
    _check(
        f"{series.name}: every instance is fetched",
        report.received == len(series.instances) and report.failed == 0,
        "; ".join(
            (
                f"{report.received} came, {report.failed} failed",
                *(f"{uid}: {error.message}" for uid, error in writer.failures),
            )
        ),
    )
    return Step(
        f"fetch {series.name}",
        _images(series),
        "all came",
        duration_s,
        report.size_bytes,
        is_transfer=True,
    )


# -- what came back --------------------------------------------------------------------------


def compare(everything: Sequence[Series], folder: Path) -> Step:
    """Compare each data set that came back with the one that was sent, byte for byte."""
    begin = time.monotonic()
    size_bytes = 0
    for series in everything:
        for sent in series.instances:
            name = sent.sop_instance_uid
            came = raised(read_file(folder / series.study_uid / series.series_uid / f"{name}.dcm"))
            size_bytes += came.size
            _check(
                f"{series.name}: the data set is byte-identical",
                came.transfer_syntax_uid == sent.transfer_syntax_uid
                and bytes(came.encoded.view()) == bytes(sent.encoded.view()),
                f"that of {name} changed",
            )
    count = sum(len(series.instances) for series in everything)
    return Step("compare", f"{count} data sets", "byte-identical", _since(begin), size_bytes)


def load(phantom: Phantom, folder: Path) -> tuple[LoadedSeries, Step]:
    """Load the phantom as a SimpleITK image and hold it against the truth."""
    begin = time.monotonic()
    loaded = raised(load_series(folder))
    duration_s = _since(begin)
    truth = phantom.truth
    _check(
        "the slices are in order",
        loaded.sop_instance_uids == truth.sop_instance_uids,
        "they are not those of the phantom, first to last",
    )
    wrong = int(np.count_nonzero(loaded.array != truth.hounsfield()))
    _check("Hounsfield values", wrong == 0, f"{wrong} voxels differ from the truth")
    _check_geometry(loaded, phantom)
    voxels = " × ".join(str(count) for count in truth.geometry.size)
    step = Step("load phantom", voxels, "HU, geometry", duration_s, loaded.array.nbytes)
    return loaded, step


def _check_geometry(loaded: LoadedSeries, phantom: Phantom) -> None:
    image: Any = loaded.image  # SimpleITK has no types
    truth = phantom.truth.geometry
    for name, found, true in (
        ("size", image.GetSize(), truth.size),
        ("origin", image.GetOrigin(), truth.origin),
        ("spacing", image.GetSpacing(), truth.spacing),
        ("direction", image.GetDirection(), truth.direction),
    ):
        _check(
            f"geometry: {name}",
            bool(np.allclose(found, true, rtol=0, atol=_TOLERANCE_MM)),
            f"{found} instead of {true}",
        )
    for landmark in phantom.truth.landmarks:
        value = image[image.TransformPhysicalPointToIndex(landmark.point)]
        _check(
            f"geometry: the {landmark.name} landmark",
            value == landmark.hounsfield,
            f"{value} HU at {landmark.point} mm instead of {landmark.hounsfield}",
        )


def draw(loaded: LoadedSeries, path: Path) -> Step:
    """Write the picture of the three orthogonal planes."""
    begin = time.monotonic()
    png = raised(loaded.preview())
    path.write_bytes(png)
    return Step("draw picture", "3 planes", "", _since(begin), len(png))


def _images(series: Series) -> str:
    return f"{len(series.instances)} images"


def _since(begin: float) -> float:
    return time.monotonic() - begin
