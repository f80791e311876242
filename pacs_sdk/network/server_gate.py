"""Who may associate with a server: rules, identity, negotiation, numbers, and the record of it."""

from __future__ import annotations

import threading

import attrs

from pacs_sdk.core.errors import PacsException
from pacs_sdk.core.ports import AuditEvent, AuditSink, Logger, MetricSink
from pacs_sdk.network.access import AccessControl
from pacs_sdk.network.admission import Admission, AdmissionRules, Admitted, Refused
from pacs_sdk.network.agreement import Acceptance, agreed_extended
from pacs_sdk.network.identity import IdentityPolicy
from pacs_sdk.network.known_requests import KnownRequests
from pacs_sdk.network.messages import AssociationInfo
from pacs_sdk.network.pdu import (
    AAssociateRJ,
    AAssociateRQ,
    AcseRejectReason,
    PresentationRejectReason,
    RejectResult,
    RejectSource,
)
from pacs_sdk.network.server_config import ServerConfig

__all__ = ["ServerGate"]


class ServerGate:
    """Accepts and rejects association requests, and counts those that are accepted.

    Args:
        config: What to allow.
        known: Answers requests by what is supported.
        metrics: Where counts go.
        audit: Where refused and opened associations are recorded.
        access: The program's own say in who may associate.

    Raises:
        PacsException: ``INVALID_CONFIGURATION`` for rules that are none.
    """

    def __init__(
        self,
        config: ServerConfig,
        known: KnownRequests,
        metrics: MetricSink,
        audit: AuditSink,
        access: AccessControl,
    ) -> None:
        self._config = config
        self._known = known
        self._metrics = metrics
        self._audit = audit
        self._admission = Admission(
            AdmissionRules(
                calling_ae_titles=config.calling_ae_titles,
                peers=config.peers,
                called_ae_titles=(config.ae_title, *config.called_ae_titles),
                require_called_ae_title=config.require_called_ae_title,
                max_associations_per_peer=config.max_associations_per_peer,
            ),
            access.admission_hook,
        )
        self._identity = IdentityPolicy(access.identity_verifier, config.identity_required)
        self._lock = threading.Lock()
        self._established = 0

    @property
    def established(self) -> int:
        """How many associations there are now."""
        return self._established

    def admit(
        self, request: AAssociateRQ, info: AssociationInfo, logger: Logger
    ) -> tuple[Acceptance | AAssociateRJ, AssociationInfo]:
        """Accept or reject a request.

        Returns:
            The answer, and who is at the other end with what has been verified. An accepted
            association counts until :meth:`left`.
        """
        with self._lock:
            has_room = self._established < self._config.max_associations
            self._established += has_room
        decision: Admitted | Refused | None = None
        is_kept = False
        try:
            decision = self._admission.enter(request, info, logger) if has_room else _over_limit()
            outcome: Acceptance | Refused
            if isinstance(decision, Admitted):
                outcome, info = self._verified(request, info, logger)
                is_kept = isinstance(outcome, Acceptance)
            else:
                outcome = decision
        finally:
            if has_room and not is_kept:
                if isinstance(decision, Admitted):
                    self._admission.leave(request, info)
                self._leave()
        if isinstance(outcome, Refused):
            answer = outcome.answer
            logger.warning("association-rejected", reason=outcome.reason, answer=answer.explain())
            self._tell("pacs_associations_rejected_total", info, outcome.reason)
            return answer, info
        try:
            self._tell("pacs_associations_total", info)
        except BaseException:
            self.left(request, info)
            raise
        return outcome, info

    def _verified(
        self, request: AAssociateRQ, info: AssociationInfo, logger: Logger
    ) -> tuple[Acceptance | Refused, AssociationInfo]:
        user = self._identity.check(request, info.peer_host, logger)
        if isinstance(user, Refused):
            return user, info
        response = None
        if user is not None:
            info = attrs.evolve(info, user_name=user.name)
            response = user.response_to(request)
        try:
            answer = self._known.answer(request, response)
        except PacsException as exc:  # the most that an item of it can hold is 65,535 bytes
            return _unwritable(exc), info
        if isinstance(answer, AAssociateRJ):
            return Refused(answer.explain(), answer), info
        for sentence in answer.refusals:
            logger.info("context-refused", reason=sentence)
        if answer.answer.user_information.extended_negotiations:
            info = attrs.evolve(info, extended=agreed_extended(request, answer.answer))
        return answer, info

    def _tell(self, metric: str, info: AssociationInfo, reason: str | None = None) -> None:
        """Count a request, and record it for the audit; with a reason, if it was refused."""
        self._metrics.increment(metric, ae_title=self._config.ae_title)
        action = "association-accepted" if reason is None else "association-rejected"
        facts = {"called_ae_title": info.called_ae_title}
        if reason is not None:
            facts["reason"] = reason
        if info.user_name:
            facts["user"] = info.user_name
        if info.tls is not None:
            facts["tls_version"], facts["tls_cipher"] = info.tls.version, info.tls.cipher
            facts["tls_peer"] = info.tls.peer_subject or "without a certificate"
        self._audit.record(
            AuditEvent(
                action,
                reason is None,
                actor=info.calling_ae_title,
                source=info.peer_host,
                facts=facts,
            )
        )

    def left(self, request: AAssociateRQ, info: AssociationInfo) -> None:
        """Note that an accepted association has ended."""
        self._admission.leave(request, info)
        self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._established -= 1


def _unwritable(exc: PacsException) -> Refused:
    """Refuse for good who can be answered in no other way, as an overlong identity response."""
    answer = AAssociateRJ(
        RejectResult.REJECTED_PERMANENT,
        RejectSource.SERVICE_PROVIDER_ACSE,
        AcseRejectReason.NO_REASON_GIVEN,
    )
    return Refused(f"its acceptance cannot be written: {exc.error.message}", answer)


def _over_limit() -> Refused:
    answer = AAssociateRJ(
        result=RejectResult.REJECTED_TRANSIENT,
        source=RejectSource.SERVICE_PROVIDER_PRESENTATION,
        reason=PresentationRejectReason.LOCAL_LIMIT_EXCEEDED,
    )
    return Refused("there are too many associations", answer)
