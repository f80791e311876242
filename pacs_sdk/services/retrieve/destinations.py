"""Where a C-MOVE may send to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeAlias

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Failure, PacsResult, Success, edge, raised
from pacs_sdk.encoding import transfer_syntax
from pacs_sdk.network import ClientTls, Peer

__all__ = [
    "ConfiguredDestinations",
    "Destination",
    "DestinationResolver",
    "first_known",
    "is_ae_title",
    "unknown_destination",
]

_MAX_AE_TITLE_LENGTH: Final = 16
_MAX_PORT: Final = 65535
_MAX_PARALLEL: Final = 8
_MAX_WINDOW: Final = 0xFFFF


def is_ae_title(text: str) -> bool:
    """Tell whether a text without spaces at its ends is an AE title (PS3.5 6.2, VR AE)."""
    fits = 0 < len(text) <= _MAX_AE_TITLE_LENGTH
    return fits and text.isascii() and text.isprintable() and "\\" not in text


def _ae_title(title: str) -> str:
    """Check an AE title (PS3.5 6.2, VR AE); spaces at its ends mean nothing."""
    text = title.strip(" ")
    if text and not is_ae_title(text):
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"{title!r} is no AE title: 1 to 16 ASCII characters without backslash",
        )
    return text


def _syntaxes(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(raised(transfer_syntax(name)).uid for name in names)


@attrs.frozen
class Destination:
    """An application entity that instances may be moved to.

    Raises:
        PacsException: ``INVALID_CONFIGURATION``, or ``UNSUPPORTED_TRANSFER_SYNTAX``.
    """

    ae_title: str = attrs.field(converter=_ae_title)
    """Its AE title, by which a C-MOVE names it."""
    host: str
    """Its host name or address."""
    port: int
    """Its port."""
    tls: ClientTls | None = None
    """How to speak TLS with it; in clear if ``None``."""
    calling_ae_title: str = attrs.field(default="", converter=_ae_title)
    """What we call ourselves to it; the server's own AE title if empty."""
    transfer_syntaxes: tuple[str, ...] = attrs.field(default=(), converter=_syntaxes)
    """What it gets, preferred first, as UIDs or keywords: anything else is re-encoded. If
    empty, each instance is offered as it is stored, and uncompressed."""
    parallel: int = 1
    """How many associations send to it at once for one C-MOVE."""
    window: int = 1
    """How many instances may be under way on one association before the first is answered, if
    it agrees to that (PS3.7 D.3.3.3). What pays off where the way to it is long."""

    def __attrs_post_init__(self) -> None:
        if not self.ae_title:
            raise self._impossible("ae_title", "a name")
        if not self.host.strip():
            raise self._impossible("host", "a host name or an address")
        if not 1 <= self.port <= _MAX_PORT:
            raise self._impossible("port", f"1 to {_MAX_PORT}")
        if not 1 <= self.parallel <= _MAX_PARALLEL:
            raise self._impossible("parallel", f"1 to {_MAX_PARALLEL}")
        if not 1 <= self.window <= _MAX_WINDOW:
            raise self._impossible("window", f"1 to {_MAX_WINDOW}")

    def _impossible(self, name: str, wanted: str) -> PacsException:
        return PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"{name} of the destination {self.ae_title!r} is {getattr(self, name)!r}, but must "
            f"be {wanted}",
        )

    @property
    def peer(self) -> Peer:
        """It, as a client calls it."""
        return Peer(self.host, self.port, self.ae_title, self.tls)


DestinationResolver: TypeAlias = Callable[[str], PacsResult[Destination]]
"""Finds the destination with an AE title: ``Failure`` with ``MOVE_DESTINATION_UNKNOWN`` (A801H)
where there is none, or with another error where that cannot be found out."""


class ConfiguredDestinations:
    """Destinations that are known from the beginning; a :data:`DestinationResolver`.

    Args:
        destinations: All there are.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` where two have the same AE title.
    """

    def __init__(self, destinations: Iterable[Destination] = ()) -> None:
        self._by_title: dict[str, Destination] = {}
        for one in destinations:
            if one.ae_title in self._by_title:
                raise PacsException(
                    ErrorCode.INVALID_CONFIGURATION,
                    f"there are two destinations with the AE title {one.ae_title}",
                )
            self._by_title[one.ae_title] = one

    @edge()
    def __call__(self, ae_title: str) -> Destination:
        """Find one; ``Failure`` with ``MOVE_DESTINATION_UNKNOWN`` where there is none."""
        found = self._by_title.get(ae_title.strip(" "))
        if found is None:
            raise unknown_destination(ae_title)
        return found


def unknown_destination(ae_title: str) -> PacsException:
    """Say that nobody knows a destination."""
    return PacsException(
        ErrorCode.MOVE_DESTINATION_UNKNOWN,
        f"no destination {ae_title.strip(' ')[:_MAX_AE_TITLE_LENGTH]!r} is configured",
        ae_title=ae_title[:64],
    )


def first_known(*resolvers: DestinationResolver) -> DestinationResolver:
    """Ask several resolvers one after the other; an error other than "unknown" ends it."""

    def resolve(ae_title: str) -> PacsResult[Destination]:
        for resolver in resolvers:
            match resolver(ae_title):
                case Success(found):
                    return Success(found)
                case Failure(error) if error.code is not ErrorCode.MOVE_DESTINATION_UNKNOWN:
                    return Failure(error)
        return Failure(unknown_destination(ae_title).error)

    return resolve
