"""Performing a C-MOVE: the instances go to a third party (PS3.4 C.4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pacs_sdk.encoding import Instance
from pacs_sdk.network import Exchange
from pacs_sdk.network.dimse import CMoveRQ
from pacs_sdk.services.retrieve.delivery import Delivery
from pacs_sdk.services.retrieve.tally import Tally

__all__ = ["perform_move"]

_SIGN_OF_LIFE_S: Final = 5.0
"""How long nothing is said: who moves a large object to a slow destination, or waits for one
that is busy, must not look dead to who asked. A C-CANCEL is noticed as often."""


def perform_move(
    exchange: Exchange, request: CMoveRQ, instances: Sequence[Instance], delivery: Delivery
) -> None:
    """Have instances delivered, and tell the counts meanwhile (PS3.7 9.1.4).

    Args:
        exchange: The request, and the means to answer it.
        request: Its command set.
        instances: What to send.
        delivery: What sends it; it has not begun.

    Raises:
        PacsException: What ended the association; nothing more is sent then.
    """
    tally = Tally(exchange, request, len(instances))
    cancelled = False
    delivery.begin()
    try:
        while not delivery.is_over:
            for one in delivery.wait(_SIGN_OF_LIFE_S):
                tally.count(one.sop_instance_uid, one.status, one.reason)
            if not cancelled and exchange.is_cancelled():
                cancelled = True
                delivery.stop()
            if tally.remaining and not cancelled:
                tally.tell()
    finally:
        delivery.end()
    tally.finish(cancelled=cancelled and tally.remaining > 0)
