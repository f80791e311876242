"""A series is loaded straight from an archive."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pacs_sdk.core import ErrorCode
from pacs_sdk.integration.itk import RemoteSeries, load_volume
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.services import StorageScu
from pacs_sdk.storage import Durability, Query, QueryLevel, open_archive
from tests.integration.made_series import in_memory, made_slices


def test_a_series_is_loaded_from_an_archive(tmp_path: Path) -> None:
    """Only the wanted series is asked for, whatever else is stored."""
    other = made_slices(2, SeriesInstanceUID="1.2.3.5", SOPInstanceUID="1.2.3.5.1")
    wanted = in_memory(made_slices(3))
    with open_archive(tmp_path, durability=Durability.RELAXED).unwrap() as archive:
        for instance in [*in_memory(other[:1]), *reversed(wanted)]:
            archive.store(instance).unwrap()
        volume = load_volume(archive, series_instance_uid="1.2.3.4").unwrap()
        missing = load_volume(archive, series_instance_uid="1.2.3.6").failure()
    assert np.array_equal(volume.array, load_volume(wanted).unwrap().array)
    assert volume.report.skipped == ()
    assert "there is no series 1.2.3.6" in missing.message


def test_an_archive_is_asked_by_any_query(tmp_path: Path) -> None:
    """The query decides what comes; the series is the only one that does."""
    with open_archive(tmp_path, durability=Durability.RELAXED).unwrap() as archive:
        for instance in in_memory(made_slices(3, SeriesDescription="Thorax")):
            archive.store(instance).unwrap()
        query = Query.of(QueryLevel.SERIES, SeriesDescription="Thor*").unwrap()
        volume = load_volume(archive, query=query).unwrap()
        unasked = load_volume(archive).failure()
    assert volume.array.shape == (3, 3, 4)
    assert unasked.code is ErrorCode.INVALID_ARGUMENT


def test_a_series_of_a_peer_is_fetched_into_memory(tmp_path: Path) -> None:
    """By C-GET, with or without the study; the spool sees no file of it."""
    wanted = in_memory(made_slices(3))
    with Pacs.embedded(tmp_path) as pacs:
        StorageScu().store(pacs.peer, wanted).unwrap()
        volumes = [
            load_volume(RemoteSeries(pacs.peer, "1.2.3.4", study)).unwrap()
            for study in ("1.2.3", "")
        ]
        unknown = load_volume(RemoteSeries(pacs.peer, "1.2.3.99")).failure()
    for volume in volumes:
        assert np.array_equal(volume.array, load_volume(wanted).unwrap().array)
        assert volume.sop_instance_uids == tuple(one.sop_instance_uid for one in wanted)
    assert unknown.code is ErrorCode.SERIES_NOT_LOADABLE
    assert "knows no series 1.2.3.99" in unknown.message
