"""User identity negotiation: who the user behind a request is (PS3.7 D.3.3.7).

How an identity is verified is no matter of DICOM, so it is injected. For user names with a
passcode there is :class:`PasswordVerifier`; Kerberos tickets, SAML assertions and JSON web
tokens need the program's own verifier. What identifies a user is in no log, representation
or message of this module.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.ports import Logger, NullLogger
from pacs_sdk.core.results import Failure, PacsResult, Success, edge
from pacs_sdk.network.admission import Refused
from pacs_sdk.network.passcodes import ScryptCost, ScryptHash, hash_passcode
from pacs_sdk.network.pdu import (
    AAssociateRJ,
    AAssociateRQ,
    AcseRejectReason,
    RejectResult,
    RejectSource,
)
from pacs_sdk.network.pdu_fields import masked
from pacs_sdk.network.user_information import UserIdentityAC, UserIdentityRQ, UserIdentityType

__all__ = [
    "IdentityPolicy",
    "PasswordVerifier",
    "UserIdentityVerifier",
    "VerifiedIdentity",
    "hash_passcode",
    "identity_rejection",
    "password_verifier",
    "username_identity",
]

_MOST_AT_A_TIME: Final = 4
"""Verifications under way at once in one :class:`PasswordVerifier`: each fills a core and some
memory, and a crowd of requests must not take all of both."""

_LONGEST_PASSCODE_BYTES: Final = 1024
"""A longer passcode is nobody's; the item could hold 65,535 bytes."""

_NAME_TYPES: Final = (UserIdentityType.USERNAME, UserIdentityType.USERNAME_AND_PASSCODE)
_MOST_FIELD_BYTES: Final = 0xFFFF


@attrs.frozen
class VerifiedIdentity:
    """Who the user is, for audit records and for what he or she may do."""

    name: str
    """The user's name as the verifier knows it."""
    identity_type: UserIdentityType
    """In what form it was presented."""
    server_response: bytes = attrs.field(default=b"", repr=masked)
    """The Kerberos server ticket, SAML response or JSON web token to answer with, at most
    65,535 bytes; not sent for user names (PS3.7 Table D.3-15)."""

    def response_to(self, request: AAssociateRQ) -> UserIdentityAC | None:
        """Make the answer for :func:`~pacs_sdk.network.negotiation.negotiate`.

        Returns:
            The sub-item, or ``None`` if no positive response was requested (PS3.7 D.3.3.7).
        """
        identity = request.user_information.user_identity
        if identity is None or not identity.positive_response_requested:
            return None
        if identity.identity_type in _NAME_TYPES:
            return UserIdentityAC()
        return UserIdentityAC(self.server_response)


class UserIdentityVerifier(Protocol):
    """Finds out whether a user is who the request says; used by many threads."""

    def verify(self, identity: UserIdentityRQ, peer_host: str) -> PacsResult[VerifiedIdentity]:
        """Verify an identity.

        Args:
            identity: What the peer sent.
            peer_host: The address it came from.

        Returns:
            ``Success`` with the user, or ``Failure`` with ``NOT_AUTHORISED``. The message goes
            into the log: it must say nothing of what the peer sent.
        """


def identity_rejection() -> AAssociateRJ:
    """Make the rejection for an authorization failure (PS3.7 D.3.3.7.3).

    It is permanent, because the same identity will fail again, and comes from the service
    provider's ACSE related function; of the reasons in PS3.8 Table 9-21 only
    no-reason-given fits.
    """
    return AAssociateRJ(
        RejectResult.REJECTED_PERMANENT,
        RejectSource.SERVICE_PROVIDER_ACSE,
        AcseRejectReason.NO_REASON_GIVEN,
    )


@attrs.frozen
class IdentityPolicy:
    """What a server demands of the user behind a request."""

    verifier: UserIdentityVerifier | None = None
    """Verifies identities. Without one they are ignored, as the standard allows: the
    requestor gets no response and may think its part."""
    identity_required: bool = False
    """Whether a request without an identity is rejected."""

    def __attrs_post_init__(self) -> None:
        if self.identity_required and self.verifier is None:
            raise PacsException(
                ErrorCode.INVALID_CONFIGURATION,
                "identity_required needs a verifier, or nobody would get in",
            )

    def check(
        self, request: AAssociateRQ, peer_host: str, logger: Logger | None = None
    ) -> VerifiedIdentity | Refused | None:
        """Verify the identity in a request.

        Args:
            request: The association request.
            peer_host: The address it came from.
            logger: Where a failure of the verifier is recorded.

        Returns:
            The user, or why he or she is refused and what to tell the peer; ``None`` if there
            is no identity, or nobody to verify it.
        """
        identity = request.user_information.user_identity
        if self.verifier is None:
            return None
        if identity is None:
            if self.identity_required:
                return _refused("it names no user, and one is required")
            return None
        try:
            result = self.verifier.verify(identity, peer_host)
        except BaseException as exc:  # noqa: BLE001  # foreign code, even sys.exit(): whom it did not verify stays out
            # Only the type: the message of a strange exception may quote the secret.
            (logger or NullLogger()).error("identity-verifier-failed", kind=type(exc).__name__)
            return _refused("the verifier of user identities failed")
        match result:
            case Success(VerifiedIdentity() as user):
                if len(user.server_response) > _MOST_FIELD_BYTES:
                    return _refused("the verifier's response is longer than an answer can be")
                return user
            case Failure(PacsError(message=message)):
                return _refused(message)
        return _refused("the verifier of user identities gave no result")


def _refused(reason: str) -> Refused:
    return Refused(reason, identity_rejection())


# -- user names ----------------------------------------------------------------------------


@edge()
def username_identity(
    name: str, passcode: str | None = None, *, positive_response_requested: bool = True
) -> UserIdentityRQ:
    """Make the identity of a user for a request (PS3.7 D.3.3.7.1).

    Args:
        name: The user's name.
        passcode: The passcode. It is sent as it is: use TLS.
        positive_response_requested: Whether the acceptor shall answer. One that does not
            answer then has ignored the identity.

    Returns:
        ``Success``, or ``Failure`` with ``INVALID_ARGUMENT`` for an empty or overlong name or
        passcode, or one that has no UTF-8.
    """
    kind = UserIdentityType.USERNAME
    if passcode is not None:
        kind = UserIdentityType.USERNAME_AND_PASSCODE
    return UserIdentityRQ(
        kind,
        _encoded(name, "user name"),
        b"" if passcode is None else _encoded(passcode, "passcode"),
        positive_response_requested,
    )


def _encoded(text: str, what: str) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError:  # its message would quote the text
        data = b""
    if not 0 < len(data) <= _MOST_FIELD_BYTES:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"the {what} must be UTF-8 text of 1 to {_MOST_FIELD_BYTES} bytes",
        ) from None
    return data


def _hashes(texts: Mapping[str, str]) -> dict[str, ScryptHash]:
    hashes = {}
    for name, text in texts.items():
        if not name:
            raise PacsException(ErrorCode.INVALID_CONFIGURATION, "a user name is empty")
        try:
            hashes[name] = ScryptHash.parse(text)
        except PacsException as exc:
            raise PacsException(
                ErrorCode.INVALID_CONFIGURATION, f"user {name!r}: {exc.error.message}"
            ) from exc
    return hashes


class PasswordVerifier:
    """Verifies user names and passcodes; any other identity fails.

    An unknown name takes as long as a wrong passcode, so that nobody can find out which names
    exist. That holds if all hashes have one cost, as those of :func:`hash_passcode` do.

    Args:
        passcode_hashes: The text of :func:`hash_passcode` for each user name.
        without_passcode: User names that are believed without a passcode
            (:attr:`UserIdentityType.USERNAME`), for peers that are known otherwise.

    Raises:
        PacsException: ``INVALID_CONFIGURATION``, a text is no hash, or the names are one text.
            :func:`password_verifier` gives the same as a result.
    """

    def __init__(
        self, passcode_hashes: Mapping[str, str], without_passcode: Iterable[str] = ()
    ) -> None:
        self._hashes = _hashes(passcode_hashes)
        if isinstance(without_passcode, str):  # each of its letters would be a user
            raise PacsException(
                ErrorCode.INVALID_CONFIGURATION,
                f"user names are given as a list, not as one text: {without_passcode[:80]!r}",
            )
        self._without_passcode = frozenset(without_passcode)
        costs = Counter(known.cost for known in self._hashes.values()).most_common(1)
        usual = costs[0][0] if costs else ScryptCost()
        # No passcode hashes to these zeros, and the answer is never used.
        self._nobody = ScryptHash(usual, bytes(16), bytes(32))
        self._places = threading.BoundedSemaphore(_MOST_AT_A_TIME)

    @edge()
    def verify(self, identity: UserIdentityRQ, peer_host: str) -> VerifiedIdentity:
        """Verify a user name, with its passcode.

        Args:
            identity: What the peer sent.
            peer_host: Not used.

        Returns:
            ``Success`` with the user, or ``Failure`` with ``NOT_AUTHORISED``.
        """
        name = _decoded(identity.primary_field)
        if identity.identity_type is UserIdentityType.USERNAME:
            if name not in self._without_passcode:
                raise _not_authorised("the user name is unknown or needs a passcode")
            return VerifiedIdentity(name, UserIdentityType.USERNAME)
        if identity.identity_type is not UserIdentityType.USERNAME_AND_PASSCODE:
            kind = identity.identity_type
            shown = kind.name if isinstance(kind, UserIdentityType) else f"type {kind}"
            raise _not_authorised(f"user identities of {shown} cannot be verified here")
        if len(identity.secondary_field) > _LONGEST_PASSCODE_BYTES:
            raise _not_authorised(f"the passcode is longer than {_LONGEST_PASSCODE_BYTES} bytes")
        known = self._hashes.get(name, self._nobody)
        with self._places:
            is_right = known.fits(identity.secondary_field)
        if not is_right or known is self._nobody:
            raise _not_authorised("the user name or the passcode is wrong")
        return VerifiedIdentity(name, UserIdentityType.USERNAME_AND_PASSCODE)

    def __repr__(self) -> str:
        return f"<PasswordVerifier of {len(self._hashes)} users>"


@edge()
def password_verifier(
    passcode_hashes: Mapping[str, str], without_passcode: Iterable[str] = ()
) -> PasswordVerifier:
    """Make a :class:`PasswordVerifier` of a configuration's texts.

    Returns:
        ``Success``, or ``Failure`` with ``INVALID_CONFIGURATION`` naming the user.
    """
    return PasswordVerifier(passcode_hashes, without_passcode)


def _decoded(field: bytes) -> str:
    """Read a user name (UTF-8); padding is dropped, and what is no UTF-8 is nobody's name."""
    return field.decode("utf-8", "replace").rstrip("\0 ")


def _not_authorised(message: str) -> PacsException:
    return PacsException(ErrorCode.NOT_AUTHORISED, message)
