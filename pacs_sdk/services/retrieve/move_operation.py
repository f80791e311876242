"""Performing a C-MOVE: the instances go to a third party (PS3.4 C.4.2)."""

from __future__ import annotations

from pacs_sdk.core.ports import Clock
from pacs_sdk.network import Exchange
from pacs_sdk.network.dimse import CMoveRQ
from pacs_sdk.services.retrieve.delivery import Delivery
from pacs_sdk.services.retrieve.tally import TELL_EVERY_S, Tally

__all__ = ["perform_move"]


def perform_move(
    exchange: Exchange, request: CMoveRQ, count: int, delivery: Delivery, clock: Clock
) -> None:
    """Have instances delivered, and tell the counts meanwhile (PS3.7 9.1.4).

    Args:
        exchange: The request, and the means to answer it.
        request: Its command set.
        count: How many instances there are.
        delivery: What sends them; it has not begun.
        clock: The time.

    Raises:
        PacsException: What ended the association; nothing more is sent then.
    """
    tally = Tally(exchange, request, clock, count)
    cancelled = False
    delivery.begin()
    try:
        while not delivery.is_over:
            if not cancelled:
                tally.tell()
            for one in delivery.wait(TELL_EVERY_S):
                tally.count(one.sop_instance_uid, one.status, one.reason)
            if not cancelled and exchange.is_cancelled():
                cancelled = True
                delivery.stop()
                exchange.logger.info("retrieval-cancelled", remaining=tally.remaining)
            if exchange.is_broken:
                break
    finally:
        if exchange.is_broken:
            delivery.break_off()
        else:
            delivery.stop()
    tally.finish(cancelled=cancelled and tally.remaining > 0)
