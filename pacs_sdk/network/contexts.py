"""What application entities offer, support and agree on, as values (PS3.8 7.1.1, PS3.7 D.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

import attrs
from pydicom._uid_dict import UID_dictionary

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.uids import (
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    is_valid_uid,
)
from pacs_sdk.network.pdu import AAssociateRQ
from pacs_sdk.network.user_information import (
    SopClassCommonExtendedNegotiation,
    UserIdentityRQ,
    UserInformation,
)

__all__ = [
    "DEFAULT_MAXIMUM_LENGTH",
    "STORAGE_SERVICE_CLASS",
    "AcceptedContext",
    "AcceptorPolicy",
    "ExtendedAnswer",
    "ProposedContext",
    "RequestorOptions",
    "SupportedContext",
    "common_flags",
    "may_be_storage",
]

DEFAULT_MAXIMUM_LENGTH: Final = 131_072
"""The P-DATA-TF length we ask peers to keep to: DCMTK's own ceiling, so that its
clients send in as few pieces as they can."""

STORAGE_SERVICE_CLASS: Final = "1.2.840.10008.4.2"
"""The Storage Service Class (PS3.4 Annex B)."""

_STORAGE_PREFIX: Final = "1.2.840.10008.5.1.4.1.1."
"""Where the standard's storage SOP classes live (PS3.4 Table B.5-1)."""

_STANDARD_ROOT: Final = "1.2.840.10008."
"""Where all UIDs of the standard live (PS3.5 9)."""

_MOST_OPERATIONS: Final = 0xFFFF

ExtendedAnswer: TypeAlias = bytes | Callable[[bytes], bytes | None]
"""How to answer SOP class extended negotiation: always with the same bytes, or with what a
function makes of the proposed ones; ``None`` leaves the item out."""


@attrs.frozen
class ProposedContext:
    """What a requestor would like to exchange."""

    abstract_syntax: str
    """The SOP class."""
    transfer_syntaxes: tuple[str, ...]
    """The encodings it can send or take, preferred first."""
    as_scu: bool = True
    """Whether it wants to invoke the SOP class (the default role, PS3.7 D.3.3.4)."""
    as_scp: bool = False
    """Whether it wants to perform it, as a C-GET requestor does for Storage."""


def _frozen(texts: Iterable[str]) -> frozenset[str]:
    return frozenset(texts)


def _tuple(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(texts)


@attrs.frozen
class SupportedContext:
    """What an acceptor can exchange."""

    abstract_syntax: str
    """The SOP class."""
    transfer_syntaxes: frozenset[str] = attrs.field(converter=_frozen)
    """The encodings it takes."""
    as_scp: bool = True
    """Whether it performs the SOP class."""
    as_scu: bool = False
    """Whether it also invokes it when the requestor offers to be the SCP."""
    extended: ExtendedAnswer | None = attrs.field(default=None, kw_only=True)
    """How it answers extended negotiation about the SOP class (PS3.7 D.3.3.5); not at all by
    default."""
    transfer_syntaxes_as_scu: frozenset[str] | None = attrs.field(
        default=None, kw_only=True, converter=attrs.converters.optional(_frozen)
    )
    """The encodings in which it invokes the SOP class; the same if ``None``."""
    preferred: tuple[str, ...] = attrs.field(default=(), kw_only=True, converter=_tuple)
    """Of the encodings that a context proposes, the first of these is taken; if there is none,
    the first that the requestor proposes."""

    def syntaxes_in(self, *, as_scp: bool, as_scu: bool) -> frozenset[str]:
        """List the encodings that suit what a context is used for; each role if it is both."""
        invoking = self.transfer_syntaxes_as_scu
        if invoking is None or not as_scu:
            return self.transfer_syntaxes
        return self.transfer_syntaxes & invoking if as_scp else invoking


@attrs.frozen
class AcceptedContext:
    """One presentation context that both sides agreed on, seen from the local side."""

    context_id: int
    """The odd number that names it in every PDV."""
    abstract_syntax: str
    """The SOP class."""
    transfer_syntax: str
    """The encoding of data sets in it."""
    as_scu: bool
    """Whether the local side may invoke operations."""
    as_scp: bool
    """Whether the local side performs them."""
    performed_as: str = attrs.field(kw_only=True)
    """The SOP class whose service performs it: itself, unless the local side took an unknown
    SOP class for one of those that it knows (PS3.7 D.3.3.6)."""

    @performed_as.default
    def _itself(self) -> str:
        return self.abstract_syntax


def _operations(owner: object, attribute: attrs.Attribute[int], value: int) -> None:
    if not 0 <= value <= _MOST_OPERATIONS:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"{type(owner).__name__}.{attribute.name} is {value}, but a window of operations has "
            f"1 to {_MOST_OPERATIONS}, or 0 for any number",
            field=attribute.name,
        )


def _by_abstract_syntax(contexts: Iterable[SupportedContext]) -> dict[str, SupportedContext]:
    return {context.abstract_syntax: context for context in contexts}


def _copied(answers: Mapping[str, ExtendedAnswer]) -> dict[str, ExtendedAnswer]:
    return dict(answers)


@attrs.frozen
class AcceptorPolicy:
    """What an acceptor demands of a requestor before it accepts, and what it offers."""

    ae_title: str
    """The acceptor's own AE title."""
    contexts: Mapping[str, SupportedContext] = attrs.field(converter=_by_abstract_syntax)
    """What it supports; given as an iterable of contexts."""
    require_called_ae_title: bool = False
    """Whether a request for another AE title is rejected."""
    calling_ae_titles: frozenset[str] = attrs.field(default=(), converter=_frozen)
    """The AE titles that may associate; empty means all."""
    maximum_length: int = DEFAULT_MAXIMUM_LENGTH
    """The longest P-DATA-TF variable field it takes, in bytes."""
    max_operations_performed: int = attrs.field(default=1, kw_only=True, validator=_operations)
    """Operations it performs at a time for a requestor that asks for it; 0 is any number
    (PS3.7 D.3.3.3)."""
    max_operations_invoked: int = attrs.field(default=1, kw_only=True, validator=_operations)
    """Operations it invokes before it waits for an answer; 0 is any number."""
    extended: Mapping[str, ExtendedAnswer] = attrs.field(
        factory=dict, kw_only=True, converter=_copied
    )
    """How it answers SOP class extended negotiation, by SOP class (PS3.7 D.3.3.5)."""
    accept_by_service_class: bool = attrs.field(default=False, kw_only=True)
    """Whether an unknown SOP class is accepted that the requestor describes (PS3.7 D.3.3.6)
    as related to a general SOP class that is supported, or as one of Storage."""
    accept_unknown_storage: bool = attrs.field(default=False, kw_only=True)
    """Whether a SOP class that nothing is known of (:func:`may_be_storage`) is accepted as one
    of Storage, unless the requestor describes it as something else."""
    unknown_abstract_syntax: Callable[[str], SupportedContext | None] | None = attrs.field(
        default=None, kw_only=True
    )
    """Asked about each unknown SOP class: as what it is supported, or ``None``. The context it
    returns is usually that of a known SOP class, whose service then performs it."""
    plain_information: UserInformation = attrs.field(init=False, eq=False, repr=False)
    """The user information of an answer in which nothing but the contexts is negotiated."""
    _any_storage: SupportedContext | None = attrs.field(init=False, eq=False, repr=False)

    @plain_information.default
    def _says_who_we_are(self) -> UserInformation:
        return UserInformation(
            self.maximum_length, IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
        )

    @_any_storage.default
    def _what_every_storage_class_takes(self) -> SupportedContext | None:
        known = [
            context
            for uid, context in self.contexts.items()
            if uid.startswith(_STORAGE_PREFIX) and context.as_scp
        ]
        if not known:
            return None
        return SupportedContext(
            known[0].abstract_syntax,
            frozenset.intersection(*(context.transfer_syntaxes for context in known)),
            as_scp=True,
            as_scu=all(context.as_scu for context in known),
        )

    def supporting(self, request: AAssociateRQ) -> Mapping[str, SupportedContext]:
        """List what is supported, by SOP class, in answer to one request.

        It holds every known SOP class, and those unknown ones of the request that are
        supported as something else (PS3.7 D.3.3.6); such a one has the context of a known SOP
        class, whose ``abstract_syntax`` tells who performs it.
        """
        if not (
            self.accept_by_service_class
            or self.accept_unknown_storage
            or self.unknown_abstract_syntax is not None
        ):
            return self.contexts
        proposed = (context.abstract_syntax for context in request.presentation_contexts)
        unknown = {uid for uid in proposed if uid not in self.contexts and is_valid_uid(uid)}
        if not unknown:
            return self.contexts
        described = {
            item.sop_class_uid: item
            for item in request.user_information.common_extended_negotiations
        }
        supported = dict(self.contexts)
        for uid in sorted(unknown):
            found = self._as_described(described.get(uid))
            if found is None and self.unknown_abstract_syntax is not None:
                found = self.unknown_abstract_syntax(uid)
            if found is None and self.accept_unknown_storage and uid not in described:
                found = self._any_storage if may_be_storage(uid) else None
            if found is not None:
                supported[uid] = found
        return supported

    def _as_described(
        self, item: SopClassCommonExtendedNegotiation | None
    ) -> SupportedContext | None:
        if item is None or not self.accept_by_service_class:
            return None
        for general in item.related_general_sop_class_uids:
            if general in self.contexts:
                return self.contexts[general]
        return self._any_storage if item.service_class_uid == STORAGE_SERVICE_CLASS else None


def may_be_storage(uid: str) -> bool:
    """Tell whether a SOP class could be one of Storage that did not exist when this was written.

    That is a private one, or one of the standard that has a UID beside the storage SOP classes
    and is in no edition we know. What PS3.6 registers as something else is none.
    """
    if uid in UID_dictionary:
        return False
    return uid.startswith(_STORAGE_PREFIX) or not uid.startswith(_STANDARD_ROOT)


def common_flags(ours: bytes) -> Callable[[bytes], bytes]:
    """Make the answer to extended negotiation whose every byte is a flag.

    That is so for C-FIND, C-MOVE and C-GET (PS3.4 C.5.1.1, C.5.2.1, C.5.3.1).

    Args:
        ours: Which behaviours are supported: 1 for supported, 0 for not, in the order of the
            standard (relational queries, combined date and time, fuzzy names, time zone …).

    Returns:
        The answer for :attr:`AcceptorPolicy.extended`: as many bytes as were proposed, 1 where
        both sides say so.
    """

    def answer(proposed: bytes) -> bytes:
        supported = ours.ljust(len(proposed), b"\0")
        return bytes(
            theirs == 1 and own == 1 for theirs, own in zip(proposed, supported, strict=False)
        )

    return answer


def _copied_bytes(proposals: Mapping[str, bytes]) -> dict[str, bytes]:
    return dict(proposals)


@attrs.frozen
class RequestorOptions:
    """What a requestor negotiates beside its presentation contexts (PS3.7 D.3.3)."""

    max_operations_invoked: int = attrs.field(default=1, validator=_operations)
    """Operations it would like to invoke before it waits for an answer; 0 is any number."""
    max_operations_performed: int = attrs.field(default=1, validator=_operations)
    """Operations it can perform at a time (C-STORE sub-operations of a C-GET); 0 is any
    number."""
    extended: Mapping[str, bytes] = attrs.field(factory=dict, converter=_copied_bytes)
    """Application information, by SOP class (PS3.7 D.3.3.5)."""
    common_extended: tuple[SopClassCommonExtendedNegotiation, ...] = ()
    """What its SOP classes are generally (PS3.7 D.3.3.6)."""
    user_identity: UserIdentityRQ | None = None
    """Who the user is (PS3.7 D.3.3.7); sent in the clear unless the connection is TLS."""
