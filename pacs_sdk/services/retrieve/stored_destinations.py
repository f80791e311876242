"""Destinations that are kept in the index database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.network import ClientTls, TlsProfile
from pacs_sdk.services.retrieve.destinations import Destination
from pacs_sdk.storage import Archive, DestinationRecord

__all__ = ["StoredDestinations"]

_BAD_ROW: Final = {
    TypeError: ErrorCode.INVALID_CONFIGURATION,
    ValueError: ErrorCode.INVALID_CONFIGURATION,
}
"""What a row gives that another program has written wrong."""

_NOT_TEXT: Final = ("check_hostname", "profile")


class StoredDestinations:
    """The destinations of an archive's database, which change while it runs.

    It is a :data:`~pacs_sdk.services.DestinationResolver`: a C-MOVE finds what was kept a moment
    before, by whichever node of several that share the database.

    Args:
        archive: Whose database.
    """

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    @edge(_BAD_ROW)
    def __call__(self, ae_title: str) -> Destination:
        """Find the destination with an AE title.

        Returns:
            ``Success``, or ``Failure`` with ``MOVE_DESTINATION_UNKNOWN``, ``INDEX_FAILED``, or
            what a row that somebody else wrote is wrong in.
        """
        return _destination(raised(self._archive.destinations.find(ae_title.strip(" "))))

    @edge(_BAD_ROW)
    def all(self) -> tuple[Destination, ...]:
        """Return all of them, by AE title.

        Returns:
            ``Success``, or ``Failure`` as for one.
        """
        return tuple(_destination(one) for one in raised(self._archive.destinations.all()))

    @edge()
    def put(self, destination: Destination) -> Destination:
        """Keep a destination, in place of one with the same AE title.

        Returns:
            ``Success``, or ``Failure`` with ``INDEX_FAILED``, or with ``INVALID_ARGUMENT`` for
            TLS with the password of a private key, for which a database is no place, and for a
            ``window``, for which this one has none.
        """
        raised(self._archive.destinations.put(_record(destination)))
        return destination

    @edge()
    def remove(self, ae_title: str) -> bool:
        """Remove a destination.

        Returns:
            ``Success`` with whether there was one, or ``Failure`` with ``INDEX_FAILED``.
        """
        return raised(self._archive.destinations.remove(ae_title.strip(" ")))


def _record(destination: Destination) -> DestinationRecord:
    tls = destination.tls
    if destination.window != 1:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"the window of {destination.ae_title} is {destination.window}, which is not kept in "
            "the database; configure this destination in the file, or leave its window at 1",
        )
    settings: dict[str, str | bool] | None = None
    if tls is not None:
        if tls.password is not None:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"the private key for {destination.ae_title} has a password, which is not kept in "
                "the database; configure this destination in the file, or use a key without one",
            )
        settings = {
            field.name: _plain(value)
            for field in attrs.fields(ClientTls)
            if (value := getattr(tls, field.name)) is not None
        }
    return DestinationRecord(
        destination.ae_title,
        destination.host,
        destination.port,
        destination.calling_ae_title,
        destination.transfer_syntaxes,
        destination.parallel,
        settings,
    )


def _plain(value: object) -> str | bool:
    if isinstance(value, bool):
        return value
    return str(value.value if isinstance(value, TlsProfile) else value)


def _destination(record: DestinationRecord) -> Destination:
    return Destination(
        record.ae_title,
        record.host,
        record.port,
        None if record.tls is None else _tls(record.tls),
        record.calling_ae_title,
        record.transfer_syntaxes,
        record.parallel,
    )


def _tls(settings: Mapping[str, str | bool]) -> ClientTls:
    texts: dict[str, Any] = {
        name: value for name, value in settings.items() if name not in _NOT_TEXT
    }
    return ClientTls(
        **texts,
        check_hostname=bool(settings.get("check_hostname", True)),
        profile=TlsProfile(settings.get("profile", TlsProfile.BCP_195)),
    )
