"""Storage, sending side (PS3.4 Annex B)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import attrs

from pacs_sdk.core.byte_source import ByteSource
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Instance,
)
from pacs_sdk.network import AcceptedContext, DicomAssociation, Peer, ProposedContext
from pacs_sdk.network.dimse import CStoreRQ, CStoreRSP, StatusCategory, status_category
from pacs_sdk.services.reencode import NATIVE_SYNTAXES, encoded_as
from pacs_sdk.services.scu import ServiceUser
from pacs_sdk.services.sop_classes import sop_class_name

__all__ = ["StorageScu", "StoreOutcome", "StoreReport"]

_MAX_CONTEXTS: Final = 128
_FALLBACK: Final = (EXPLICIT_VR_LITTLE_ENDIAN.uid, IMPLICIT_VR_LITTLE_ENDIAN.uid)


@attrs.frozen
class StoreOutcome:
    """What became of one instance."""

    sop_instance_uid: str
    """The instance."""
    size_bytes: int
    """How long its data set is."""
    status: int | None
    """The peer's status, or ``None`` where it was not sent."""
    comment: str = ""
    """The reason, where it failed or the peer gave a comment."""

    @property
    def is_stored(self) -> bool:
        """Whether the peer has it, possibly with a warning."""
        return self.status is not None and status_category(self.status) in (
            StatusCategory.SUCCESS,
            StatusCategory.WARNING,
        )


@attrs.frozen
class StoreReport:
    """What became of everything that was to be sent, in the order it was given."""

    outcomes: tuple[StoreOutcome, ...]
    """One an instance."""

    @property
    def stored(self) -> int:
        """How many instances the peer has."""
        return sum(outcome.is_stored for outcome in self.outcomes)

    @property
    def failures(self) -> tuple[StoreOutcome, ...]:
        """Those it does not have."""
        return tuple(outcome for outcome in self.outcomes if not outcome.is_stored)

    @property
    def size_bytes(self) -> int:
        """The bytes of the data sets that were stored."""
        return sum(outcome.size_bytes for outcome in self.outcomes if outcome.is_stored)


@attrs.frozen
class StorageScu(ServiceUser):
    """Sends instances to a peer."""

    transcode: bool = True
    """Whether an uncompressed instance may be re-encoded in another uncompressed
    transfer syntax when the peer refuses its own; values don't change."""

    @edge()
    def store(
        self,
        peer: Peer,
        instances: Iterable[Instance],
        on_outcome: Callable[[StoreOutcome], None] | None = None,
    ) -> StoreReport:
        """Send instances, on as many associations one after another as contexts need.

        Args:
            peer: Where to.
            instances: What to send; only references are held, not the bytes.
            on_outcome: Called after each instance, for progress.

        Returns:
            ``Success`` with what became of each instance, failures included; or
            ``Failure`` when nothing could be sent: ``STORE_NOTHING_TO_SEND`` or a
            network error.
        """
        pending = list(instances)
        if not pending:
            raise PacsException(ErrorCode.STORE_NOTHING_TO_SEND, "there is nothing to send")
        outcomes: dict[int, StoreOutcome] = {}
        for contexts, numbers in self._batches(pending):
            self._send_batch(peer, contexts, numbers, pending, outcomes, on_outcome)
        return StoreReport(tuple(outcomes[number] for number in range(len(pending))))

    def _batches(
        self, instances: Sequence[Instance]
    ) -> list[tuple[list[ProposedContext], list[int]]]:
        """Divide the instances so that each part needs at most 128 contexts."""
        by_kind: dict[tuple[str, str], list[int]] = {}
        for number, instance in enumerate(instances):
            kind = (instance.sop_class_uid, instance.transfer_syntax_uid)
            by_kind.setdefault(kind, []).append(number)
        batches: list[tuple[list[ProposedContext], list[int]]] = [([], [])]
        for (sop_class, syntax), numbers in by_kind.items():
            wanted = [ProposedContext(sop_class, (syntax,))]
            if self.transcode and syntax in NATIVE_SYNTAXES:
                others = tuple(other for other in _FALLBACK if other != syntax)
                wanted.append(ProposedContext(sop_class, others))
            if len(batches[-1][0]) + len(wanted) > _MAX_CONTEXTS:
                batches.append(([], []))
            batches[-1][0].extend(wanted)
            batches[-1][1].extend(numbers)
        return batches

    def _send_batch(
        self,
        peer: Peer,
        contexts: Sequence[ProposedContext],
        numbers: Sequence[int],
        instances: Sequence[Instance],
        outcomes: dict[int, StoreOutcome],
        on_outcome: Callable[[StoreOutcome], None] | None,
    ) -> None:
        try:
            association = self._connect(peer, contexts)
        except PacsException as exc:
            if not outcomes:
                raise
            for number in numbers:  # an earlier part was stored: that must not be lost sight of
                outcomes[number] = _not_sent(instances[number], exc.error.message)
            return
        with association:
            for number in numbers:
                outcome = self._send(association, instances[number])
                outcomes[number] = outcome
                if on_outcome is not None:
                    on_outcome(outcome)

    def _send(self, association: DicomAssociation, instance: Instance) -> StoreOutcome:
        try:
            context, data = self._prepared(association, instance)
            request = CStoreRQ(
                association.next_message_id(), instance.sop_class_uid, instance.sop_instance_uid
            )
            response = raised(association.call(context, request, data))
        except PacsException as exc:
            return _not_sent(instance, exc.error.message)
        comment = response.error_comment if isinstance(response, CStoreRSP) else ""
        return StoreOutcome(instance.sop_instance_uid, instance.size, response.status, comment)

    def _prepared(
        self, association: DicomAssociation, instance: Instance
    ) -> tuple[AcceptedContext, ByteSource]:
        """Choose the context to send an instance in, re-encoded if it must be."""
        own = association.context_for(
            instance.sop_class_uid,
            instance.transfer_syntax_uid,
            sop_class_name(instance.sop_class_uid),
        )
        if self.transcode and instance.transfer_syntax_uid in NATIVE_SYNTAXES:
            own = own.lash(lambda _: association.context_for(instance.sop_class_uid))
        context = raised(own)
        return context, encoded_as(instance, context.transfer_syntax)


def _not_sent(instance: Instance, reason: str) -> StoreOutcome:
    return StoreOutcome(instance.sop_instance_uid, instance.size, None, reason)
