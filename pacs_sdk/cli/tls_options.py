"""The options of TLS, which every command that calls a peer has."""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

import attrs
import typer

if TYPE_CHECKING:
    from pacs_sdk.network import ClientTls, ServerTls

__all__ = ["KEY_PASSWORD_VARIABLE", "TlsOptions", "TlsProfileName", "with_tls_options"]

KEY_PASSWORD_VARIABLE: Final = "PACS_TLS_KEY_PASSWORD"  # noqa: S105  # a name, not a password
"""Holds what the private key is encrypted with: the command line is visible to everybody."""

_PANEL: Final = "TLS"


class TlsProfileName(enum.StrEnum):
    """The values of ``TlsProfile``, without loading the network for ``pacs --help``."""

    BCP_195 = "bcp-195"
    NON_DOWNGRADING = "non-downgrading"
    EXTENDED = "extended"
    TLS_1_3_ONLY = "tls-1.3-only"


@attrs.frozen
class TlsOptions:
    """What the command line says of TLS; in clear by default.

    Each field is an option, with the words of its help as the annotation has them.
    """

    tls: Annotated[
        bool, typer.Option("--tls", help="Speak TLS with the peer.", rich_help_panel=_PANEL)
    ] = False
    """Whether to speak TLS at all."""
    ca_file: Annotated[
        Path | None,
        typer.Option(
            "--ca-file",
            metavar="FILE",
            help="The CAs, or the certificate itself, that the peer is trusted by (PEM); "
            "those of the operating system by default.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None
    """Whom to trust."""
    cert_file: Annotated[
        Path | None,
        typer.Option(
            "--cert-file",
            metavar="FILE",
            help="Our own certificate (PEM), where the peer demands one.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None
    """Who we are."""
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            metavar="FILE",
            help=f"The private key of --cert-file (PEM); {KEY_PASSWORD_VARIABLE} opens an encrypted "
            "one.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None
    """The certificate's private key."""
    tls_profile: Annotated[
        TlsProfileName | None,
        typer.Option(
            "--tls-profile",
            help="The versions and cipher suites (PS3.15 Annex B); bcp-195 by default.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None
    """The versions and cipher suites."""
    tls_host: Annotated[
        str | None,
        typer.Option(
            "--tls-host",
            metavar="NAME",
            help="The name that the peer's certificate must have, if it is not HOST.",
            show_default=False,
            rich_help_panel=_PANEL,
        ),
    ] = None
    """The name in the peer's certificate."""
    no_host_check: Annotated[
        bool,
        typer.Option(
            "--no-host-check",
            help="Accept a trusted certificate whatever host it names: anybody who has one "
            "can pass as the peer.",
            rich_help_panel=_PANEL,
        ),
    ] = False
    """Whether the name is not looked at."""

    def settings(self) -> ClientTls | None:
        """Make the settings of a client; ``None`` in clear.

        Raises:
            typer.BadParameter: The options contradict each other.
        """
        if not self.tls:
            self._check_nothing_is_given()
            return None
        if (self.cert_file is None) != (self.key_file is None):
            names = ("--cert-file", "--key-file")
            given, missing = names if self.key_file is None else reversed(names)
            raise typer.BadParameter(
                f"a certificate and its private key belong together: give {missing}, too",
                param_hint=given,
            )
        if self.no_host_check and self.tls_host is not None:
            raise typer.BadParameter(
                "it has no effect with --no-host-check; leave one of the two out",
                param_hint="--tls-host",
            )
        return self._client_tls()

    def listening(self, option: str, *, mutual: bool) -> ServerTls:
        """Make the settings of what listens meanwhile, as who we are to the peer.

        Args:
            option: What asks for it, for errors.
            mutual: Whether who calls must have a certificate that ``--ca-file`` trusts.

        Raises:
            typer.BadParameter: Something that is needed for it is missing.
        """
        import os

        from pacs_sdk.network import ServerTls, TlsProfile

        if not self.tls or self.cert_file is None or self.key_file is None:
            raise typer.BadParameter(
                "it goes with --tls, --cert-file and --key-file: who calls must know who we are",
                param_hint=option,
            )
        if mutual and self.ca_file is None:
            raise typer.BadParameter(
                "mutual goes with --ca-file: something must say whose certificates are good",
                param_hint=option,
            )
        return ServerTls(
            self.cert_file,
            self.key_file,
            os.environ.get(KEY_PASSWORD_VARIABLE),
            self.ca_file if mutual else None,
            TlsProfile(self.tls_profile or TlsProfileName.BCP_195),
        )

    def _check_nothing_is_given(self) -> None:
        values = attrs.asdict(self)
        given = [_name(field) for field in attrs.fields(TlsOptions) if values[field.name]]
        if given:
            raise typer.BadParameter(
                "it has an effect only with --tls, and without that the connection is in clear",
                param_hint=", ".join(given),
            )

    def _client_tls(self) -> ClientTls:
        import os

        from pacs_sdk.core.errors import PacsException
        from pacs_sdk.network import ClientTls, TlsProfile

        try:
            return ClientTls(
                ca=self.ca_file,
                certificate=self.cert_file,
                private_key=self.key_file,
                password=os.environ.get(KEY_PASSWORD_VARIABLE),
                server_hostname=self.tls_host,
                check_hostname=not self.no_host_check,
                profile=TlsProfile(self.tls_profile or TlsProfileName.BCP_195),
            )
        except PacsException as exc:
            raise typer.BadParameter(exc.error.message, param_hint="--tls-host") from exc


_OPTIONS: Final = inspect.get_annotations(TlsOptions, eval_str=True)
"""Field -> its type, annotated with the option that it is."""

_Command: TypeAlias = Callable[..., None]


def with_tls_options(command: _Command) -> _Command:
    """Give a command the options of TLS in place of its parameter ``tls``.

    Args:
        command: Takes them as one keyword argument, a :class:`TlsOptions`.

    Returns:
        A command that takes them one by one, as typer needs it.
    """

    @functools.wraps(command)
    def expanded(**options: Any) -> None:
        given = {name: options.pop(name) for name in _OPTIONS}
        command(**options, tls=TlsOptions(**given))

    signature = inspect.signature(command, eval_str=True)
    own = [one for one in signature.parameters.values() if one.name != "tls"]
    added = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=_OPTIONS[field.name],
        )
        for field in attrs.fields(TlsOptions)
    ]
    expanded.__signature__ = signature.replace(parameters=own + added)  # type: ignore[attr-defined]
    return expanded


def _name(field: attrs.Attribute[Any]) -> str:
    (option,) = _OPTIONS[field.name].__metadata__
    return str(option.default)  # where typer keeps the first name of an option
