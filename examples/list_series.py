"""List the series in a folder, reading headers only.

Run it with a folder: ``python examples/list_series.py FOLDER``. Without one it lists the
directory of CT, MR and CR images that ships inside pydicom.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pydicom.data

from pacs_sdk.core import Failure, Success
from pacs_sdk.encoding import Instance, InstanceHeader, read_file

EXAMPLE_FOLDER = Path(pydicom.data.__file__).parent / "test_files" / "dicomdirtests"


def main(folder: Path) -> None:
    """Print one line a series, and how many files were no images."""
    series: Counter[tuple[str, ...]] = Counter()
    skipped: Counter[str] = Counter()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        match read_file(path).bind(Instance.header):
            case Success(InstanceHeader() as header) if "Modality" in header:
                keys = ("PatientName", "StudyDate", "Modality", "SeriesDescription")
                series[(*map(header.text, keys), header.text("SeriesInstanceUID"))] += 1
            case Success(_):
                skipped["no image"] += 1
            case Failure(error):
                skipped[error.code.meaning] += 1
    for (name, date, modality, description, _), count in sorted(series.items()):
        print(f"{name:<20} {date:<8} {modality:<3} {count:>4} images  {description}")
    for reason, count in skipped.items():
        print(f"skipped {count}: {reason}")
    if not series:
        sys.exit(f"no series in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLE_FOLDER)
