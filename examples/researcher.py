"""A folder of slices becomes a SimpleITK volume, with a report and a picture.

``python researcher.py [FOLDER [PICTURE.png]]``; without a folder it loads a small CT series
that ships inside pydicom.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pydicom.data

from pacs_sdk.core import ErrorCode, Failure, PacsError, Success
from pacs_sdk.integration.itk import LoadedSeries, load_series

SAMPLE = Path(pydicom.data.__file__).parent / "test_files/dicomdirtests/98892001/CT5N"

folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE
picture = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("series.png")

# The first lines: a volume, and what was seen and done to get it.
series = load_series(folder).unwrap()
print(series.report)
image = series.image  # a SimpleITK.Image in LPS millimetres
print(f"image: {image.GetSize()} voxels, spacing {image.GetSpacing()} mm")

# The same values as a NumPy array (slices, rows, columns), without a copy.
values = series.array
print(f"{np.count_nonzero(values > 300)} of {values.size} voxels are above 300 HU")

# Which file a slice came from, and where its first voxel lies in the patient.
print(f"first slice: {series.sop_instance_uids[0]} at {series.geometry.point_of((0, 0, 0))} mm")

picture.write_bytes(series.preview().unwrap())
print(f"picture: {picture}")


def without_a_slice(folder: Path) -> None:
    """Show what happens to a series with a gap: no image, but the reason."""
    uids = set(series.sop_instance_uids)
    uids.discard(series.sop_instance_uids[len(uids) // 2])
    match load_series([path for path in sorted(folder.iterdir()) if _uid(path) in uids]):
        case Failure(PacsError(code=ErrorCode.SERIES_NOT_LOADABLE) as error):
            print(f"without one slice: {error.message}")
        case Failure(error):
            sys.exit(str(error))
        case Success(LoadedSeries()):
            sys.exit("a series with a gap was loaded")


def _uid(path: Path) -> str:
    return str(pydicom.dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID)


if folder == SAMPLE:
    without_a_slice(folder)
