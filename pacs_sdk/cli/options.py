"""Arguments and options that several commands share."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from pacs_sdk.cli.tls_options import TlsOptions

if TYPE_CHECKING:
    from pacs_sdk.network import ClientTimeouts, Peer

__all__ = [
    "CalledAe",
    "CallingAe",
    "Host",
    "Keys",
    "Level",
    "Port",
    "ServerAe",
    "Timeout",
    "peer",
    "timeouts",
    "valid_ae_title",
]

_MAX_AE_TITLE_LENGTH: Final = 16
_MAX_PORT: Final = 65535


class Level(enum.StrEnum):
    """The Query/Retrieve levels, without loading the archive for ``pacs --help``."""

    PATIENT = "PATIENT"
    STUDY = "STUDY"
    SERIES = "SERIES"
    IMAGE = "IMAGE"


def valid_ae_title(title: str) -> str:
    """Check an AE title (PS3.5 6.2, VR AE).

    Raises:
        typer.BadParameter: It is empty, too long, or has a character that may not be.
    """
    fits = 0 < len(title.strip(" ")) <= _MAX_AE_TITLE_LENGTH
    if not (fits and title.isascii() and title.isprintable() and "\\" not in title):
        raise typer.BadParameter(
            f"{title!r} is no AE title: 1 to 16 ASCII characters without backslash"
        )
    return title.strip(" ")


def _valid_or_none(title: str | None) -> str | None:
    return None if title is None else valid_ae_title(title)


Host: TypeAlias = Annotated[
    str, typer.Argument(metavar="HOST", help="The peer's host name or address.")
]
Port: TypeAlias = Annotated[
    int, typer.Argument(metavar="PORT", help="The peer's port.", min=1, max=_MAX_PORT)
]
CalledAe: TypeAlias = Annotated[
    str,
    typer.Option("--aec", metavar="AE", help="The peer's AE title.", callback=valid_ae_title),
]
CallingAe: TypeAlias = Annotated[
    str, typer.Option("--aet", metavar="AE", help="Our own AE title.", callback=valid_ae_title)
]
ServerAe: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--ae-title",
        metavar="AE",
        help="The server's AE title.",
        callback=_valid_or_none,
        show_default="PACS_SCP",
    ),
]
Timeout: TypeAlias = Annotated[
    float,
    typer.Option(metavar="SECONDS", help="How long the peer may send nothing.", min=0.001),
]
Keys: TypeAlias = Annotated[
    list[str],
    typer.Option(
        "-k",
        "--key",
        metavar="KEYWORD[=VALUE]",
        help="An attribute by keyword or tag: with a value it has to match, "
        "without one it is returned. Repeatable.",
    ),
]


def peer(host: str, port: int, ae_title: str, tls: TlsOptions) -> Peer:
    """Describe the peer that a command was told of.

    Raises:
        typer.BadParameter: The options of TLS contradict each other.
    """
    from pacs_sdk.network import Peer

    return Peer(host, port, ae_title, tls.settings())


def timeouts(timeout_s: float) -> ClientTimeouts:
    """Use one limit for connecting, associating and every answer."""
    from pacs_sdk.network import ClientTimeouts

    return ClientTimeouts(connect_s=timeout_s, association_s=timeout_s, dimse_s=timeout_s)
