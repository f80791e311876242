"""Making an archive's index anew from its files, of the size of CT images."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pydicom
import pydicom.data

from benchmarks.harness import Figure, scaled
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, instance_from_dataset, part10_header
from pacs_sdk.storage import open_archive, reindex
from pacs_sdk.storage.upkeep.reading_pool import default_processes

__all__ = ["figures"]

_FILES: Final = 20_000
_IN_A_SERIES: Final = 100
_SERIES_OF_A_STUDY: Final = 3
_PIXEL_BYTES: Final = 512 * 512 * 2
_ROUNDS: Final = 3

_STUDY: Final = "1.2.826.0.1.3680043.10.9999.1.%d"
_SERIES: Final = "1.2.826.0.1.3680043.10.9999.2.%d"
_FIRST: Final = 10_000_000
"""All numbers have as many digits, so that UIDs can be exchanged in encoded headers."""

_INSTANCE: Final = "1.2.826.0.1.3680043.10.9999.3.%d"


def _template() -> tuple[bytes, bytes]:
    """Return File Meta Information and header of a CT image of 512 x 512 pixels, number 0."""
    found = pydicom.data.get_testdata_file("CT_small.dcm", download=False)
    if not isinstance(found, str):
        raise FileNotFoundError("pydicom was installed without its test files")
    dataset = pydicom.dcmread(found)
    del dataset.PixelData, dataset[0xFFFCFFFC]
    dataset.Rows = dataset.Columns = 512
    dataset.StudyInstanceUID = _STUDY % _FIRST
    dataset.SeriesInstanceUID = _SERIES % _FIRST
    dataset.SOPInstanceUID = _INSTANCE % _FIRST
    instance = instance_from_dataset(dataset, EXPLICIT_VR_LITTLE_ENDIAN).unwrap()
    meta = part10_header(instance.sop_class_uid, _INSTANCE % _FIRST, EXPLICIT_VR_LITTLE_ENDIAN.uid)
    pixels = b"\xe0\x7f\x10\0OW\0\0" + _PIXEL_BYTES.to_bytes(4, "little")
    return meta, bytes(instance.encoded.view()) + pixels


def _names(count: int) -> Iterator[tuple[str, str, str]]:
    for number in range(count):
        series = number // _IN_A_SERIES
        yield (
            _STUDY % (_FIRST + series // _SERIES_OF_A_STUDY),
            _SERIES % (_FIRST + series),
            _INSTANCE % (_FIRST + number),
        )


def _make_files(objects: Path, count: int) -> None:
    """Write an archive's files; their pixels are holes, for nobody reads them here."""
    meta, header = _template()
    for study, series, instance in _names(count):
        folder = objects / study / series
        folder.mkdir(parents=True, exist_ok=True)
        whole = meta + header.replace((_STUDY % _FIRST).encode(), study.encode()).replace(
            (_SERIES % _FIRST).encode(), series.encode()
        )
        whole = whole.replace((_INSTANCE % _FIRST).encode(), instance.encode())
        with (folder / f"{instance}.dcm").open("wb") as file:
            file.write(whole)
            file.truncate(len(whole) + _PIXEL_BYTES)


def figures() -> Iterator[Figure]:
    """Measure a whole run, from the start of the processes to the new index in its place."""
    count = scaled(_FILES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        open_archive(folder).unwrap().close()
        _make_files(folder / "objects", count)
        for processes in sorted({1, default_processes()}):
            taken = []
            for _ in range(_ROUNDS):
                begin = time.perf_counter()
                report = reindex(folder, processes=processes).unwrap()
                taken.append(time.perf_counter() - begin)
                if report.indexed != count or report.problems:
                    raise RuntimeError(f"{report.indexed} of {count} files were indexed")
            rates = sorted(count / one for one in taken)
            yield Figure(
                f"reindex of {count:,} CT files of {_PIXEL_BYTES // 1000} kB, "
                f"{processes} reading process{'es' * (processes > 1)}",
                f"{rates[len(rates) // 2]:,.0f} files/s, median of {_ROUNDS} "
                f"({rates[0]:,.0f} to {rates[-1]:,.0f})",
            )
