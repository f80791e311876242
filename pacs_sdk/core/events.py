"""The events that cross layers, and the bus that carries them inside one process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import attrs

from pacs_sdk.core.ports import EventBus, Logger, NullLogger, Subscription

__all__ = ["InProcessEventBus", "InstanceStored", "NonconformingInstance", "StudySettled"]

_Event = TypeVar("_Event")


@attrs.frozen
class InstanceStored:
    """An instance has become durable in the archive and can be found by a query."""

    study_instance_uid: str
    """The study it belongs to."""
    series_instance_uid: str
    """The series it belongs to."""
    sop_instance_uid: str
    """The instance itself."""
    sop_class_uid: str
    """What kind of object it is."""
    size_bytes: int
    """How many bytes its file takes."""


@attrs.frozen
class NonconformingInstance:
    """An instance has arrived that does not conform to the IOD of its SOP class."""

    sop_class_uid: str
    """What kind of object it is."""
    sop_instance_uid: str
    """The instance itself."""
    calling_ae_title: str
    """Who sent it."""
    errors: tuple[str, ...]
    """What is wrong with it, each with its path; values of free text are not repeated."""
    is_refused: bool
    """Whether it was refused; otherwise it is going to be stored."""


@attrs.frozen
class StudySettled:
    """Nothing has happened to a study for a while: it is probably complete."""

    study_instance_uid: str
    """The study."""


@attrs.frozen
class _Handle:
    """One subscription; cancelling it twice is harmless."""

    _bus: InProcessEventBus
    _event_type: type[object]
    _handler: Callable[..., None]

    def cancel(self) -> None:
        """Stop delivery to this handler."""
        self._bus._remove(self._event_type, self)

    def deliver(self, event: object) -> None:
        """Call the handler."""
        self._handler(event)


class InProcessEventBus(EventBus):
    """Delivers each event in the publisher's thread, in the order of subscription.

    A handler that raises is logged and does not reach the publisher: what was stored
    stays stored whatever a listener does.
    """

    def __init__(self, logger: Logger | None = None) -> None:
        self._logger = logger or NullLogger()
        self._lock = threading.Lock()
        self._handles: dict[type[object], tuple[_Handle, ...]] = {}

    def publish(self, event: object) -> None:
        """Hand the event to the subscribers of exactly its type."""
        for handle in self._handles.get(type(event), ()):
            try:
                handle.deliver(event)
            except Exception as exc:  # noqa: BLE001  # foreign code must not fail the publisher
                self._logger.error(
                    "event-handler-failed", event_type=type(event).__name__, reason=repr(exc)
                )

    def subscribe(
        self, event_type: type[_Event], handler: Callable[[_Event], None]
    ) -> Subscription:
        """Call the handler with each event of this type until the subscription ends."""
        handle = _Handle(self, event_type, handler)
        with self._lock:
            self._handles[event_type] = (*self._handles.get(event_type, ()), handle)
        return handle

    def _remove(self, event_type: type[object], handle: _Handle) -> None:
        with self._lock:
            kept = tuple(one for one in self._handles.get(event_type, ()) if one is not handle)
            self._handles[event_type] = kept
