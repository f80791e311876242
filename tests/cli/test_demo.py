from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import imagecodecs
import pytest

from pacs_sdk.cli import demo_steps
from pacs_sdk.core import ErrorCode, Failure, PacsError, PacsResult, Success
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import Instance
from pacs_sdk.integration import phantom as phantom_module
from pacs_sdk.integration.phantom import Phantom, PhantomSpec
from pacs_sdk.network import Peer
from pacs_sdk.services import InFolder, QueryScu, StorageScu, StoreReport
from tests.cli.helpers import failed, pacs, run_program, succeeded

SMALL = PhantomSpec(slices=5, rows=32, columns=40, shuffle_seed=2)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the demo's phantom a small one."""
    monkeypatch.setattr(demo_steps, "_PHANTOM", SMALL)


@pytest.mark.slow
def test_the_main_job(tmp_path: Path) -> None:
    """`pacs demo` as a program: exit code 0, a table of the steps, and the picture."""
    done = run_program("demo", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for words in (
        "send CT", "send phantom", "query studies", "query series", "query images", "fetch CT",
        "fetch phantom", "byte-identical", "512 × 512 × 60", "HU, geometry", "every check held",
    ):  # fmt: skip
        assert words in done.stdout
    picture = tmp_path / "pacs-demo.png"
    assert f"picture: {picture}" in done.stdout
    assert imagecodecs.png_decode(picture.read_bytes()).std() > 10
    assert [path.name for path in tmp_path.iterdir()] == ["pacs-demo.png"]


def test_the_picture_can_go_elsewhere(small: None, tmp_path: Path) -> None:
    """``--png`` names the file; the last line of stdout says where it is."""
    text = succeeded(pacs("demo", "--png", tmp_path / "x.png"))
    assert text.splitlines()[-1] == f"picture: {tmp_path / 'x.png'}"
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_that_cannot_be_written(small: None, tmp_path: Path) -> None:
    """A folder that does not exist is named; exit code 1."""
    line = failed(pacs("demo", "--png", tmp_path / "none/x.png"))
    assert "none/x.png: No such file or directory" in line


# -- each check can fail -----------------------------------------------------------------------


def _lose_an_instance(patch: pytest.MonkeyPatch) -> None:
    store = StorageScu.store

    def losing(
        self: StorageScu, peer: Peer, instances: Sequence[Instance], *rest: Any
    ) -> PacsResult[StoreReport]:
        sent = raised(store(self, peer, instances[1:], *rest))
        return Success(attrs.evolve(sent, outcomes=(sent.outcomes[0], *sent.outcomes)))

    patch.setattr(StorageScu, "store", losing)


def _refuse_an_instance(patch: pytest.MonkeyPatch) -> None:
    store = StorageScu.store

    def refusing(self: StorageScu, *rest: Any) -> PacsResult[StoreReport]:
        sent = raised(store(self, *rest))
        first = attrs.evolve(sent.outcomes[0], status=0xA700, comment="no room")
        return Success(attrs.evolve(sent, outcomes=(first, *sent.outcomes[1:])))

    patch.setattr(StorageScu, "store", refusing)


def _lose_a_match(level: str) -> Any:
    def lose(patch: pytest.MonkeyPatch) -> None:
        find = QueryScu.find

        def losing(self: QueryScu, peer: Peer, identifier: Any, *rest: Any) -> Any:
            found = raised(find(self, peer, identifier, *rest))
            return Success(found[1:] if identifier["QueryRetrieveLevel"] == level else found)

        patch.setattr(QueryScu, "find", losing)

    return lose


def _lose_a_file(patch: pytest.MonkeyPatch) -> None:
    keep = InFolder.keep
    lost: list[str] = []

    def losing(self: InFolder, instance: Instance) -> PacsResult[Path]:
        if not lost:
            lost.append(instance.sop_instance_uid)
            return Failure(PacsError(ErrorCode.FILE_WRITE_FAILED, "the disk is full"))
        return keep(self, instance)

    patch.setattr(InFolder, "keep", losing)


def _change_a_byte(patch: pytest.MonkeyPatch) -> None:
    keep = InFolder.keep

    def changing(self: InFolder, instance: Instance) -> PacsResult[Path]:
        path = raised(keep(self, instance))
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
        return Success(path)

    patch.setattr(InFolder, "keep", changing)


def _with_truth(change: Any) -> Any:
    def alter(patch: pytest.MonkeyPatch) -> None:
        make = phantom_module.make_phantom

        def wrong(spec: PhantomSpec) -> PacsResult[Phantom]:
            phantom = raised(make(spec))
            return Success(attrs.evolve(phantom, truth=change(phantom.truth)))

        patch.setattr(demo_steps, "make_phantom", wrong)

    return alter


def _moved(truth: Any) -> Any:
    x, y, z = truth.geometry.origin
    return attrs.evolve(truth, geometry=attrs.evolve(truth.geometry, origin=(x, y, z + 1e-3)))


def _stretched(truth: Any) -> Any:
    x, y, z = truth.geometry.spacing
    return attrs.evolve(truth, geometry=attrs.evolve(truth.geometry, spacing=(x, y, z + 1e-3)))


def _reversed(truth: Any) -> Any:
    return attrs.evolve(truth, sop_instance_uids=truth.sop_instance_uids[::-1])


def _other_landmark(truth: Any) -> Any:
    first, *rest = truth.landmarks
    return attrs.evolve(
        truth, landmarks=(attrs.evolve(first, hounsfield=first.hounsfield + 1), *rest)
    )


def _one_unit_off(patch: pytest.MonkeyPatch) -> None:
    truth = phantom_module.PhantomTruth.hounsfield

    def shifted(self: phantom_module.PhantomTruth) -> Any:
        volume = truth(self)
        volume[-1, -1, -1] += 1
        return volume

    patch.setattr(phantom_module.PhantomTruth, "hounsfield", shifted)


@pytest.mark.parametrize(
    ("spoil", "check"),
    [
        (_refuse_an_instance, "CT: every instance is stored' failed: 1 of 5"),
        (_lose_an_instance, "CT: the study's counts"),
        (_lose_a_match("STUDY"), "the studies are found"),
        (_lose_a_match("SERIES"), "CT: the series and its count"),
        (_lose_a_match("IMAGE"), "CT: the images are found"),
        (_lose_a_file, "CT: every instance is fetched"),
        (_change_a_byte, "CT: the data set is byte-identical"),
        (_with_truth(_reversed), "the slices are in order"),
        (_one_unit_off, "Hounsfield values' failed: 1 voxels"),
        (_with_truth(_moved), "geometry: origin"),
        (_with_truth(_stretched), "geometry: spacing"),
        (_with_truth(_other_landmark), "landmark"),
    ],
    ids=["refused", "lost", "study", "series", "image", "file", "byte", "order", "HU", "origin",
         "spacing", "landmark"],
)  # fmt: skip
@pytest.mark.slow
def test_a_check_that_fails_is_named(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Any, check: str
) -> None:
    """Whatever is spoilt, the demo ends with exit code 1 and the name of the check."""
    spoil(monkeypatch)
    line = failed(pacs("demo", "--png", tmp_path / "x.png"))
    assert "the check '" in line
    assert check in line
    assert not (tmp_path / "x.png").exists()


def test_pydicom_without_its_test_files(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some distributions leave pydicom's test files out; that is said."""
    monkeypatch.setattr(demo_steps, "_SAMPLE_FOLDER", "no-such-folder")
    line = failed(pacs("demo", "--png", tmp_path / "x.png"))
    assert "pydicom's test files are not installed" in line


def test_the_sample_is_one_series() -> None:
    """What the demo sends first is five slices of one CT series."""
    series, _ = demo_steps.sample_series()
    headers = [instance.header().unwrap() for instance in series.instances]
    assert len(headers) == 5
    assert {header.text("SeriesInstanceUID") for header in headers} == {series.series_uid}
    assert {header.text("Modality") for header in headers} == {"CT"}


def test_a_terminal_sees_progress(
    small: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal bars count what is sent and fetched."""
    monkeypatch.setattr("pacs_sdk.cli.output.is_terminal", lambda stream: True)
    assert "every check held" in succeeded(pacs("demo", "--png", tmp_path / "x.png"))
