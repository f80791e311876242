"""What is proposed to whom instances are moved to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from pacs_sdk.encoding import Instance
from pacs_sdk.network import ProposedContext
from pacs_sdk.services.reencode import proposed_contexts

__all__ = ["Batch", "batches"]

_MAX_CONTEXTS: Final = 128


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
            own, and others that keep every value.
    """
    by_class: dict[str, list[Instance]] = {}
    for instance in instances:
        by_class.setdefault(instance.sop_class_uid, []).append(instance)
    parts: list[tuple[list[ProposedContext], list[Instance]]] = []
    for sop_class in sorted(by_class):
        members = by_class[sop_class]
        wanted = _wanted(sop_class, members, syntaxes)
        if not parts or len(parts[-1][0]) + len(wanted) > _MAX_CONTEXTS:
            parts.append(([], []))
        parts[-1][0].extend(wanted)
        parts[-1][1].extend(members)
    return [Batch(tuple(contexts), tuple(members)) for contexts, members in parts]


def _wanted(
    sop_class: str, members: Iterable[Instance], syntaxes: Sequence[str]
) -> tuple[ProposedContext, ...]:
    if syntaxes:  # one each, so that we choose among those that are accepted
        return tuple(ProposedContext(sop_class, (syntax,)) for syntax in syntaxes)
    return proposed_contexts(sop_class, sorted({one.transfer_syntax_uid for one in members}))
