"""``pacs serve``: run an archive behind a DICOM server until told to stop."""

from __future__ import annotations

import enum
import gc
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from pacs_sdk.cli.logs import Verbosity, stderr_logger
from pacs_sdk.cli.options import ServerAe

if TYPE_CHECKING:
    from pacs_sdk.integration.config import PacsConfig
    from pacs_sdk.network.workers import WorkerContext

__all__ = ["serve"]

_STOP_S: Final = 0.5
"""How long a stop waits for operations under way. Idle associations end at once; whoever sent
an instance that was not acknowledged sends it again. The whole stop takes under a second."""

_STOP_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name)
)
"""SIGHUP is what a terminal says that is closed, unless ``nohup`` has it ignored."""


class Durability(enum.StrEnum):
    """When an instance is acknowledged, without loading the archive for ``pacs --help``."""

    DURABLE = "durable"
    RELAXED = "relaxed"


def serve(  # noqa: PLR0913, PLR0917  # each is an argument of the command line
    data: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The archive's folder.", show_default="pacs-data"),
    ] = None,
    ae_title: ServerAe = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="P",
            help="The port to listen on; 0 picks a free one.",
            show_default="11112",
            min=0,
            max=65535,
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="The address to listen on; 0.0.0.0 for all.",
            show_default="127.0.0.1",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.toml",
            help="Settings: tables named server, storage, services, reception, query, retrieve "
            "and destinations.",
        ),
    ] = None,
    durability: Annotated[
        Durability | None,
        typer.Option(
            help="Whether an instance is on the disk before it is acknowledged.",
            case_sensitive=False,
            show_default="durable",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            metavar="N", help="Processes that share the port and the archive.", min=1, max=64
        ),
    ] = 1,
    log_level: Annotated[
        Verbosity, typer.Option(help="What is logged to stderr.", case_sensitive=False)
    ] = Verbosity.INFO,
) -> None:
    """Receive, keep, find and give back instances, until SIGTERM, Ctrl-C or SIGHUP.

    Settings come from the file, then from environment variables (PACS_SERVER__PORT and
    the like), then from these options; later ones win. When the server is ready, one
    line on stdout says where: READY dicom=HOST:PORT http=-
    """
    from pacs_sdk.core.results import raised
    from pacs_sdk.integration.config import PacsConfig
    from pacs_sdk.integration.pacs import Pacs

    chosen = _overrides(
        {"ae_title": ae_title, "port": port, "host": host},
        {"data_dir": data, "durability": durability and durability.value},
    )
    settings: PacsConfig = raised(PacsConfig.layered(toml=config, overrides=chosen))
    if workers > 1:
        _serve_by_workers(settings, workers, log_level)
        return
    pacs = Pacs.configured(settings, logger=stderr_logger(log_level))
    with _stop_signals() as wait_for_stop:
        raised(pacs.start())
        _leave_out_of_collection()
        try:
            # The one line on stdout that programs wait for.
            typer.echo(f"READY dicom={pacs.server.host}:{pacs.port} http=-")
            wait_for_stop()
        finally:
            pacs.stop(_STOP_S)


def _serve_by_workers(settings: PacsConfig, count: int, log_level: Verbosity) -> None:
    from pacs_sdk.core.errors import ErrorCode, PacsException
    from pacs_sdk.core.results import raised
    from pacs_sdk.network.workers import WorkerGroup, WorkerGroupConfig
    from pacs_sdk.storage import DuplicatePolicy

    if settings.storage.duplicates is DuplicatePolicy.REPLACE:
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            "storage.duplicates = replace goes with one process only: two that replace an "
            "instance at the same time could leave one's object with the other's row",
            setting="storage.duplicates",
        )
    server = settings.server
    group = WorkerGroup(
        partial(_serve_worker, settings, log_level),
        WorkerGroupConfig(count=count, host=server.host, port=server.port),
        logger=stderr_logger(log_level),
    )
    with _stop_signals() as wait_for_stop:
        raised(group.start())
        try:
            typer.echo(f"READY dicom={group.host}:{group.port} http=-")
            wait_for_stop()
        finally:
            group.stop(_STOP_S)


def _serve_worker(settings: PacsConfig, log_level: Verbosity, worker: WorkerContext) -> None:
    """Be one of the processes."""
    import attrs

    from pacs_sdk.core.results import raised
    from pacs_sdk.integration.pacs import Pacs

    server = attrs.evolve(settings.server, port=worker.port, reuse_port=True)
    logger = stderr_logger(log_level).bind(worker=worker.number)
    pacs = Pacs.configured(attrs.evolve(settings, server=server), logger=logger)
    raised(pacs.start())
    _leave_out_of_collection()
    worker.ready()
    pacs.stop(worker.wait_for_stop())


def _leave_out_of_collection() -> None:
    """Spare the garbage collector what was loaded and stays, again and again while images come."""
    gc.collect()
    gc.freeze()


def _overrides(server: dict[str, Any], storage: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Keep what was given on the command line."""
    return {
        part: {name: value for name, value in values.items() if value is not None}
        for part, values in (("server", server), ("storage", storage))
    }


@contextmanager
def _stop_signals() -> Iterator[Callable[[], None]]:
    """Give a function that waits for a signal to stop; a second one ends the program.

    The signal writes into a pipe at once, whatever Python does just then. An event set by
    the handler would not do: the handler could meet the lock that the wait holds, and runs
    only after a wait that the signal came an instant too early for.
    """
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    found = {number: signal.getsignal(number) for number in _STOP_SIGNALS}
    handlers = {
        number: handler
        for number, handler in found.items()
        if number in (signal.SIGTERM, signal.SIGINT) or handler is not signal.SIG_IGN
    }

    def on_signal(number: int, frame: FrameType | None) -> None:
        restore()

    def restore() -> None:
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def wait() -> None:
        while os.read(read_end, 1)[0] not in handlers:
            pass  # another signal that somebody handles

    wakeup = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    for number in handlers:
        signal.signal(number, on_signal)
    try:
        yield wait
    finally:
        restore()
        signal.set_wakeup_fd(wakeup)
        os.close(read_end)
        os.close(write_end)
