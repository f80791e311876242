"""The client as an application entity: what it proposes, as its service class users have it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import attrs

from pacs_sdk.core.results import Success
from pacs_sdk.integration.container import PacsContainer
from pacs_sdk.network import ClientTimeouts, DicomService, ProposedContext, SupportedContext
from pacs_sdk.services import Proposal, ServiceUser, StorageScu
from pacs_sdk.services.reencode import TranscodePolicy, proposed_contexts
from pacs_sdk.services.retrieve.receiver import Receiver, receiving_services
from pacs_sdk.services.retrieve.storage_contexts import taken_as_scp

__all__ = ["AS_STORED", "Client", "ProposedStorage", "client_of"]

AS_STORED: Final = "the transfer syntax in which it is stored"
"""Stands in a list of transfer syntaxes for that of the instance."""


@attrs.frozen
class ProposedStorage:
    """The presentation contexts that an instance has, whatever its storage SOP class is."""

    use: str
    """When it has them."""
    policy: TranscodePolicy
    """What may be done to it."""
    transfer_syntaxes: tuple[tuple[str, ...], ...]
    """The transfer syntaxes of each context, :data:`AS_STORED` among them; the one that it
    stands for has no other place."""
    as_scp: bool
    """Whether the role of SCP is proposed for them, and that of SCU is not (PS3.7 D.3.3.4)."""


@attrs.frozen
class Client:
    """What is known of the client."""

    ae_title: str
    """What the service class users of the configuration call themselves."""
    command_ae_title: str
    """What a service class user calls itself that is told nothing, as the commands are."""
    timeouts: ClientTimeouts
    """How long it waits for what."""
    retrieve_timeouts: ClientTimeouts
    """How long it waits in C-GET and C-MOVE."""
    store: StorageScu
    """How it sends."""
    proposals: tuple[Proposal, ...]
    """What it proposes besides the storage contexts of what it sends."""
    storage: tuple[ProposedStorage, ...]
    """The storage contexts of what it sends, and of what it gets from peers that say what
    that is."""
    receiving: tuple[tuple[DicomService, SupportedContext], ...]
    """What it takes while it receives what a C-MOVE brings."""


def client_of(container: PacsContainer) -> Client:
    """Ask the service class users of a container what they propose."""
    services = container.services
    users = (services.verification_scu(), services.query_scu(), services.retrieve_scu())
    store = services.storage_scu()
    return Client(
        ae_title=store.ae_title,
        command_ae_title=ServiceUser().ae_title,
        timeouts=store.timeouts,
        retrieve_timeouts=users[-1].timeouts,
        store=store,
        proposals=tuple(one for user in users for one in user.proposals()),
        storage=tuple(_storage()),
        receiving=tuple(
            (service, context)
            for service in receiving_services(Receiver(Success))
            for context in service.supported_contexts()
        ),
    )


def _storage() -> Iterator[ProposedStorage]:
    for policy in TranscodePolicy:
        contexts = proposed_contexts("", (AS_STORED,), policy)
        yield ProposedStorage(
            f"sent by C-STORE, policy {policy.value}", policy, _syntaxes(contexts), as_scp=False
        )
    contexts = tuple(taken_as_scp("", (AS_STORED,)))
    yield ProposedStorage(
        "got by C-GET, where the peer says what it has",
        TranscodePolicy.AUTO,
        _syntaxes(contexts),
        as_scp=True,
    )


def _syntaxes(contexts: Sequence[ProposedContext]) -> tuple[tuple[str, ...], ...]:
    return tuple(one.transfer_syntaxes for one in contexts)
