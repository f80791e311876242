"""Retrieval, asking side: C-GET and C-MOVE (PS3.4 C.4.2, C.4.3, Annexes Y and Z)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import attrs

from pacs_sdk.core.byte_source import ByteSource, MemoryBytes
from pacs_sdk.core.dataset import DatasetLike, DicomDataset, as_dataset
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding import TransferSyntax, encode_dataset, transfer_syntax
from pacs_sdk.network import (
    AcceptedContext,
    ClientTimeouts,
    DicomAssociation,
    IncomingMessage,
    Peer,
    ProposedContext,
    RequestorOptions,
    StoreHandler,
)
from pacs_sdk.network.dimse import (
    CGetRQ,
    CGetRSP,
    CMoveRQ,
    CMoveRSP,
    CStoreRQ,
    CStoreRSP,
    StatusCategory,
    status_category,
)
from pacs_sdk.services.query import IDENTIFIER_SYNTAXES, MAX_ANSWER_BYTES, QueryScu
from pacs_sdk.services.retrieve.identifier import RELATIONAL, lacks_upper_keys
from pacs_sdk.services.retrieve.receiver import KeepInstance, ReceiveHere, Receiver, receiving
from pacs_sdk.services.retrieve.report import (
    OnProgress,
    RetrieveProgress,
    RetrieveReport,
    report_of,
)
from pacs_sdk.services.retrieve.storage_contexts import storage_contexts, usual_contexts
from pacs_sdk.services.scu import Proposal, ServiceUser
from pacs_sdk.services.sop_classes import (
    COMPOSITE_INSTANCE_ROOT_GET,
    COMPOSITE_INSTANCE_WITHOUT_BULK_DATA_GET,
    InformationModel,
)

__all__ = ["RetrieveScu"]

_WINDOW: Final = 16
"""How many C-STORE sub-operations of a C-GET may come before the first is answered."""


@attrs.frozen
class _Watch:
    """Who follows a retrieval."""

    on_progress: OnProgress | None
    cancel: Callable[[], bool] | None


@attrs.frozen
class _Want:
    """What is asked for, by which SOP class."""

    identifier: DicomDataset
    sop_class: str
    name: str
    is_relational: bool


@attrs.define
class _Asked:
    """A request that is under way, and how it ends."""

    association: DicomAssociation
    context: AcceptedContext
    request: CGetRQ | CMoveRQ
    syntax: TransferSyntax
    watch: _Watch
    was_cancelled: bool = False
    told: RetrieveProgress | None = None
    final: CGetRSP | CMoveRSP | None = None
    identifier: ByteSource | None = None

    def run(
        self,
        identifier: DicomDataset,
        on_store: StoreHandler | None = None,
        moved_at: Callable[[], float | None] | None = None,
    ) -> None:
        """Send the request, and follow it to its final response."""
        data = MemoryBytes(raised(encode_dataset(identifier, self.syntax)))
        association = self.association
        for reply in association.replies(self.context, self.request, data, on_store, moved_at):
            response = reply.response
            if not isinstance(response, CGetRSP | CMoveRSP):
                continue
            if status_category(response.status) is StatusCategory.PENDING:
                self.told = RetrieveProgress.of(response)
                if self.watch.on_progress is not None:
                    self.watch.on_progress(self.told)
                self.look_for_cancel()
            else:
                self.final = response
                # Valid until the next reply is taken; what is longer than any list is none.
                if reply.data is not None and reply.data.size <= MAX_ANSWER_BYTES:
                    self.identifier = MemoryBytes(bytes(reply.data.view()))

    def look_for_cancel(self) -> None:
        """Send a C-CANCEL if somebody wants it."""
        cancel = self.watch.cancel
        if not self.was_cancelled and cancel is not None and cancel():
            self.was_cancelled = True
            self.association.cancel(self.context, self.request.message_id)

    def report(self, receiver: Receiver | None) -> RetrieveReport:
        """Tell how it ended; raises where nothing was done."""
        return report_of(
            self.final,
            self.identifier,
            self.syntax,
            taken=None if receiver is None else receiver.taken,
            told=self.told,
            was_cancelled=self.was_cancelled,
        )


@attrs.frozen
class RetrieveScu(ServiceUser):
    """Fetches instances from a peer, or has them sent to somebody."""

    @staticmethod
    def usual_timeouts() -> ClientTimeouts:
        """Return how long it waits: two minutes for the peer to send anything.

        It may have to get instances from slow storage, and need not tell how many it has sent to
        somebody else before all are (PS3.4 C.4.2.3.1).
        """
        return ClientTimeouts(dimse_s=120.0)

    def proposals(self) -> Sequence[Proposal]:
        """List what it may propose (PS3.2 N.7), for a conformance statement.

        Returns:
            One for each SOP class of C-GET and C-MOVE, with relational retrieval where there
            is such a thing; those of C-GET with the storage contexts that a peer is offered
            which does not say what it has.
        """
        storage = usual_contexts()
        moves = [_move_proposal(model.move, is_relational=True) for model in InformationModel]
        gets = [_get_proposal(one.get, storage, is_relational=True) for one in InformationModel]
        single = [
            _get_proposal(uid, storage, is_relational=False)
            for uid in (COMPOSITE_INSTANCE_ROOT_GET, COMPOSITE_INSTANCE_WITHOUT_BULK_DATA_GET)
        ]
        return (*gets, *single, *moves)

    @edge()
    def get(
        self,
        peer: Peer,
        identifier: DatasetLike,
        keep: KeepInstance,
        *,
        contexts: Sequence[ProposedContext] | None = None,
        model: InformationModel = InformationModel.STUDY_ROOT,
        on_progress: OnProgress | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> RetrieveReport:
        """Send one C-GET and keep what comes.

        An identifier that lacks the unique key of a level above its own is one of relational
        retrieval (PS3.4 C.4.3.2.2); that is proposed, and the peer may refuse it.

        Args:
            peer: Whom to ask.
            identifier: Query/Retrieve Level and the unique keys of what is wanted.
            keep: Called with each instance, whose bytes are valid during the call only;
                a ``Failure`` is told to the peer by its code's status.
            contexts: The storage contexts to propose, at most 127. By default the peer
                is asked first, by C-FIND, which SOP classes and transfer syntaxes the
                instances have; where it doesn't say, the storage SOP classes in most
                common use are proposed, in the uncompressed transfer syntaxes.
            model: The information model.
            on_progress: Called with the counts of each Pending response.
            cancel: Asked with each instance and each Pending response; once it says yes a
                C-CANCEL is sent.

        Returns:
            ``Success`` with the counts, partial failures and our own cancellation included; or
            ``Failure`` with ``RETRIEVE_FAILED``, ``CANCELLED`` or a network error.
        """
        wanted = as_dataset(identifier)
        storage = self._storage_contexts(peer, wanted, model) if contexts is None else contexts
        relational = lacks_upper_keys(wanted, model.levels)
        want = _Want(wanted, model.get, f"{model.title} GET", relational)
        return self._get(peer, want, storage, Receiver(keep), _Watch(on_progress, cancel))

    @edge()
    def get_instances(
        self,
        peer: Peer,
        sop_instance_uids: Sequence[str],
        keep: KeepInstance,
        *,
        bulk_data: bool = True,
        contexts: Sequence[ProposedContext] | None = None,
        on_progress: OnProgress | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> RetrieveReport:
        """Fetch single instances by nothing but their UIDs (PS3.4 Annexes Y and Z).

        Args:
            peer: Whom to ask.
            sop_instance_uids: Which instances.
            keep: As for :meth:`get`.
            bulk_data: Whether they come whole, or without pixels and the like.
            contexts: As for :meth:`get`.
            on_progress: As for :meth:`get`.
            cancel: As for :meth:`get`.

        Returns:
            As :meth:`get`; ``PRESENTATION_CONTEXT_REFUSED`` from peers that don't do this.
        """
        wanted = DicomDataset(QueryRetrieveLevel="IMAGE", SOPInstanceUID=list(sop_instance_uids))
        root = InformationModel.STUDY_ROOT
        storage = self._storage_contexts(peer, wanted, root) if contexts is None else contexts
        if bulk_data:
            want = _Want(wanted, COMPOSITE_INSTANCE_ROOT_GET, "Composite Instance Root GET", False)
        else:
            name = "Composite Instance Retrieve Without Bulk Data GET"
            want = _Want(wanted, COMPOSITE_INSTANCE_WITHOUT_BULK_DATA_GET, name, False)
        return self._get(peer, want, storage, Receiver(keep), _Watch(on_progress, cancel))

    @edge()
    def move(
        self,
        peer: Peer,
        identifier: DatasetLike,
        destination: str,
        *,
        receive: ReceiveHere | None = None,
        model: InformationModel = InformationModel.STUDY_ROOT,
        on_progress: OnProgress | None = None,
        cancel: Callable[[], bool] | None = None,
    ) -> RetrieveReport:
        """Send one C-MOVE, and wait until the peer has sent everything where it should go.

        Args:
            peer: Whom to ask.
            identifier: Query/Retrieve Level and the unique keys of what is wanted.
            destination: The AE title of whoever gets it; the peer must know where that is.
            receive: Take it here: a Storage SCP with that AE title listens meanwhile.
            model: The information model.
            on_progress: Called with the counts of each Pending response.
            cancel: Asked with each Pending response; once it says yes a C-CANCEL is sent.

        Returns:
            ``Success`` with the counts, partial failures and our own cancellation included; or
            ``Failure`` with ``MOVE_DESTINATION_UNKNOWN``, ``RETRIEVE_FAILED``, ``CANCELLED``,
            ``PORT_UNAVAILABLE`` (of ``receive``) or a network error.
        """
        wanted = as_dataset(identifier)
        relational = lacks_upper_keys(wanted, model.levels)
        want = _Want(wanted, model.move, f"{model.title} MOVE", relational)
        watch = _Watch(on_progress, cancel)
        if receive is None:
            return self._move(peer, want, destination, watch, None).report(None)
        with receiving(receive, destination, peer, self.logger, self.clock) as receiver:
            asked = self._move(peer, want, destination, watch, receiver)
        return asked.report(receiver)  # the receiver has stopped: what came last is counted

    def _move(
        self,
        peer: Peer,
        want: _Want,
        destination: str,
        watch: _Watch,
        receiver: Receiver | None,
    ) -> _Asked:
        proposal = _move_proposal(want.sop_class, is_relational=want.is_relational)
        with self._connect(peer, proposal) as association:
            number = association.next_message_id()
            request = CMoveRQ(number, want.sop_class, destination)
            asked = _asked(association, want, request, watch)
            asked.run(
                want.identifier,
                moved_at=None if receiver is None else lambda: receiver.moved_at,
            )
        return asked

    def _get(
        self,
        peer: Peer,
        want: _Want,
        storage: Sequence[ProposedContext],
        receiver: Receiver,
        watch: _Watch,
    ) -> RetrieveReport:
        proposal = _get_proposal(want.sop_class, storage, is_relational=want.is_relational)
        with self._connect(peer, proposal) as association:
            request = CGetRQ(association.next_message_id(), want.sop_class)
            asked = _asked(association, want, request, watch)

            def on_store(incoming: IncomingMessage, store: CStoreRQ) -> CStoreRSP:
                asked.look_for_cancel()
                return receiver.on_store(incoming, store)

            asked.run(want.identifier, on_store)
        return asked.report(receiver)

    def _storage_contexts(
        self, peer: Peer, identifier: DicomDataset, model: InformationModel
    ) -> list[ProposedContext]:
        scu = QueryScu(self.ae_title, self.timeouts, self.logger, self.clock)
        return storage_contexts(scu, peer, identifier, model)


def _move_proposal(sop_class_uid: str, *, is_relational: bool) -> Proposal:
    contexts = (ProposedContext(sop_class_uid, IDENTIFIER_SYNTAXES),)
    extended = {sop_class_uid: RELATIONAL} if is_relational else {}
    return Proposal("C-MOVE", contexts, RequestorOptions(extended=extended))


def _get_proposal(
    sop_class_uid: str, storage: Sequence[ProposedContext], *, is_relational: bool
) -> Proposal:
    contexts = (ProposedContext(sop_class_uid, IDENTIFIER_SYNTAXES), *storage)
    extended = {sop_class_uid: RELATIONAL} if is_relational else {}
    options = RequestorOptions(max_operations_performed=_WINDOW, extended=extended)
    return Proposal("C-GET", contexts, options)


def _asked(
    association: DicomAssociation, want: _Want, request: CGetRQ | CMoveRQ, watch: _Watch
) -> _Asked:
    context = raised(association.context_for(want.sop_class, name=want.name))
    syntax = raised(transfer_syntax(context.transfer_syntax))
    return _Asked(association, context, request, syntax, watch)
