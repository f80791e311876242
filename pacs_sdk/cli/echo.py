"""``pacs echo``: is the peer there, and does it speak DICOM?"""

from __future__ import annotations

import typer

from pacs_sdk.cli.options import CalledAe, CallingAe, Host, Port, Timeout, peer, timeouts
from pacs_sdk.cli.output import seconds
from pacs_sdk.cli.tls_options import TlsOptions, with_tls_options

__all__ = ["echo"]


@with_tls_options
def echo(
    host: Host,
    port: Port,
    aec: CalledAe = "ANY-SCP",
    aet: CallingAe = "PACS_SCU",
    timeout: Timeout = 30.0,
    *,
    tls: TlsOptions,
) -> None:
    """Ask a peer to confirm that it is there (C-ECHO)."""
    from pacs_sdk.core.results import raised
    from pacs_sdk.services import VerificationScu

    scu = VerificationScu(ae_title=aet, timeouts=timeouts(timeout))
    report = raised(scu.echo(peer(host, port, aec, tls)))
    typer.echo(
        f"{aec} at {host} port {port} answered: association {seconds(report.association_s)}, "
        f"C-ECHO {seconds(report.echo_s)}"
    )
