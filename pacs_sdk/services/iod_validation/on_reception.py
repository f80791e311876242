"""Validating what arrives: a hook of the Storage SCP, and what becomes of what it finds."""

from __future__ import annotations

from typing import Final

from pacs_sdk.core.events import NonconformingInstance
from pacs_sdk.core.ports import EventBus, MetricSink, NullMetricSink
from pacs_sdk.core.results import Failure, Success
from pacs_sdk.network.dimse import Status
from pacs_sdk.services.iod_validation.report import Outcome, ValidationReport
from pacs_sdk.services.iod_validation.validate import IodValidator
from pacs_sdk.services.receiving.validation_policy import ValidationPolicy
from pacs_sdk.services.receiving.verdicts import IncomingInstance, Refuse, StoreVerdict, Warn

__all__ = ["ValidateOnReception"]

_MOST_ELEMENTS: Final = 16
"""How many elements a response names; a person looks at the first ones."""

_UNREADABLE: Final = "unreadable"


class ValidateOnReception:
    """Validates each instance before it is stored; for ``StorageScp(before_store=…)``.

    An instance of a SOP class without table is judged by its values and what holds for all
    objects. One whose data set cannot be decoded is refused with C000H by ``REFUSE`` and
    logged otherwise: what the archive makes of it is the archive's to decide.

    Every instance is counted (``pacs_iod_validations_total``, labelled with its outcome);
    those with errors are logged (``instance-nonconforming``) and published
    (:class:`~pacs_sdk.core.NonconformingInstance`), whatever is answered.

    Args:
        policy: What becomes of instances with errors.
        validator: What validates; with the installed tables by default.
        bus: Where instances with errors are published; nowhere by default.
        metrics: Where outcomes are counted.

    Raises:
        PacsException: ``MISSING_DEPENDENCY`` without the tables (extra ``validation``).
    """

    def __init__(
        self,
        policy: ValidationPolicy,
        validator: IodValidator | None = None,
        *,
        bus: EventBus | None = None,
        metrics: MetricSink | None = None,
    ) -> None:
        self._policy = ValidationPolicy(policy)
        self._bus = bus
        self._metrics = metrics or NullMetricSink()
        # The tables are read here, at the start, and not when the first instance arrives.
        self._validator = (
            None if self._policy is ValidationPolicy.OFF else validator or IodValidator()
        )

    def __call__(self, incoming: IncomingInstance) -> StoreVerdict:
        """Validate an instance and say what is to be done with it."""
        if self._validator is None:
            return None
        match self._validator.validate(incoming.instance):
            case Success(report) if report.outcome is Outcome.ERRORS:
                return self._nonconforming(incoming, report)
            case Success(report):
                self._count(str(report.outcome))
            case Failure(error):
                self._count(_UNREADABLE)
                incoming.logger.warning(
                    "instance-not-validated", code=error.code.name, reason=error.message
                )
                if self._policy is ValidationPolicy.REFUSE:
                    return Refuse(Status.CANNOT_UNDERSTAND, error.message)
        return None

    def _nonconforming(self, incoming: IncomingInstance, report: ValidationReport) -> StoreVerdict:
        self._count(str(Outcome.ERRORS))
        refused = self._policy is ValidationPolicy.REFUSE
        errors = report.errors
        incoming.logger.warning(
            "instance-nonconforming",
            sop_class_uid=report.sop_class_uid,
            sop_instance_uid=report.sop_instance_uid,
            iod=report.iod or "",
            errors=len(errors),
            first=str(errors[0]),
            refused=refused,
        )
        if self._bus is not None:
            self._bus.publish(
                NonconformingInstance(
                    sop_class_uid=report.sop_class_uid,
                    sop_instance_uid=report.sop_instance_uid,
                    calling_ae_title=incoming.association.calling_ae_title,
                    errors=tuple(str(one) for one in errors),
                    is_refused=refused,
                )
            )
        comment = _comment(report)
        elements = _offending_elements(report)
        if refused:
            return Refuse(Status.DATA_SET_MISMATCH, comment, offending_elements=elements)
        if self._policy is ValidationPolicy.WARN:
            return Warn(Status.DATA_SET_MISMATCH_WARNING, comment, offending_elements=elements)
        return None

    def _count(self, outcome: str) -> None:
        self._metrics.increment("pacs_iod_validations_total", outcome=outcome)


def _comment(report: ValidationReport) -> str:
    """Write the first error, and how many more there are, for the 64 characters of a comment."""
    first = report.errors[0]
    more = f" and {len(report.errors) - 1} more" if len(report.errors) > 1 else ""
    element = first.path.last.element
    return f"IOD: {getattr(element, 'keyword', '') or element} {first.rule}{more}"


def _offending_elements(report: ValidationReport) -> list[int]:
    """Name the elements at the top that errors are in, each once."""
    tags = {
        int(one.path.steps[0].element): None
        for one in report.errors
        if isinstance(one.path.steps[0].element, int)
    }
    return list(tags)[:_MOST_ELEMENTS]
