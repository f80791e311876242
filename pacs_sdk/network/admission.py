"""Admission: who may associate, from where, and how often at a time (PS3.8 9.3.4).

AE titles are names, not proofs. Binding them to addresses keeps a misconfigured modality
out, and TLS with client certificates keeps an impostor out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

import attrs

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.ports import Logger, NullLogger
from pacs_sdk.core.results import edge
from pacs_sdk.network.messages import AssociationInfo
from pacs_sdk.network.pdu import (
    AAssociateRJ,
    AAssociateRQ,
    AcseRejectReason,
    PresentationRejectReason,
    RejectResult,
    RejectSource,
    UserRejectReason,
)
from pacs_sdk.network.pdu_reasons import is_defined_rejection
from pacs_sdk.network.peer_counter import PeerCounter
from pacs_sdk.network.peer_rules import (
    AeTitlePattern,
    PeerRule,
    title_patterns,
)

__all__ = [
    "Admission",
    "AdmissionHook",
    "AdmissionRules",
    "Admitted",
    "AeTitlePattern",
    "PeerCounter",
    "PeerRule",
    "Refused",
    "admission_rules",
    "over_peer_limit",
]

# -- decisions -----------------------------------------------------------------------------


@attrs.frozen
class Admitted:
    """The requestor may associate."""


@attrs.frozen
class Refused:
    """The requestor may not associate."""

    reason: str
    """Why, for the log and the audit trail; the peer is not told."""
    answer: AAssociateRJ
    """What the peer is told."""


_ADMITTED: Final = Admitted()

_LONGEST_REASON: Final = 200


def _rejected(reason: UserRejectReason) -> AAssociateRJ:
    return AAssociateRJ(RejectResult.REJECTED_PERMANENT, RejectSource.SERVICE_USER, reason)


def over_peer_limit() -> AAssociateRJ:
    """Make the rejection that asks to try again when others have finished (PS3.8 9.3.4)."""
    return AAssociateRJ(
        RejectResult.REJECTED_TRANSIENT,
        RejectSource.SERVICE_PROVIDER_PRESENTATION,
        PresentationRejectReason.LOCAL_LIMIT_EXCEEDED,
    )


class AdmissionHook(Protocol):
    """Lets the embedding program decide who may associate, after the rules have.

    It is called by many threads at once, and its caller waits: it should answer soon.
    """

    def __call__(self, request: AAssociateRQ, peer: AssociationInfo, /) -> Admitted | Refused:
        """Decide about one request. An exception refuses it, and is logged."""


# -- rules ---------------------------------------------------------------------------------


def _peer_rules(rules: Iterable[str | PeerRule]) -> tuple[PeerRule, ...]:
    if isinstance(rules, str):
        raise PacsException(
            ErrorCode.INVALID_CONFIGURATION,
            f"peer rules are given as a list, not as one text: {rules[:80]!r}",
        )
    return tuple(rule if isinstance(rule, PeerRule) else PeerRule.of(rule) for rule in rules)


@attrs.frozen
class AdmissionRules:
    """Who may associate. Without anything given, everybody may.

    Construction raises ``PacsException`` with ``INVALID_CONFIGURATION``, saying what is wrong;
    :func:`admission_rules` gives the same as a result.
    """

    calling_ae_titles: tuple[AeTitlePattern, ...] = attrs.field(
        default=(), converter=title_patterns
    )
    """Who may call from anywhere, unless a rule of ``peers`` binds the title: AE titles in
    which ``*`` and ``?`` are wildcards."""
    peers: tuple[PeerRule, ...] = attrs.field(default=(), converter=_peer_rules)
    """Who may call from where, such as ``CT*@10.1.0.0/16``. A title that fits several rules may
    come from the networks of each. With rules, and no ``calling_ae_titles``, nobody else may
    call; ``calling_ae_titles=["*"]`` lets all titles in that no rule binds."""
    called_ae_titles: tuple[AeTitlePattern, ...] = attrs.field(default=(), converter=title_patterns)
    """Our own AE title and its aliases; tested only with ``require_called_ae_title``."""
    require_called_ae_title: bool = False
    """Whether a request for another AE title is rejected."""
    max_associations_per_peer: int | None = None
    """At most how many associations at a time one IP address may have, and how many one
    calling AE title; ``None`` sets no limit."""

    def __attrs_post_init__(self) -> None:
        most = self.max_associations_per_peer
        if most is not None and most < 1:
            raise PacsException(
                ErrorCode.INVALID_CONFIGURATION,
                f"max_associations_per_peer is {most}, which would let nobody in",
            )
        if self.require_called_ae_title and not self.called_ae_titles:
            raise PacsException(
                ErrorCode.INVALID_CONFIGURATION,
                "require_called_ae_title needs called_ae_titles, or nobody would get in",
            )

    def decide(self, request: AAssociateRQ, peer_host: str) -> Admitted | Refused:
        """Decide by AE titles and address (PS3.8 9.3.4).

        Args:
            request: The association request.
            peer_host: The address it came from, as the socket shows it.
        """
        if self.require_called_ae_title and not any(
            one.matches(request.called_ae_title) for one in self.called_ae_titles
        ):
            return Refused(
                f"it called {request.called_ae_title!r}, which is none of our AE titles",
                _rejected(UserRejectReason.CALLED_AE_TITLE_NOT_RECOGNIZED),
            )
        if not self.calling_ae_titles and not self.peers:
            return _ADMITTED
        title = request.calling_ae_title
        binding = [rule for rule in self.peers if rule.title.matches(title)]
        if any(rule.allows(peer_host) for rule in binding):
            return _ADMITTED
        if binding:
            reason = f"{title!r} may not call from {peer_host}; {_listed(binding)}"
        elif any(one.matches(title) for one in self.calling_ae_titles):
            return _ADMITTED
        else:
            reason = f"AE title {title!r} is not registered"
        return Refused(reason, _rejected(UserRejectReason.CALLING_AE_TITLE_NOT_RECOGNIZED))

    def admit(
        self, request: AAssociateRQ, peer_host: str, counter: PeerCounter | None = None
    ) -> AAssociateRJ | None:
        """Decide, and count the association if it is admitted.

        Args:
            request: The association request.
            peer_host: The address it came from.
            counter: Counts associations, made with ``max_associations_per_peer``. After an
                admission the caller must :meth:`~PeerCounter.leave` it.

        Returns:
            ``None`` to go on, or the rejection to send.
        """
        decision = self.decide(request, peer_host)
        if isinstance(decision, Refused):
            return decision.answer
        if counter is not None and counter.enter(peer_host, request.calling_ae_title) is not None:
            return over_peer_limit()
        return None


_MOST_RULES_LISTED: Final = 4


def _listed(rules: list[PeerRule]) -> str:
    shown = " and ".join(map(str, rules[:_MOST_RULES_LISTED]))
    return f"bound by {shown}" + (" and others" if len(rules) > _MOST_RULES_LISTED else "")


@edge()
def admission_rules(
    *,
    calling_ae_titles: Iterable[str] = (),
    peers: Iterable[str] = (),
    called_ae_titles: Iterable[str] = (),
    require_called_ae_title: bool = False,
    max_associations_per_peer: int | None = None,
) -> AdmissionRules:
    """Make rules of texts, as a configuration has them; see :class:`AdmissionRules`.

    Returns:
        ``Success`` with the rules, or ``Failure`` with ``INVALID_CONFIGURATION``, which says
        what is wrong with which text.
    """
    return AdmissionRules(
        calling_ae_titles,
        peers,
        called_ae_titles,
        require_called_ae_title,
        max_associations_per_peer,
    )


# -- everything together -------------------------------------------------------------------


class Admission:
    """Decides about requests for a server: by rules, by numbers, and by the program's hook.

    Args:
        rules: Who may associate.
        hook: Decides about those whom the rules admit.
        counter: Counts associations; one of its own by default.
    """

    def __init__(
        self,
        rules: AdmissionRules | None = None,
        hook: AdmissionHook | None = None,
        counter: PeerCounter | None = None,
    ) -> None:
        self._rules = rules or AdmissionRules()
        self._hook = hook
        if counter is None:  # one that has counted nobody is false
            counter = PeerCounter(self._rules.max_associations_per_peer)
        self._counter = counter

    def enter(
        self, request: AAssociateRQ, peer: AssociationInfo, logger: Logger | None = None
    ) -> Admitted | Refused:
        """Decide about a request; after :class:`Admitted`, :meth:`leave` must follow.

        Args:
            request: The association request.
            peer: Who is asking.
            logger: Where a failure of the hook is recorded.
        """
        decision = self._rules.decide(request, peer.peer_host)
        if isinstance(decision, Refused):
            return decision
        reached = self._counter.enter(peer.peer_host, request.calling_ae_title)
        if reached is not None:
            return Refused(reached, over_peer_limit())
        if self._hook is None:
            return _ADMITTED
        decision = _ask(self._hook, request, peer, logger or NullLogger())
        if decision is not _ADMITTED:
            self._counter.leave(peer.peer_host, request.calling_ae_title)
        return decision

    def leave(self, request: AAssociateRQ, peer: AssociationInfo) -> None:
        """Record that an association, admitted by :meth:`enter`, has ended."""
        self._counter.leave(peer.peer_host, request.calling_ae_title)


def _hook_failed() -> AAssociateRJ:
    """Make the rejection for a fault of ours: it may have passed when the peer tries again."""
    return AAssociateRJ(
        RejectResult.REJECTED_TRANSIENT,
        RejectSource.SERVICE_PROVIDER_ACSE,
        AcseRejectReason.NO_REASON_GIVEN,
    )


def _ask(
    hook: AdmissionHook, request: AAssociateRQ, peer: AssociationInfo, logger: Logger
) -> Admitted | Refused:
    try:
        decision: object = hook(request, peer)
    except BaseException as exc:  # noqa: BLE001  # foreign code, even sys.exit(): whom it did not judge stays out
        logger.error("admission-hook-failed", reason=repr(exc))
        return Refused("the admission hook failed", _hook_failed())
    match decision:
        case Admitted():
            return _ADMITTED
        case Refused(_, answer) if is_defined_rejection(
            answer.result, answer.source, answer.reason
        ):
            return decision
    logger.error("admission-hook-failed", reason=f"it returned {decision!r}"[:_LONGEST_REASON])
    return Refused("the admission hook gave no answer that can be sent", _hook_failed())
