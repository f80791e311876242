"""Every check and program of this repository, each in an environment of its own.

``python -m nox -s demo`` runs the main job, ``python -m nox -s tests`` the fast tests;
``python -m nox -l`` lists the rest. Arguments after ``--`` go to the tool behind the
session: ``python -m nox -s tests -- tests/core -k tag``.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["lint", "types", "layers", "tests", "interop", "docs", "build"]

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")


def install(session: nox.Session, *groups: str, sdk: bool = True) -> None:
    """Install the SDK with every extra (editable) and the tools of dependency groups."""
    tools = nox.project.dependency_groups(PYPROJECT, *groups) if groups else ()
    session.install(*(("-e", ".[all]") if sdk else ()), *tools)


def _tests_to_run(session: nox.Session) -> Sequence[str]:
    """Return what was asked for, or everything, spread over the processors."""
    return session.posargs or ("-n", "auto", "--dist", "worksteal")


@nox.session
def demo(session: nox.Session) -> None:
    """Run the main job end to end on loopback; see README."""
    install(session)
    session.run("pacs", "demo", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the fast tests; they need no foreign software and no network."""
    install(session, "test")
    session.run("python", "-m", "pytest", "-m", "not interop and not slow", *_tests_to_run(session))


@nox.session
def interop(session: nox.Session) -> None:
    """Run the tests against foreign software (DCMTK, dicom3tools, GDCM) and the slow ones.

    A missing program skips its tests and says so; with PACS_REQUIRE_PEERS=1, which CI
    sets, it fails them. Each may take ten minutes: some take two on a slow, busy machine.
    """
    install(session, "test", "peers")
    chosen = ("-m", "interop or slow", "--timeout", "600")
    session.run("python", "-m", "pytest", *chosen, *_tests_to_run(session))


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz all that takes bytes, 15 s a target; ``-- reader --seconds 600`` one, for longer.

    What is found goes to ``fuzz-found/``, with the command that shows it again. Where there
    is no wheel of atheris the session is skipped, unless PACS_REQUIRE_PEERS=1.
    """
    has_wheel = sys.platform == "linux" and platform.machine() == "x86_64"
    if not has_wheel and os.environ.get("PACS_REQUIRE_PEERS") != "1":
        session.skip("atheris has wheels for Linux on x86-64 only")
    install(session, "fuzz")
    session.run("python", "-m", "fuzz", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and changelog fragments; ``-- --fix`` repairs what can be repaired."""
    install(session, "lint", sdk=False)
    if "--fix" in session.posargs:
        session.run("ruff", "check", "--fix", ".")
        session.run("ruff", "format", ".")
    else:
        session.run("ruff", "check", ".")
        session.run("ruff", "format", "--check", ".")
    # Fails on a fragment whose name has no valid type; the draft itself goes nowhere.
    session.run("towncrier", "build", "--draft", "--version", "next", silent=True)


@nox.session
def types(session: nox.Session) -> None:
    """Check every type, strictly: the package, its tests, and what is around them."""
    install(session, "types")
    session.run("mypy", *session.posargs)


@nox.session
def layers(session: nox.Session) -> None:
    """Check that imports point down only; tests/test_layers.py shows that this can fail."""
    install(session, "layers", sdk=False)  # reads the source, imports none of it
    session.run("lint-imports", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Run every example of the documentation, then build it; warnings are errors."""
    install(session, "docs")
    session.run("python", "-m", "pytest", "README.md", "CONTRIBUTING.md", "docs")
    folder = Path(session.create_tmp()).resolve()
    for example in sorted((ROOT / "examples").glob("*.py")):
        with session.chdir(folder):
            session.run("python", "-W", "error", str(example))
    session.run(
        "sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html",
        "-d", "docs/_build/doctrees",
    )  # fmt: skip  # one option a line would hide the command


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benchmarks: ``-- header_scan`` runs one of them."""
    install(session, "bench")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build sdist and wheel, install the wheel alone, and run the demo from it."""
    install(session, "build", sdk=False)
    folder = Path(session.create_tmp()).resolve()
    dist, clean = folder / "dist", folder / "clean"
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist))
    (wheel,) = dist.glob("pacs_sdk-*.whl")
    session.run("python", "-m", "venv", "--clear", str(clean))
    programs = clean / ("Scripts" if sys.platform == "win32" else "bin")
    python = str(programs / "python")
    session.run(python, "-m", "pip", "install", "--quiet", f"{wheel}[all]", external=True)
    with session.chdir(folder):  # away from the checkout, so that only the wheel is there
        session.run(python, "-m", "pip", "check", external=True)
        session.run(str(programs / "pacs"), "demo", external=True, env={"PYTHONPATH": None})
