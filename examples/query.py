"""As in a notebook: an archive in this process, a query, a table, an image.

``python query.py [PICTURE.png]``. In Jupyter, end a cell with ``matches[0]``, ``series`` or
``series.report`` and it shows as a table or a picture.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pydicom.data

from pacs_sdk import Pacs
from pacs_sdk.core import DicomDataset
from pacs_sdk.encoding import read_file
from pacs_sdk.integration.itk import load_series
from pacs_sdk.services import QueryScu
from pacs_sdk.storage import Query

SAMPLES = Path(pydicom.data.__file__).parent / "test_files/dicomdirtests"

picture = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("query.png")

# The first lines: an archive, something in it, and a query.
with tempfile.TemporaryDirectory() as folder, Pacs.embedded(folder) as pacs:
    for path in sorted(SAMPLES.glob("9889*/*/*")):
        pacs.archive.store(read_file(path).unwrap()).unwrap()
    query = Query.of("SERIES", PatientName="doe*", Modality="CT").unwrap()
    matches = list(pacs.archive.find(query).unwrap())

    # A table: the attributes of each match by keyword.
    columns = ("PatientName", "StudyDate", "Modality", "SeriesDescription")
    counts = "NumberOfSeriesRelatedInstances"
    for match in matches:
        print(*(f"{match.get(name):<12}" for name in columns), match.get(counts))

    # The same question over the network, as to any other archive.
    asked = DicomDataset(
        QueryRetrieveLevel="STUDY", PatientName="doe*", StudyDate="", ModalitiesInStudy="MR"
    )
    for answer in QueryScu().find(pacs.peer, asked).unwrap():
        print(answer["PatientName"], answer["StudyDate"], answer["ModalitiesInStudy"])

    # An image: the largest series, straight out of the archive.
    largest = max(matches, key=lambda match: int(match.get(counts)))
    uid = largest.get("SeriesInstanceUID")
    series = load_series(pacs.archive, series_instance_uid=uid).unwrap()

print(series)
picture.write_bytes(series.preview().unwrap())
print(f"picture: {picture}")
