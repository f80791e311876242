"""The ports of the core: what outer layers implement and services are given.

Each port has a default that is silent and safe, so nothing has to be configured and
nothing reads a global. The container wires others in; a test passes its own.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Protocol, Self, TypeVar, runtime_checkable

import attrs

__all__ = [
    "AuditEvent",
    "AuditSink",
    "Clock",
    "EventBus",
    "Logger",
    "MetricSink",
    "NullAuditSink",
    "NullEventBus",
    "NullLogger",
    "NullMetricSink",
    "NullTracer",
    "Span",
    "Subscription",
    "SystemClock",
    "Tracer",
]

_Event = TypeVar("_Event")


@runtime_checkable
class Logger(Protocol):
    """Structured log: a constant event name, the facts as fields.

    Callers pass no patient data. ``bind`` returns a logger that adds fields to every
    entry, so an association's context is given once. No method may raise: what is being
    logged would fail. A server and a PACS guard themselves against one that does.
    """

    def bind(self, **fields: object) -> Logger:
        """Return a logger that adds these fields to each entry."""

    def debug(self, event: str, **fields: object) -> None:
        """Record a detail that helps to follow the protocol."""

    def info(self, event: str, **fields: object) -> None:
        """Record something that normally happens."""

    def warning(self, event: str, **fields: object) -> None:
        """Record something a person should look at some day."""

    def error(self, event: str, **fields: object) -> None:
        """Record something that failed."""


class Clock(Protocol):
    """The time, injected so that tests can advance it."""

    def now(self) -> datetime:
        """Return the current time of day, time zone aware (UTC)."""

    def monotonic(self) -> float:
        """Return seconds that never run backwards, for deadlines and durations."""


class MetricSink(Protocol):
    """Where counts, levels and durations go. No method may raise.

    A server and a PACS guard themselves against one that does.
    """

    def increment(self, name: str, value: float = 1.0, **labels: str) -> None:
        """Add to a counter."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a level."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Record one measurement of a distribution (durations in seconds)."""


class Span(Protocol):
    """One traced operation; a context manager."""

    def set(self, **attributes: str | int | float | bool) -> None:
        """Add facts to the span."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc_info: object) -> None: ...


class Tracer(Protocol):
    """Where spans of work (association, operation, storage, query) are recorded."""

    def span(self, name: str, **attributes: str | int | float | bool) -> Span:
        """Start a span; it ends when its context is left."""


@attrs.frozen
class AuditEvent:
    """Something that must be provable later: who did what to which object."""

    action: str
    """What happened, a constant such as ``"association-rejected"``."""
    success: bool
    """Whether it was carried out."""
    actor: str
    """The AE title or user that acted."""
    source: str
    """The network address it came from."""
    objects: tuple[str, ...] = ()
    """UIDs of what was touched."""
    facts: Mapping[str, str] = attrs.field(factory=dict, hash=False)
    """Further facts, by name."""


class AuditSink(Protocol):
    """Where audit events go (PS3.15 A.5)."""

    def record(self, event: AuditEvent) -> None:
        """Keep the event."""


class Subscription(Protocol):
    """A standing subscription to a bus."""

    def cancel(self) -> None:
        """Stop delivery; later events don't reach the handler."""


class EventBus(Protocol):
    """Delivers events within the process to whoever subscribed to their type."""

    def publish(self, event: object) -> None:
        """Hand the event to every subscriber of its type; never fails the publisher."""

    def subscribe(
        self, event_type: type[_Event], handler: Callable[[_Event], None]
    ) -> Subscription:
        """Call the handler with each event of this type from now on."""


class NullLogger:
    """Writes nothing."""

    never_raises = True

    def bind(self, **fields: object) -> Self:
        """Return this logger: there is nothing to add to."""
        return self

    def debug(self, event: str, **fields: object) -> None:
        """Do nothing."""

    info = warning = error = debug


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the current time in UTC."""
        return datetime.now(UTC)

    monotonic = staticmethod(time.monotonic)
    """Asked at every step of every association, so no function of ours stands before it."""


class NullMetricSink:
    """Counts nothing."""

    never_raises = True

    def increment(self, name: str, value: float = 1.0, **labels: str) -> None:
        """Do nothing."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Do nothing."""

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Do nothing."""


class _NullSpan(contextlib.nullcontext[None]):
    def set(self, **attributes: str | int | float | bool) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:  # type: ignore[override]  # a span yields itself
        return self


class NullTracer:
    """Traces nothing."""

    def span(self, name: str, **attributes: str | int | float | bool) -> Span:
        """Return a span that records nothing."""
        return _NullSpan()


class NullAuditSink:
    """Keeps nothing."""

    def record(self, event: AuditEvent) -> None:
        """Do nothing."""


class _NullSubscription:
    def cancel(self) -> None:
        """Do nothing."""


class NullEventBus:
    """Delivers nothing."""

    def publish(self, event: object) -> None:
        """Do nothing."""

    def subscribe(
        self, event_type: type[_Event], handler: Callable[[_Event], None]
    ) -> Subscription:
        """Return a subscription that never delivers."""
        return _NullSubscription()
