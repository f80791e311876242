"""What a pool does with one association: ask whether it still works, and end it."""

from __future__ import annotations

from collections.abc import Callable

from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.ports import Logger
from pacs_sdk.core.results import Success
from pacs_sdk.network.dimse import CEchoRQ, Status
from pacs_sdk.network.pool.values import VERIFICATION, PoolableAssociation

__all__ = ["confirms_echo", "end"]


def confirms_echo(association: PoolableAssociation, on_echo: Callable[[], None]) -> bool:
    """Send a C-ECHO (PS3.7 9.1.5) if the peer takes one; tell whether all is well.

    Args:
        association: The association; where it has no Verification context, all counts as
            well.
        on_echo: Called when a C-ECHO is about to be sent.
    """
    for context in association.contexts:
        if context.abstract_syntax == VERIFICATION and context.as_scu:
            on_echo()
            answer = association.call(context, CEchoRQ(association.next_message_id()))
            return isinstance(answer, Success) and answer.unwrap().status == Status.SUCCESS
    return True


def end(association: PoolableAssociation, logger: Logger, *, in_good_order: bool) -> None:
    """Release or abort an association; a connection that breaks meanwhile has ended as well."""
    try:
        if in_good_order:
            association.release()
        else:
            association.abort()
    except (PacsException, OSError) as exc:
        logger.debug("pool-association-lost", reason=str(exc))
