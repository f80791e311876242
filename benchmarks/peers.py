"""The servers and clients that ours is measured against, and how they are run.

Everything listens on 127.0.0.1 where it can be told to. DCMTK's ``storescp`` and Orthanc
listen on every interface, for they have no option for it: ``unshare -n`` gives them a
network that nobody else is on.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import attrs

from benchmarks.launch import Launch
from pacs_sdk.network import Peer

__all__ = [
    "OUR_MAXIMUM_LENGTH",
    "STOCK_MAXIMUM_LENGTH",
    "dcmqrscp",
    "dcmtk",
    "dcmtk_environment",
    "has_pynetdicom",
    "least_in_c",
    "null_server",
    "on_one_processor",
    "orthanc",
    "our_server",
    "present",
    "pynetdicom_server",
    "qrscp",
    "storescp",
]

OUR_MAXIMUM_LENGTH = 131_072
"""The longest P-DATA-TF that ours asks for; the others do too unless told otherwise."""

STOCK_MAXIMUM_LENGTH = 16_384
"""What DCMTK and what is built with it ask for unless they are told; pynetdicom: 16,382."""

_NO_DELAY = {"TCP_NODELAY": "1"}
"""What makes DCMTK, and whatever is built with it, switch Nagle's algorithm off."""


def our_server(
    name: str, *options: str, destinations: Sequence[Peer] = (), **settings: str
) -> Launch:
    """Run ``pacs serve`` as anybody would.

    Args:
        name: What tables call it.
        options: More options.
        destinations: Whom it may move to.
        settings: Settings of the table ``server``, by name.
    """

    def command(folder: Path, port: int) -> list[str]:
        configuration = folder / "pacs.toml"
        configuration.write_text(
            "".join(
                f'[[destinations]]\nae_title = "{one.ae_title}"\nhost = "{one.host}"\n'
                f"port = {one.port}\n"
                for one in destinations
            )
        )
        program = [sys.executable, "-m", "pacs_sdk.cli.main", "serve"]
        where = ["--data", str(folder / "data"), "--port", "0", "--config", str(configuration)]
        return [*program, *where, *options]

    environment = {f"PACS_SERVER__{key.upper()}": value for key, value in settings.items()}
    return Launch(name, command, says_when_ready=True, environment=environment)


def on_one_processor(name: str, launch: Launch) -> Launch | None:
    """Run a server whose threads share one processor; ``None`` where ``taskset`` is missing."""
    program = shutil.which("taskset")
    if program is None:
        return None

    def command(folder: Path, port: int) -> list[str]:
        return [program, "--cpu-list", "0", *launch.command(folder, port)]

    return attrs.evolve(launch, name=name, command=command)


def storescp(
    name: str = "DCMTK storescp", *options: str, maximum_length: int = OUR_MAXIMUM_LENGTH
) -> Launch | None:
    """Run DCMTK's ``storescp``, which writes files and keeps no index; ``None`` without it.

    Args:
        name: What tables call it.
        options: More options.
        maximum_length: The longest P-DATA-TF it takes, in bytes.
    """
    program = dcmtk("storescp")
    if program is None:
        return None

    def command(folder: Path, port: int) -> list[str]:
        return [str(program), "-pdu", str(maximum_length), *options, "-od", str(folder), str(port)]

    return Launch(name, command, environment=_NO_DELAY)


def dcmqrscp(name: str = "DCMTK dcmqrscp", destinations: Sequence[Peer] = ()) -> Launch | None:
    """Run DCMTK's ``dcmqrscp``, which keeps an index in a file; ``None`` without it.

    It answers to the AE titles ``DCMQRSCP`` and ``ANY``, and to no other.

    Args:
        name: What tables call it.
        destinations: Whom it may move to.
    """
    program = dcmtk("dcmqrscp")
    if program is None:
        return None

    def command(folder: Path, port: int) -> list[str]:
        area = folder / "DCMQRSCP"
        area.mkdir()
        configuration = folder / "dcmqrscp.cfg"
        hosts = "".join(
            f"host{number} = ({one.ae_title}, {one.host}, {one.port})\n"
            for number, one in enumerate(destinations)
        )
        configuration.write_text(
            f"NetworkTCPPort = {port}\nMaxPDUSize = {OUR_MAXIMUM_LENGTH}\nMaxAssociations = 16\n"
            f"HostTable BEGIN\n{hosts}HostTable END\nVendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\nDCMQRSCP {area} RW (2000, 1024mb) ANY\n"
            f"ANY {area} RW (2000, 1024mb) ANY\nAETable END\n"
        )
        return [str(program), "--config", str(configuration), str(port)]

    return Launch(name, command, environment=_NO_DELAY)


def pynetdicom_server(
    name: str, *options: str, maximum_length: int = OUR_MAXIMUM_LENGTH
) -> Launch | None:
    """Run pynetdicom's server, which writes files; ``None`` where it isn't installed.

    Args:
        name: What tables call it.
        options: Options of :mod:`benchmarks.pynetdicom_server`.
        maximum_length: The longest P-DATA-TF it takes, in bytes.
    """
    length = ("--maximum-length", str(maximum_length))
    if not has_pynetdicom():
        return None

    def command(folder: Path, port: int) -> list[str]:
        return [
            sys.executable,
            "-m",
            "benchmarks.pynetdicom_server",
            str(folder),
            *length,
            *options,
        ]

    return Launch(name, command, says_when_ready=True)


def qrscp(name: str = "pynetdicom qrscp", destinations: Sequence[Peer] = ()) -> Launch | None:
    """Run pynetdicom's own query/retrieve application; ``None`` where it isn't installed.

    Args:
        name: What tables call it.
        destinations: Whom it may move to.
    """
    if not has_pynetdicom():
        return None

    def command(folder: Path, port: int) -> list[str]:
        instances = folder / "instances"
        instances.mkdir()
        tables = "".join(
            f"[{one.ae_title}]\naddress: {one.host}\nport: {one.port}\n" for one in destinations
        )
        configuration = folder / "qrscp.ini"
        configuration.write_text(
            f"[DEFAULT]\nae_title: QRSCP\nport: {port}\nmax_pdu: {OUR_MAXIMUM_LENGTH}\n"
            "acse_timeout: 30\ndimse_timeout: 30\nnetwork_timeout: 30\n"
            f"bind_address: 127.0.0.1\ninstance_location: {instances}\n"
            f"database_location: {folder / 'instances.sqlite'}\nlog_identifier: False\n{tables}"
        )
        program = [sys.executable, "-m", "pynetdicom", "qrscp"]
        return [*program, "--config", str(configuration), "--quiet"]

    return Launch(name, command)


def orthanc(
    name: str,
    *,
    sync: bool = True,
    maximum_length: int = OUR_MAXIMUM_LENGTH,
    modalities: Sequence[Peer] = (),
    http_port: int | None = None,
) -> Launch | None:
    """Run Orthanc with its SQLite index; ``None`` where it isn't installed.

    Args:
        name: What tables call it.
        sync: Whether it syncs each file, which is its default (``SyncStorageArea``).
        maximum_length: The longest P-DATA-TF it takes, in bytes.
        modalities: Whom it knows: those it may query, and those it may move to.
        http_port: Where its REST interface listens; without one it has none.
    """
    program = _orthanc_program()
    if program is None:
        return None

    def command(folder: Path, port: int) -> list[str]:
        settings = {
            "DicomPort": port,
            "MaximumPduLength": maximum_length,
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "StorageCompression": False,
            "SyncStorageArea": sync,
            "RemoteAccessAllowed": False,
            "HttpServerEnabled": http_port is not None,
            "HttpPort": http_port or 8042,
            "AuthenticationEnabled": False,
            "ExecuteLuaEnabled": False,
            "DicomAssociationCloseDelay": 0,
            "DicomCheckCalledAet": False,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "DicomModalities": {
                one.ae_title: [one.ae_title, one.host, one.port] for one in modalities
            },
            "Plugins": [],
        }
        path = folder / "orthanc.json"
        path.write_text(json.dumps(settings))
        return [str(program), str(path)]

    return Launch(name, command, environment=_NO_DELAY)


def null_server(
    name: str,
    maximum_length: int = OUR_MAXIMUM_LENGTH,
    *,
    keeps: bool = False,
    indexes: bool = False,
) -> Launch:
    """Run a server that takes images, answers, and keeps nothing: the client's own limit.

    Args:
        name: What tables call it.
        maximum_length: The longest P-DATA-TF it takes, in bytes.
        keeps: Whether it writes files all the same: the least that a server in Python does.
        indexes: Whether it keeps an index of these, too, as a plain archive does.
    """

    def command(folder: Path, port: int) -> list[str]:
        length = ("--maximum-length", str(maximum_length))
        kept = ("--keep", str(folder)) if keeps else ()
        indexed = ("--index",) if indexes else ()
        return [sys.executable, "-m", "benchmarks.null_server", *length, *kept, *indexed]

    return Launch(name, command, says_when_ready=True)


def least_in_c(name: str, maximum_length: int = OUR_MAXIMUM_LENGTH) -> Launch | None:
    """Run ``least_server.c``, the least that a server in C does; ``None`` where it cannot be compiled.

    Args:
        name: What tables call it.
        maximum_length: The longest P-DATA-TF it takes, in bytes.
    """
    program = _compiled("least_server.c")
    if program is None:
        return None

    def command(folder: Path, port: int) -> list[str]:
        return [str(program), str(folder), str(maximum_length)]

    return Launch(name, command, says_when_ready=True)


def present(*launches: Launch | None) -> tuple[Launch, ...]:
    """Keep the servers that are installed; those that aren't have been named already."""
    return tuple(launch for launch in launches if launch is not None)


@functools.cache
def dcmtk(name: str) -> Path | None:
    """Return the path of a DCMTK program, or say that it is left out.

    pynetdicom may have scripts of the same names, so each one found is asked who it is.
    """
    for folder in os.get_exec_path():
        found = shutil.which(name, path=folder)
        if found is not None:
            answer = subprocess.run(
                [found, "--version"], capture_output=True, text=True, check=False
            )
            if "dcmtk" in answer.stdout:
                return Path(found)
    _left_out(f"DCMTK's {name}")
    return None


def dcmtk_environment(*, nagle: bool = False) -> dict[str, str]:
    """Return the environment of a DCMTK client.

    Args:
        nagle: Whether it leaves Nagle's algorithm on, as it does unless it is told.
    """
    ours = {name: value for name, value in os.environ.items() if name not in _NO_DELAY}
    return ours if nagle else {**ours, **_NO_DELAY}


@functools.cache
def _orthanc_program() -> Path | None:
    places = (*os.get_exec_path(), "/usr/sbin")
    found = shutil.which("Orthanc", path=os.pathsep.join(places))
    if found is None:
        _left_out("Orthanc")
        return None
    return Path(found)


@functools.cache
def _compiled(source: str) -> Path | None:
    compiler = shutil.which("cc")
    if compiler is None:
        _left_out("a C compiler")
        return None
    program = Path(_programs().name) / Path(source).stem
    path = Path(__file__).with_name(source)
    if subprocess.run([compiler, "-O2", "-o", str(program), str(path)], check=False).returncode:
        print(f"{source}, which is written for Linux, could not be compiled and is left out")
        return None
    return program


@functools.cache
def _programs() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="pacs-bench-programs-")


@functools.cache
def has_pynetdicom() -> bool:
    """Tell whether pynetdicom is installed, or say that it is left out."""
    if importlib.util.find_spec("pynetdicom") is None:
        _left_out("pynetdicom")
        return False
    return True


def _left_out(what: str) -> None:
    print(f"{what} is not installed and is left out")
