"""A series is loaded straight from an archive."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pacs_sdk.integration.itk import load_volume
from pacs_sdk.storage import Durability, open_archive
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
