"""``pacs echo``: is the peer there, and does it speak DICOM?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pacs_sdk.cli.errors import CommandFailed
from pacs_sdk.cli.options import CalledAe, CallingAe, Host, Port, Timeout, peer, timeouts
from pacs_sdk.cli.output import json_text, seconds, table
from pacs_sdk.cli.tls_options import TlsOptions, with_tls_options

if TYPE_CHECKING:
    from pacs_sdk.services import PeerHealth

__all__ = ["echo"]


@with_tls_options
def echo(  # noqa: PLR0913  # each is an argument of the command line
    host: Host,
    port: Port,
    aec: CalledAe = "ANY-SCP",
    aet: CallingAe = "PACS_SCU",
    timeout: Timeout = 30.0,
    steps: Annotated[
        bool,
        typer.Option("--steps", help="Show how long each step took, and how far it came."),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print a JSON object with state, reason and times."),
    ] = False,
    *,
    tls: TlsOptions,
) -> None:
    """Ask a peer to confirm that it is there (C-ECHO).

    With --steps or --json it tells apart a host that is unknown, out of reach, refuses the
    connection or does not answer, an association that is rejected or cut off, and a peer
    that does not support Verification. The exit code is 0 if the peer confirmed.
    """
    from pacs_sdk.core.results import raised
    from pacs_sdk.services import VerificationScu

    scu = VerificationScu(ae_title=aet, timeouts=timeouts(timeout))
    called = peer(host, port, aec, tls)
    if not (steps or as_json):
        report = raised(scu.echo(called))
        typer.echo(
            f"{aec} at {host} port {port} answered: association {seconds(report.association_s)}, "
            f"C-ECHO {seconds(report.echo_s)}"
        )
        return
    health = raised(scu.check(called))
    if as_json:
        typer.echo(json_text(_as_json(health)))
    else:
        table(("step", ">time"), _rows(health), title=health.state.value)
    if not health.is_healthy:
        raise CommandFailed(f"{health.state.value}: {health.reason}")


def _times(health: PeerHealth) -> dict[str, float | None]:
    return {
        "connection": health.connect_s,
        "TLS": health.tls_s,
        "association": health.association_s,
        "C-ECHO": health.echo_s,
    }


def _rows(health: PeerHealth) -> list[tuple[str, str]]:
    return [
        (step, "not reached" if duration is None else seconds(duration))
        for step, duration in _times(health).items()
        if step != "TLS" or health.peer.tls is not None
    ]


def _as_json(health: PeerHealth) -> dict[str, Any]:
    return {
        "host": health.peer.host,
        "port": health.peer.port,
        "ae_title": health.peer.ae_title,
        "healthy": health.is_healthy,
        "state": health.state.value,
        "reason": health.reason,
        "checked_at": health.checked_at.isoformat(),
        "connect_s": health.connect_s,
        "tls_s": health.tls_s,
        "association_s": health.association_s,
        "echo_s": health.echo_s,
    }
