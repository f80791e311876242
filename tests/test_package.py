"""The package as a whole: what it exports, ships and depends on."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.resources
import pkgutil
import tomllib
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pacs_sdk

PYPROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8"))
PROJECT: dict[str, Any] = PYPROJECT["project"]

MODULES = tuple(
    found
    for found in pkgutil.walk_packages(pacs_sdk.__path__, "pacs_sdk.")
    if ".migrations" not in found.name  # Alembic runs them; nobody imports them
)
PACKAGES = ("pacs_sdk", *(found.name for found in MODULES if found.ispkg))


def test_type_information_ships() -> None:
    """``py.typed`` lies in the package, so type checkers read its annotations (PEP 561)."""
    assert importlib.resources.files(pacs_sdk).joinpath("py.typed").is_file()


@pytest.mark.parametrize("name", PACKAGES)
def test_package_exports_exactly_its_all(name: str) -> None:
    """``__all__`` of a package lists what it offers, once and no more.

    That is what its ``__init__`` imports or, where names are loaded on first use
    (PEP 562), what its table of homes has.
    """
    package = importlib.import_module(name)
    homes: dict[str, str] | None = getattr(package, "_HOMES", None)
    offered = _imported_names(package) if homes is None else homes.keys()
    exported = [one for one in package.__all__ if not one.startswith("__")]
    assert sorted(exported) == sorted(offered)


def _imported_names(package: types.ModuleType) -> set[str]:
    return {
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    } - {"annotations"}


@pytest.mark.parametrize("name", PACKAGES)
def test_exported_names_are_there(name: str) -> None:
    """Each name of a package's ``__all__`` can be had and is listed; no other one can."""
    package = importlib.import_module(name)
    for exported in package.__all__:
        assert getattr(package, exported) is not None
    assert set(package.__all__) <= set(dir(package))
    assert not hasattr(package, "NoSuchName")


@pytest.mark.parametrize("name", [found.name for found in MODULES if not found.ispkg])
def test_module_declares_what_it_offers(name: str) -> None:
    """Each module has an ``__all__`` and everything in it exists."""
    module = importlib.import_module(name)
    missing = [one for one in module.__all__ if not hasattr(module, one)]
    assert missing == []


@pytest.mark.parametrize("name", PACKAGES)
def test_package_reexports_only_public_names(name: str) -> None:
    """What a package exports is in the ``__all__`` of the module that defines it."""
    package = importlib.import_module(name)
    for exported in package.__all__:
        home = getattr(getattr(package, exported), "__module__", None)
        if isinstance(home, str) and home.startswith("pacs_sdk."):
            assert exported in importlib.import_module(home).__all__


def _entry_points() -> Iterator[tuple[str, str]]:
    for name, target in PROJECT["scripts"].items():
        yield f"console script {name}", target
    for group, members in PROJECT["entry-points"].items():
        for name, target in members.items():
            yield f"{group} {name}", target


@pytest.mark.parametrize(("name", "target"), list(_entry_points()))
def test_entry_point_resolves(name: str, target: str) -> None:
    """What ``pyproject.toml`` names as an entry point exists, and a program can be called."""
    module_name, _, attribute = target.partition(":")
    found = importlib.import_module(module_name)
    if attribute:
        found = getattr(found, attribute)
        assert callable(found), name


def _requirements() -> Iterator[Requirement]:
    yield from map(Requirement, PROJECT["dependencies"])
    for extra, listed in PROJECT["optional-dependencies"].items():
        if extra != "all":
            yield from map(Requirement, listed)


def _installed_closure() -> dict[str, importlib.metadata.Distribution]:
    """Collect every installed distribution that a user of the SDK gets with it."""
    found: dict[str, importlib.metadata.Distribution] = {}
    waiting = list(_requirements())
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found or (requirement.marker and not requirement.marker.evaluate()):
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform
        waiting += map(Requirement, found[name].requires or ())
    return found


def test_no_dependency_is_copyleft() -> None:
    """Nothing that comes with the SDK is under the GPL or AGPL, so a vendor can ship it."""
    closure = _installed_closure()
    assert {"pydicom", "numpy", "sqlalchemy", "imagecodecs"} <= closure.keys()
    forbidden = ("GNU General Public", "GNU Affero", "AGPL", "GPLv2", "GPLv3", "GPL-2", "GPL-3")
    offenders = []
    for name, distribution in closure.items():
        facts = distribution.metadata
        said = " | ".join(
            line.partition("\n")[0]  # some packages put the whole text of their licence there
            for field in ("License-Expression", "License", "Classifier")
            for line in facts.get_all(field) or ()
            if "LGPL" not in line and "Lesser" not in line
        )
        if any(word in said for word in forbidden):
            offenders.append(f"{name}: {said}")
    assert offenders == []


def test_all_is_the_sum_of_the_extras() -> None:
    """``pacs-sdk[all]`` brings every extra."""
    extras = PROJECT["optional-dependencies"]
    (everything,) = map(Requirement, extras["all"])
    assert everything.extras == extras.keys() - {"all"}
