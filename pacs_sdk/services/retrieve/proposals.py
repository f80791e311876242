"""What is proposed to whom instances are moved to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import attrs

from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, Instance
from pacs_sdk.network import ProposedContext
from pacs_sdk.services.retrieve.outgoing import kinds_of

__all__ = ["Batch", "batches", "offered_syntaxes"]

_MAX_CONTEXTS: Final = 128
_UNCOMPRESSED: Final = (EXPLICIT_VR_LITTLE_ENDIAN.uid, IMPLICIT_VR_LITTLE_ENDIAN.uid)


@attrs.frozen
class Batch:
    """Instances that go over the same association."""

    contexts: tuple[ProposedContext, ...]
    """What is proposed for them, at most 128."""
    instances: tuple[Instance, ...]
    """What is sent."""


def batches(instances: Iterable[Instance], syntaxes: Sequence[str] = ()) -> list[Batch]:
    """Divide instances so that each part needs at most 128 presentation contexts.

    Args:
        instances: What is to be sent.
        syntaxes: The transfer syntaxes that the peer shall get; without any, each instance's
            own, and the uncompressed ones besides.
    """
    by_class: dict[str, list[Instance]] = {}
    for instance in instances:
        by_class.setdefault(instance.sop_class_uid, []).append(instance)
    parts: list[tuple[list[ProposedContext], list[Instance]]] = []
    for sop_class in sorted(by_class):
        members = by_class[sop_class]
        own = [syntax for _, syntax in kinds_of(members)]
        wanted = [ProposedContext(sop_class, one) for one in offered_syntaxes(own, syntaxes)]
        if not parts or len(parts[-1][0]) + len(wanted) > _MAX_CONTEXTS:
            parts.append(([], []))
        parts[-1][0].extend(wanted)
        parts[-1][1].extend(members)
    return [Batch(tuple(contexts), tuple(members)) for contexts, members in parts]


def offered_syntaxes(own: Sequence[str], syntaxes: Sequence[str] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the transfer syntaxes of each context that a SOP class needs.

    Each has one, so that all are accepted that the peer knows; but of the uncompressed ones
    that nothing is stored in, any will do.

    Args:
        own: What instances are stored in.
        syntaxes: What is offered in place of that.
    """
    for syntax in syntaxes or own:
        yield (syntax,)
    others = tuple(one for one in _UNCOMPRESSED if one not in own)
    if others and not syntaxes:
        yield others
