"""Hooks of the archive, as a configuration names them and as a program gives them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from dependency_injector import providers

from pacs_sdk import Pacs, PacsConfig
from pacs_sdk.core import DicomDataset, ErrorCode, PacsException
from pacs_sdk.integration.archive_hooks import HookParts
from pacs_sdk.services import StorageScu
from pacs_sdk.storage import Archive, FileStorage, IndexDatabase, Query, index_url
from pacs_sdk.testing import FakeClock
from tests.storage.made_instances import made_instance

HERE = "tests.integration.test_archive_hooks"


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the hooks of this module be named in a configuration."""
    monkeypatch.setitem(sys.modules, HERE, sys.modules[__name__])


def _pacs(folder: Path, **storage: object) -> Pacs:
    values = {"server": {"port": 0}, "storage": {"data_dir": str(folder), **storage}}
    return Pacs.configured(PacsConfig.from_dict(values).unwrap())


def _one(uid: str) -> Query:
    return Query.of("IMAGE", SOPInstanceUID=uid).unwrap()


# -- coercion ----------------------------------------------------------------------------------


def name_the_ward(dataset: DicomDataset) -> None:
    """Be a hook that a configuration names."""
    dataset.set("InstitutionName", f"Ward of {dataset.get('IssuerOfPatientID')}").unwrap()


def name_the_room(dataset: DicomDataset) -> None:
    """Be a hook that a program gives."""
    dataset.set("StationName", str(dataset.get("InstitutionName")).upper()[:16]).unwrap()


def test_attributes_are_put_right_by_settings_then_named_hooks_then_the_programs(
    tmp_path: Path,
) -> None:
    """Each sees what those before it made; the PACS stands in the record of what was there."""
    pacs = _pacs(tmp_path, issuer_of_patient_ids="MARY", coerce=[f"{HERE}:name_the_ward"])
    pacs.container.storage.coerce.override(providers.Object([name_the_room]))
    with pacs:
        StorageScu().store(pacs.peer, made_instance(SOPInstanceUID="1.2.3.1")).unwrap()
        kept = pacs.archive.open("1.2.3.1").unwrap().dataset().unwrap()
    assert kept["InstitutionName"] == "Ward of MARY"
    assert kept["StationName"] == "WARD OF MARY"
    (record,) = kept.get_items("OriginalAttributesSequence").unwrap()
    assert record["ModifyingSystem"] == "PACS_SCP"


# -- deleting and settling ---------------------------------------------------------------------

HELD: set[str] = set()


def is_not_held(study_instance_uid: str) -> bool:
    """Be a rule that a configuration names."""
    return study_instance_uid not in HELD


def test_a_study_is_deleted_only_if_every_rule_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rule of the program does not take the place of one that the configuration names."""
    monkeypatch.setattr(sys.modules[__name__], "HELD", {"1.2.1"})
    pacs = _pacs(tmp_path, may_delete=[f"{HERE}:is_not_held"])
    pacs.container.storage.may_delete.override(providers.Object([lambda uid: uid != "1.2.2"]))
    with pacs:
        for number in (1, 2, 3):
            one = made_instance(
                StudyInstanceUID=f"1.2.{number}",
                SeriesInstanceUID=f"1.2.{number}.1",
                SOPInstanceUID=f"1.2.{number}.1.1",
            )
            pacs.archive.store(one).unwrap()
            pacs.archive.delete(_one(f"1.2.{number}.1.1"))
        left = {match["StudyInstanceUID"] for match in _studies(pacs.archive)}
    assert left == {"1.2.1", "1.2.2"}


def _studies(archive: Archive) -> list[DicomDataset]:
    found = archive.find(Query.of("STUDY", StudyInstanceUID="").unwrap()).unwrap()
    return [match.dataset() for match in found]


def test_a_study_settles_only_if_every_rule_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_clock: FakeClock
) -> None:
    """The one that the configuration names, and the one that the program gives."""
    held = {"1.2"}
    monkeypatch.setattr(sys.modules[__name__], "HELD", held)
    waiting = {"1.2"}
    pacs = _pacs(tmp_path, may_settle=[f"{HERE}:is_not_held"])
    pacs.container.storage.may_settle.override(providers.Object([lambda uid: uid not in waiting]))
    pacs.container.core.clock.override(providers.Object(fake_clock))
    archive = pacs.archive
    try:
        archive.store(made_instance(StudyInstanceUID="1.2", SOPInstanceUID="1.2.1.1")).unwrap()
        settled = []
        for free in (set, held.clear, waiting.clear):
            free()
            fake_clock.advance(3600)
            archive.settler.step()
            kinds = [change.kind.name for change in archive.feed.changes().unwrap()]
            settled.append("SETTLED" in kinds)
    finally:
        pacs.stop()
    assert settled == [False, False, True]


# -- room --------------------------------------------------------------------------------------


class OldestFirst:
    """Deletes what the archive holds; it is made of parts, and asks for the archive when called."""

    made_of: HookParts

    def __init__(self, parts: HookParts) -> None:
        OldestFirst.made_of = parts
        with pytest.raises(PacsException, match="not open yet"):
            parts.archive()

    def __call__(self, missing_bytes: int) -> None:
        self.made_of.archive().delete(_one("1.2.3.1")).unwrap()


@pytest.mark.parametrize("is_given", [False, True])
@pytest.mark.parametrize("is_apart", [False, True])
def test_room_is_made_by_whom_the_configuration_names_or_the_program_gives(
    tmp_path: Path, is_given: bool, is_apart: bool
) -> None:
    """A class is given the way to the archive that it is to delete from."""
    first, second = (made_instance(SOPInstanceUID=f"1.2.3.{number}") for number in (1, 2))
    quota = 500  # bytes; one as a file has some 420
    named = "no.such.module:hook" if is_given else f"{HERE}:OldestFirst"
    pacs = _pacs(tmp_path, quota_bytes=quota, make_room=named)
    if is_given:
        asked = lambda missing: pacs.archive.delete(_one("1.2.3.1")).unwrap()  # noqa: E731
        pacs.container.storage.make_room.override(providers.Object(asked))
    if is_apart:
        (tmp_path / "apart").mkdir()
        apart = FileStorage(tmp_path / "apart"), IndexDatabase(index_url(tmp_path / "i.sqlite"))
        pacs.container.storage.backend.override(providers.Object(apart[0]))
        pacs.container.storage.index.override(providers.Object(apart[1]))
    with pacs:
        reports = [StorageScu().store(pacs.peer, one).unwrap() for one in (first, second)]
        found = pacs.archive.find(Query.of("IMAGE", SOPInstanceUID="").unwrap()).unwrap()
        assert [match.dataset()["SOPInstanceUID"] for match in found] == ["1.2.3.2"]
    assert [report.stored for report in reports] == [1, 1]


@pytest.mark.parametrize("setting", ["coerce", "may_delete", "may_settle", "make_room"])
def test_a_hook_that_cannot_be_loaded_fails_the_start(tmp_path: Path, setting: str) -> None:
    """The error names the setting; nothing starts with a rule missing."""
    path = "no_such_module:hook"
    pacs = _pacs(tmp_path, **{setting: path if setting == "make_room" else [path]})
    error = pacs.start().failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert error.message.startswith(f"storage.{setting}: the hook 'no_such_module:hook' cannot be")
