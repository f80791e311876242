"""What a conformance statement is made of: the configuration, and what the services declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import attrs

from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.ports import NullAuditSink
from pacs_sdk.encoding.transfer_syntax import known_transfer_syntax
from pacs_sdk.integration.config import PacsConfig
from pacs_sdk.integration.conformance.client import Client, client_of
from pacs_sdk.integration.pacs import Pacs
from pacs_sdk.network import DeclaringService, DicomService, SupportedContext
from pacs_sdk.network.dimse import operation_name
from pacs_sdk.services import ServiceClass, find_sop_class, sop_class_name
from pacs_sdk.storage import FurtherAttributes

__all__ = [
    "C_ECHO",
    "C_FIND",
    "C_GET",
    "C_MOVE",
    "C_STORE",
    "ClaimedContext",
    "Facts",
    "facts_of",
    "operation_of",
    "syntax_name",
]

C_ECHO: Final = "C-ECHO"
C_STORE: Final = "C-STORE"
C_FIND: Final = "C-FIND"
C_MOVE: Final = "C-MOVE"
C_GET: Final = "C-GET"

_STORING: Final = (ServiceClass.STORAGE, ServiceClass.NON_PATIENT_OBJECT_STORAGE)

_BY_ENDING: Final = {"Find": C_FIND, "Move": C_MOVE, "Get": C_GET, "Query": C_FIND}
"""The last word of a SOP class's keyword -> its operation (PS3.4 C, Q, U, V, X, BB, HH, II, JJ)."""


def operation_of(sop_class_uid: str) -> str:
    """Name the operation of a SOP class of composite services; empty for any other.

    A private one is taken for one of Storage: that is what private SOP classes are for.
    """
    known = find_sop_class(sop_class_uid)
    if known is None or known.service_class in _STORING:
        return C_STORE
    if known.service_class is ServiceClass.VERIFICATION:
        return C_ECHO
    return next((name for end, name in _BY_ENDING.items() if known.keyword.endswith(end)), "")


def syntax_name(uid: str) -> str:
    """Name a transfer syntax; a private one stands for itself."""
    try:
        return known_transfer_syntax(uid).name
    except PacsException:
        return uid


@attrs.frozen
class ClaimedContext:
    """What the statement claims of one SOP class."""

    sop_class_uid: str
    """The SOP class."""
    scp: frozenset[str]
    """The transfer syntaxes in which it is performed; empty if it is not."""
    scu: frozenset[str]
    """Those in which it is invoked on a peer that takes the role of SCP; empty if it is not."""
    both: frozenset[str]
    """Those in which one context may serve both roles."""
    operations: tuple[str, ...]
    """The operations: "C-STORE"."""

    @property
    def name(self) -> str:
        """The SOP class's name, or its UID."""
        return sop_class_name(self.sop_class_uid)

    @property
    def service_class(self) -> ServiceClass | None:
        """The service class of PS3.4; ``None`` for a private SOP class."""
        known = find_sop_class(self.sop_class_uid)
        return None if known is None else known.service_class


def _claimed(context: SupportedContext, service: DicomService | None) -> ClaimedContext:
    none: frozenset[str] = frozenset()
    scp, scu = context.as_scp, context.as_scu
    return ClaimedContext(
        context.abstract_syntax,
        context.syntaxes_in(as_scp=True, as_scu=False) if scp else none,
        context.syntaxes_in(as_scp=False, as_scu=True) if scu else none,
        context.syntaxes_in(as_scp=True, as_scu=True) if scp and scu else none,
        _operations(context.abstract_syntax, service),
    )


def _operations(sop_class_uid: str, service: DicomService | None) -> tuple[str, ...]:
    if isinstance(service, DeclaringService):
        return tuple(operation_name(kind) for kind in service.operations)
    operation = operation_of(sop_class_uid)
    return (operation,) if operation else ()


@attrs.frozen
class Facts:
    """Everything that the sections of a statement are made of."""

    product: str
    """What the statement is about."""
    manufacturer: str
    """Who answers for it."""
    version: str
    """Its version."""
    issued: date
    """When the statement was made."""
    config: PacsConfig
    """The configuration."""
    claims: tuple[ClaimedContext, ...]
    """What is negotiated, ordered by service class and UID."""
    contexts: Mapping[str, SupportedContext]
    """The same as the server has it, by SOP class."""
    services: Mapping[str, DicomService]
    """Who performs each SOP class."""
    further: FurtherAttributes
    """What the site has added to the index."""
    verifies_identity: bool
    """Whether user identities are verified."""
    keeps_audit: bool
    """Whether audit events go anywhere."""
    client: Client
    """The application entity that calls peers."""

    def performed(self, operation: str) -> tuple[ClaimedContext, ...]:
        """List the SOP classes of an operation that the server performs."""
        return tuple(one for one in self.claims if one.scp and operation in one.operations)

    def syntax_groups(self) -> Mapping[frozenset[str], str]:
        """Name each set of transfer syntaxes that occurs: T1, T2 and so on."""
        groups: dict[frozenset[str], str] = {}
        for claim in self.claims:
            for syntaxes in (claim.scp, claim.scu):
                if syntaxes and syntaxes not in groups:
                    groups[syntaxes] = f"T{len(groups) + 1}"
        return groups


def facts_of(pacs: Pacs, product: str, manufacturer: str) -> Facts:
    """Gather the facts of a PACS, whether it runs or not.

    Raises:
        PacsException: The archive or the server cannot be made.
    """
    container = pacs.container
    server = pacs.server
    services = server.services
    claims = [_claimed(one, services.get(one.abstract_syntax)) for one in server.supported_contexts]
    return Facts(
        product=product,
        manufacturer=manufacturer,
        version=_version(),
        issued=container.core.clock().now().date(),
        config=container.config(),
        claims=tuple(sorted(claims, key=_order)),
        contexts={one.abstract_syntax: one for one in server.supported_contexts},
        services=services,
        further=pacs.archive.further_attributes,
        verifies_identity=container.network.access().identity_verifier is not None,
        keeps_audit=not isinstance(container.core.audit(), NullAuditSink),
        client=client_of(container),
    )


def _version() -> str:
    try:
        return version("pacs-sdk")
    except PackageNotFoundError:  # run from its sources, without being installed
        return "unknown"


_SERVICE_CLASSES: Final[Sequence[ServiceClass | None]] = (*ServiceClass, None)


def _order(claim: ClaimedContext) -> tuple[int, Iterable[int]]:
    numbers = [int(part) for part in claim.sop_class_uid.split(".")]
    return _SERVICE_CLASSES.index(claim.service_class), numbers
