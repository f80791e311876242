from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import imagecodecs
import nibabel
import numpy as np
import pytest

from pacs_sdk.integration.itk import load_volume
from pacs_sdk.integration.phantom import PhantomSpec, make_phantom
from tests.cli.helpers import TEST_FILES, failed, pacs, refused, succeeded
from tests.integration.made_series import in_files, in_memory, made_slices

CT = TEST_FILES / "dicomdirtests/98892001/CT5N"


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run in a folder of the test, where the picture goes."""
    monkeypatch.chdir(tmp_path)


def test_one_volume(tmp_path: Path) -> None:
    """Its line, its report, and a picture."""
    lines = succeeded(pacs("volume", CT)).splitlines()
    cells = lines[0].split("\t")
    assert cells[2] == "CT"
    assert cells[4] == "16 × 16 × 5"
    assert any(line.startswith("Spacing") for line in lines)
    assert lines[-1] == "wrote preview.png"
    expected = load_volume(CT).unwrap().preview().unwrap()
    assert (tmp_path / "preview.png").read_bytes() == expected


def test_files_of_it(tmp_path: Path) -> None:
    """NIfTI and NRRD where they are asked for; no picture where it isn't wanted."""
    out = succeeded(pacs("volume", CT, "--no-preview", "--nifti", "ct.nii.gz", "--nrrd", "ct.nrrd"))
    assert out.splitlines()[-2:] == ["wrote ct.nii.gz", "wrote ct.nrrd"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ct.nii.gz", "ct.nrrd"]
    image: Any = nibabel.load(tmp_path / "ct.nii.gz")
    assert np.array_equal(np.asarray(image.dataobj), load_volume(CT).unwrap().array.T[:, ::-1])


def test_windows_and_layouts(tmp_path: Path) -> None:
    """A window by name or by numbers, and slices in rows."""
    spec = PhantomSpec(slices=8, rows=40, columns=40)
    in_files(make_phantom(spec).unwrap().instances, tmp_path / "in")
    for name, options in (
        ("usual", ()),
        ("lung", ("--window", "Lung")),
        ("numbers", ("--window", "-600,1500")),
        ("montage", ("--layout", "montage")),
    ):
        succeeded(pacs("volume", tmp_path / "in", "--preview", f"{name}.png", *options))
    pictures = {
        path.stem: imagecodecs.png_decode(path.read_bytes()) for path in tmp_path.glob("*.png")
    }
    assert np.array_equal(pictures["lung"], pictures["numbers"])
    assert not np.array_equal(pictures["lung"], pictures["usual"])
    assert pictures["montage"].shape != pictures["usual"].shape


def test_several_volumes(tmp_path: Path) -> None:
    """Without a choice only the list; one is chosen by its series."""
    folder = tmp_path / "in"
    shutil.copytree(CT, folder)
    made = made_slices(3, SeriesInstanceUID="1.2.3.44")
    in_files(in_memory(made), folder / "more")
    (folder / "notes.txt").write_text("no image")
    done = pacs("volume", folder)
    assert len(succeeded(done).splitlines()) == 2
    assert "choose one with --series" in done.stderr
    assert "skipped" in done.stderr
    assert not (tmp_path / "preview.png").exists()
    asked = pacs("volume", folder, "--nifti", "x.nii")
    assert asked.exit_code == 1
    assert asked.stderr.splitlines()[-1].startswith("pacs: there are several volumes: choose one")
    (folder / "notes.txt").unlink()
    out = succeeded(pacs("volume", folder, "--series", "1.2.3.44"))
    assert "wrote preview.png" in out
    assert "holds no volume of series 1.2.3" in failed(pacs("volume", folder, "--series", "1.2.3"))
    assert "no volume 4" in failed(pacs("volume", folder, "--series", "1.2.3.44", "--volume", "4"))


def test_a_volume_that_cannot_be(tmp_path: Path) -> None:
    """The list has the reason, and loading fails with it."""
    slices = made_slices(5)
    del slices[2]
    in_files(in_memory(slices), tmp_path / "in")
    done = pacs("volume", tmp_path / "in")
    assert "1 slice is missing" in failed(done)
    assert "1 slice is missing" in done.stdout


def test_a_file_that_is_cut_short(tmp_path: Path) -> None:
    """Nothing is loaded without it, unless that is asked for; it is named both times."""
    in_files(in_memory(made_slices(4)), tmp_path / "in")
    last = max((tmp_path / "in").iterdir())
    last.write_bytes(last.read_bytes()[:-10])
    done = pacs("volume", tmp_path / "in")
    assert done.exit_code == 1
    assert last.name in done.stderr.splitlines()[-1]
    assert not (tmp_path / "preview.png").exists()
    done = pacs("volume", tmp_path / "in", "--lenient")
    assert last.name in done.stderr
    assert "× 3" in succeeded(done).splitlines()[0]


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices may lie in it: nothing is loaded without it, unless that is asked for."""
    in_files(in_memory(made_slices(4)), tmp_path / "in")
    hidden = tmp_path / "in" / "hidden"
    hidden.mkdir()
    listed = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path) == hidden:
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert f"{hidden} cannot be listed: Permission denied" in failed(
        pacs("volume", tmp_path / "in")
    )
    done = pacs("volume", tmp_path / "in", "--lenient")
    assert str(hidden) in done.stderr
    assert "× 4" in succeeded(done).splitlines()[0]


def test_wrong_usage(tmp_path: Path) -> None:
    """A folder that is not there, an unknown window, and a file of another kind."""
    assert "no-such" in failed(pacs("volume", tmp_path / "no-such"))
    assert "holds no volume" in failed(pacs("volume", tmp_path))
    assert "soft tissue" in refused(pacs("volume", CT, "--window", "moon"))
    assert "center and a width" in refused(pacs("volume", CT, "--window", "1,2,3"))
    assert ".nii.gz" in failed(pacs("volume", CT, "--no-preview", "--nifti", "x.png"))
