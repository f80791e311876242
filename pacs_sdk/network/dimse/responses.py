"""The response that fits a request."""

from __future__ import annotations

import functools
from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final, TypeAlias

import attrs

from pacs_sdk.core.uids import is_valid_uid
from pacs_sdk.network.dimse.composite import CStoreRQ, CStoreRSP
from pacs_sdk.network.dimse.elements import RESPONSE_BIT
from pacs_sdk.network.dimse.messages import RESPONSE_TYPES, Request, Response

__all__ = ["response_to"]

_Echo: TypeAlias = Callable[[Any], Any]


def _uid_or_nothing(text: str) -> str:
    return text if is_valid_uid(text) else ""


_class_uid_or_nothing = functools.lru_cache(256)(_uid_or_nothing)
"""The same for a SOP class, of which there are few."""


# Attribute of a response -> where a request has it (the "(=)" of the tables in PS3.7 9.1, 10.1).
_ECHOES: Final[dict[str, _Echo]] = {
    "command_field": lambda request: request.command_field | RESPONSE_BIT,
    "affected_sop_class_uid": lambda request: _class_uid_or_nothing(request.sop_class_uid),
    "affected_sop_instance_uid": lambda request: _uid_or_nothing(request.sop_instance_uid),
    "event_type_id": attrgetter("event_type_id"),
    "action_type_id": attrgetter("action_type_id"),
}

_ECHOES_OF: Final[dict[type[Any], tuple[tuple[str, _Echo], ...]]] = {
    kind: tuple(
        (field.name, _ECHOES[field.name]) for field in attrs.fields(kind) if field.name in _ECHOES
    )
    for kind in RESPONSE_TYPES
}


def response_to(request: Request, status: int, comment: str = "") -> Response:
    """Build the response that fits a request (PS3.7 9.3, 10.3).

    What is called requested in the request is called affected in the response. UIDs are
    returned as they came, but what is none is left out: they are optional in a response,
    and a peer's mistake must not keep us from answering. An N-CREATE response names the
    instance only if the request did; who chose the UID adds it with ``attrs.evolve``.

    Args:
        request: What is answered.
        status: The status, 0 to FFFFH.
        comment: The Error Comment, made to fit when it is written; empty for none.
    """
    if isinstance(request, CStoreRQ):  # once an image
        return CStoreRSP(
            request.message_id,
            status,
            _class_uid_or_nothing(request.affected_sop_class_uid),
            _uid_or_nothing(request.affected_sop_instance_uid),
            comment,
        )
    kind: type[Any] = request.response_type
    response: Response = kind(
        message_id_being_responded_to=request.message_id,
        status=status,
        error_comment=comment,
        **{name: echo(request) for name, echo in _ECHOES_OF[kind]},
    )
    return response
