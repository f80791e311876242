"""Who was told what: every outcome once, whichever thread it comes from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

import attrs

from pacs_sdk.core.errors import PacsError, PacsException
from pacs_sdk.core.ports import Logger
from pacs_sdk.services.sending.outcomes import SkippedFile, StoreOutcome, StoreReport
from pacs_sdk.services.sending.resume_list import ResumeList
from pacs_sdk.services.sending.sources import Beside, Found, Item, Unreadable

__all__ = ["Ledger", "not_sent"]


def not_sent(item: Item, error: PacsError) -> StoreOutcome:
    """Make the outcome of an item that got no answer."""
    instance = item.instance
    return StoreOutcome(
        instance.sop_instance_uid,
        instance.size,
        None,
        error.message,
        error.code,
        source=item.source,
        attempts=item.attempts,
    )


class Ledger:
    """Collects outcomes.

    Args:
        on_outcome: Told of each when it is final, by one thread at a time.
        resume: Where acknowledged instances are recorded.
        logger: Where events are recorded.
    """

    def __init__(
        self,
        on_outcome: Callable[[StoreOutcome], object] | None,
        resume: ResumeList | None,
        logger: Logger,
    ) -> None:
        self.has_connected = False
        """Whether any association was established."""
        self._on_outcome = on_outcome
        self._resume = resume
        self._logger = logger
        self._outcomes: dict[int, StoreOutcome] = {}
        self._skipped: list[SkippedFile] = []
        self._again: list[tuple[Item, StoreOutcome]] = []
        self._resume_error: PacsError | None = None
        self._lock = threading.RLock()

    def to_send(self, found: Iterable[Found]) -> Iterator[Item]:
        """Give what has to be sent; what need not or cannot be is settled at once."""
        for one in found:
            match one:
                case Item():
                    known = None if self._resume is None else self._resume.status_of(one.instance)
                    if known is None:
                        yield one
                    else:
                        self.settle(one.number, _stored_before(one, known))
                case Unreadable():
                    error = one.error
                    outcome = StoreOutcome(
                        "", 0, None, error.message, error.code, source=one.source
                    )
                    self.settle(one.number, outcome)
                case Beside():
                    self._skipped.append(SkippedFile(one.source, one.error))

    def settle(self, number: int, outcome: StoreOutcome) -> None:
        """Take a final outcome."""
        with self._lock:
            self._outcomes[number] = outcome
            if outcome.is_stored:
                self._record(outcome)
            else:
                self._logger.warning(
                    "instance-not-stored",
                    sop_instance_uid=outcome.sop_instance_uid,
                    reason=outcome.explanation,
                )
            if self._on_outcome is not None:
                try:
                    self._on_outcome(outcome)
                except PacsException as exc:  # which must not be taken for one of the network's
                    raise RuntimeError("on_outcome failed") from exc

    def set_aside(self, item: Item, outcome: StoreOutcome) -> None:
        """Keep an item for another attempt, and what became of the last one."""
        with self._lock:
            self._again.append((item, outcome))

    def aside(self) -> list[tuple[Item, StoreOutcome]]:
        """Take what was set aside."""
        with self._lock:
            again, self._again = self._again, []
        return again

    def report(self) -> StoreReport:
        """Report on everything, in the order it was given."""
        outcomes = tuple(self._outcomes[number] for number in sorted(self._outcomes))
        return StoreReport(outcomes, tuple(self._skipped), self._resume_error)

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing at all."""
        return not self._outcomes

    def _record(self, outcome: StoreOutcome) -> None:
        if self._resume is None or outcome.stored_before or outcome.status is None:
            return
        try:
            self._resume.add(outcome.sop_instance_uid, outcome.size_bytes, outcome.status)
        except PacsException as exc:  # the instance is stored all the same
            if self._resume_error is None:
                self._logger.error("resume-list-not-written", reason=exc.error.message)
                self._resume_error = exc.error


def _stored_before(item: Item, status: int) -> StoreOutcome:
    instance = item.instance
    outcome = StoreOutcome(instance.sop_instance_uid, instance.size, status, stored_before=True)
    return attrs.evolve(outcome, source=item.source)
