"""Validation of what a Storage SCP receives, by policy (PS3.4 B.2.3)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from dependency_injector import providers
from pydicom.dataset import Dataset

from pacs_sdk.core import NonconformingInstance
from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.results import Failure, Success, raised
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, Instance
from pacs_sdk.integration.config import PacsConfig
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.services import StorageScu, StoreOutcome, ValidationPolicy
from pacs_sdk.testing import RecordingLogger
from tests.services.iod_validation.iod_objects import make


class Counts:
    """A metric sink that counts validations by outcome."""

    def __init__(self) -> None:
        self.outcomes: Counter[str] = Counter()

    def increment(self, name: str, value: float = 1.0, **labels: str) -> None:
        if name == "pacs_iod_validations_total":
            self.outcomes[labels["outcome"]] += int(value)

    def gauge(self, name: str, value: float, **labels: str) -> None: ...

    def observe(self, name: str, value: float, **labels: str) -> None: ...


class Site:
    """A PACS with a policy, and what it told."""

    def __init__(self, folder: Path, policy: str) -> None:
        config = raised(
            PacsConfig.from_dict(
                {
                    "server": {"port": 0},
                    "storage": {"data_dir": str(folder)},
                    "reception": {"iod_validation": policy},
                }
            )
        )
        self.logger = RecordingLogger()
        self.counts = Counts()
        self.published: list[NonconformingInstance] = []
        self.pacs = Pacs.configured(config, logger=self.logger)
        self.pacs.container.core.metrics.override(providers.Object(self.counts))
        self.pacs.container.core.bus().subscribe(NonconformingInstance, self.published.append)

    def send(self, *objects: Dataset | Instance) -> tuple[list[StoreOutcome], int]:
        """Send objects over one association; also give how many are stored then."""
        with self.pacs:
            report = raised(StorageScu(ae_title="ROOM_1").store(self.pacs.peer, list(objects)))
            return list(report.outcomes), raised(self.pacs.archive.statistics()).instances


def right_and_broken() -> tuple[Dataset, Dataset]:
    """Make an object that conforms, and one without Modality whose rows don't fit its pixels."""
    right, broken = make("MR"), make("CT")
    broken.SOPInstanceUID += "9"
    broken.Rows = 9
    del broken.KVP
    return right, broken


POLICIES = [
    # policy, status of the broken one, whether it is stored
    ("off", 0x0000, True),
    ("report", 0x0000, True),
    ("warn", 0xB007, True),
    ("refuse", 0xA900, False),
]


@pytest.mark.parametrize(("policy", "status", "stored"), POLICIES)
def test_the_policy_decides(policy: str, status: int, *, stored: bool, tmp_path: Path) -> None:
    """What conforms is stored; of what doesn't, the policy says what becomes of it."""
    site = Site(tmp_path, policy)
    right, broken = right_and_broken()
    (first, second), instances = site.send(right, broken)
    assert first.status == 0
    assert second.status == status
    assert instances == 1 + stored
    if policy == "off":
        assert not site.counts.outcomes
        assert site.published == []
        return
    assert site.counts.outcomes == {"conforms": 1, "errors": 1}
    (event,) = site.published
    assert event.sop_instance_uid == broken.SOPInstanceUID
    assert (event.calling_ae_title, event.is_refused) == ("ROOM_1", not stored)
    assert any("KVP (0018,0060) is absent" in one for one in event.errors)
    (entry,) = site.logger.named("instance-nonconforming")
    assert entry.fields["errors"] == len(event.errors) == 2


def test_the_sender_is_told_what_is_wrong(tmp_path: Path) -> None:
    """A refusal names the first error, how many more there are, and the elements."""
    (outcome,), _ = Site(tmp_path, "refuse").send(right_and_broken()[1])
    assert outcome.comment == "IOD: KVP absent and 1 more"
    assert outcome.offending_elements == (0x00180060, 0x7FE00010)


def test_sop_classes_without_table_are_stored(tmp_path: Path) -> None:
    """Nothing can be said against an object of a SOP class that there is no table for."""
    dataset = make("MR")
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.601.1"  # Eddy Current Image, of DICONDE
    site = Site(tmp_path, "refuse")
    (outcome,), instances = site.send(dataset)
    assert (outcome.status, instances) == (0, 1)
    assert site.counts.outcomes == {"not checked": 1}


def test_what_cannot_be_decoded_is_refused(tmp_path: Path) -> None:
    """A data set that is cut short cannot be understood: C000H."""
    whole = b"\x08\x00\x60\x00CS\x08\x00MR"  # announces eight bytes and has two
    instance = Instance(
        "1.2.840.10008.5.1.4.1.1.4", "1.2.3", EXPLICIT_VR_LITTLE_ENDIAN.uid, MemoryBytes(whole)
    )
    site = Site(tmp_path, "refuse")
    (outcome,), instances = site.send(instance)
    assert (outcome.status, instances) == (0xC000, 0)
    assert site.counts.outcomes == {"unreadable": 1}
    assert site.logger.named("instance-not-validated")


def test_without_the_tables_the_server_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy that cannot be kept is told at the start, and not when an image arrives."""
    from pacs_sdk.services.iod_validation import validate

    validate.installed_rules.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    match Site(tmp_path, "report").pacs.start():
        case Failure(error):
            assert error.code is ErrorCode.MISSING_DEPENDENCY
            assert "pacs-sdk[validation]" in error.message
        case Success(_):
            pytest.fail("it started")


def test_a_policy_that_does_not_exist() -> None:
    """An unknown policy is an error of the configuration that names the setting."""
    failure = PacsConfig.from_dict({"reception": {"iod_validation": "perhaps"}})
    assert isinstance(failure, Failure)
    assert "reception.iod_validation" in failure.failure().message
    assert [str(one) for one in ValidationPolicy] == ["off", "report", "warn", "refuse"]
