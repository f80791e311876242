"""Every night: fetch yesterday's CT studies from the hospital's archive into a folder.

``python nightly_pull.py HOST PORT AE_TITLE FOLDER [YYYYMMDD]``, from cron. Without arguments it
makes an archive with some studies of its own, and pulls those of one day twice.

What lies in the folder already is not fetched again, so that a night that failed is made up for
by running it again. The exit code is 1 where anything is still missing.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import pydicom.data

from pacs_sdk import DicomDataset, Pacs
from pacs_sdk.core import Failure, Success
from pacs_sdk.encoding import read_file
from pacs_sdk.network import Peer
from pacs_sdk.services import InFolder, QueryScu, RetrieveScu

SAMPLES = Path(pydicom.data.__file__).parent / "test_files/dicomdirtests"
US = "NIGHTLY"


def pull(peer: Peer, folder: Path, day: str) -> bool:
    """Fetch the CT series of a day, series by series; True when all of them are here."""
    query, retrieve = QueryScu(ae_title=US), RetrieveScu(ae_title=US)
    studies = query.find(
        peer,
        DicomDataset(
            QueryRetrieveLevel="STUDY", StudyDate=day, ModalitiesInStudy="CT", StudyInstanceUID=""
        ),
    )
    match studies:
        case Failure(error):
            print(f"the archive does not answer: {error.message}", file=sys.stderr)
            return False
    is_complete = True
    for study in studies.unwrap():
        asked = DicomDataset(
            QueryRetrieveLevel="SERIES",
            StudyInstanceUID=study["StudyInstanceUID"],
            SeriesInstanceUID="",
            Modality="CT",
            NumberOfSeriesRelatedInstances="",
        )
        for series in query.find(peer, asked).unwrap():
            is_complete &= pull_series(retrieve, peer, folder, study, series)
    return is_complete


def pull_series(
    retrieve: RetrieveScu, peer: Peer, folder: Path, study: DicomDataset, series: DicomDataset
) -> bool:
    """Fetch one series, unless it is here; True when it is complete."""
    study_uid, series_uid = study["StudyInstanceUID"], series["SeriesInstanceUID"]
    place = folder / str(study_uid) / str(series_uid)
    expected = int(series.get("NumberOfSeriesRelatedInstances") or 0)
    if expected and len(list(place.glob("*.dcm"))) >= expected:
        print(f"{series_uid}: is here already")
        return True
    wanted = DicomDataset(
        QueryRetrieveLevel="SERIES", StudyInstanceUID=study_uid, SeriesInstanceUID=series_uid
    )
    match retrieve.get(peer, wanted, InFolder(folder).keep):
        case Success(report) if not report.failed:
            print(f"{series_uid}: {report.received} images")
            return True
        case Success(report):
            print(f"{series_uid}: {report.received} images, {report.failed} failed")
        case Failure(error):
            print(f"{series_uid}: {error.message}")
    return False


def rehearse() -> bool:
    """Do it twice with an archive of our own, in this process."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Pacs.embedded(Path(folder) / "archive", ae_title="HOSPITAL") as hospital,
    ):
        for path in sorted(SAMPLES.glob("9889*/*/*")):
            hospital.archive.store(read_file(path).unwrap()).unwrap()
        nights = [pull(hospital.peer, Path(folder) / "pulled", "20010101") for _ in range(2)]
    return all(nights)


if __name__ == "__main__":
    if len(sys.argv) == 1:
        done = rehearse()
    else:
        host, port, ae_title, target, *rest = sys.argv[1:]
        yesterday = (datetime.now().astimezone() - timedelta(days=1)).strftime("%Y%m%d")
        done = pull(Peer(host, int(port), ae_title), Path(target), rest[0] if rest else yesterday)
    sys.exit(0 if done else 1)
