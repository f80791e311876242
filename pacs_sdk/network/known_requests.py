"""Association requests that came before, and how they were answered.

A modality asks for the same contexts again and again: the bytes of its request tell what it
says, and what it says tells the answer. Nothing of it is worked out twice.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Final

from pacs_sdk.network.agreement import Acceptance
from pacs_sdk.network.contexts import AcceptorPolicy
from pacs_sdk.network.negotiation import negotiate
from pacs_sdk.network.pdu import AAssociateRJ, AAssociateRQ, Pdu, PduType
from pacs_sdk.network.pdu_codec import decode_pdu
from pacs_sdk.network.refusals import explain
from pacs_sdk.network.user_information import UserIdentityAC

__all__ = ["KnownRequests"]

_MOST: Final = 64
"""Requests that are remembered. When there is one more, all are forgotten: whoever sends ever
new ones costs the others a moment, not us memory."""

_LONGEST: Final = 1 << 14
"""Bytes of a request that is remembered. One with 60 contexts of 4 transfer syntaxes has 9 KB;
with what is made of them, 64 of the longest take 6 MB."""


class KnownRequests:
    """Reads and answers association requests for a server; used by many threads.

    What it remembers are values that nobody can change. A request with a user identity is
    forgotten at once: its passcode must not stay in memory.

    Args:
        policy: What is supported.
    """

    def __init__(self, policy: AcceptorPolicy) -> None:
        self._policy = policy
        self._lock = threading.Lock()
        self._requests: dict[bytes, AAssociateRQ] = {}
        self._answers: dict[tuple[AAssociateRQ, bytes], Acceptance | None] = {}

    def decode(self, data: bytes | memoryview) -> Pdu:
        """Read one complete PDU, as :func:`decode_pdu` does.

        Raises:
            PacsException: ``INVALID_PDU``.
        """
        if data[0] != PduType.A_ASSOCIATE_RQ or len(data) > _LONGEST:
            return decode_pdu(data)
        whole = bytes(data)
        known = self._requests.get(whole)
        if known is not None:
            return known
        request = decode_pdu(whole)
        if isinstance(request, AAssociateRQ) and request.user_information.user_identity is None:
            self._remember(whole, request)
        return request

    def _remember(self, whole: bytes, request: AAssociateRQ) -> None:
        with self._lock:
            if len(self._requests) >= _MOST:
                self._requests.clear()
                self._answers.clear()
            self._requests[whole] = request
            self._answers.setdefault(_key(request), None)

    def answer(
        self, request: AAssociateRQ, identity_response: UserIdentityAC | None = None
    ) -> Acceptance | AAssociateRJ:
        """Answer a request (PS3.8 9.3.3, 9.3.4).

        Args:
            request: What is proposed.
            identity_response: As for :func:`negotiate`.

        Raises:
            PacsException: ``INVALID_PDU``, the answer cannot be sent.
        """
        known = self._answers.get(_key(request))
        if known is not None:
            return known
        answer = negotiate(request, self._policy, identity_response=identity_response)
        if isinstance(answer, AAssociateRJ):
            return answer
        acceptance = Acceptance.of(
            request, answer, self._performed_as(request), explain(request, answer, self._policy)
        )
        if self._decides_alone(request):
            with self._lock:
                if _key(request) in self._answers:
                    self._answers[_key(request)] = acceptance
        return acceptance

    def _decides_alone(self, request: AAssociateRQ) -> bool:
        """Whether nothing but values decides: the functions of a policy may say this and that."""
        return (
            not request.user_information.extended_negotiations
            and self._policy.unknown_abstract_syntax is None
        )

    def _performed_as(self, request: AAssociateRQ) -> Mapping[str, str]:
        """Tell as which SOP class each unknown one of a request is performed, if it is at all."""
        supported = self._policy.supporting(request)
        if supported is self._policy.contexts:
            return {}
        return {
            uid: context.abstract_syntax
            for uid, context in supported.items()
            if uid != context.abstract_syntax
        }


def _key(request: AAssociateRQ) -> tuple[AAssociateRQ, bytes]:
    """Tell requests apart that are answered alike but for the bytes that are returned to them."""
    return request, request.received_fields
