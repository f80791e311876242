"""The silent defaults of the ports: they do nothing, and whatever is asked of a port."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pacs_sdk.core.ports import (
    AuditEvent,
    AuditSink,
    Clock,
    EventBus,
    Logger,
    MetricSink,
    NullAuditSink,
    NullEventBus,
    NullLogger,
    NullMetricSink,
    NullTracer,
    SystemClock,
    Tracer,
)


def test_logger(capfd: pytest.CaptureFixture[str]) -> None:
    """The silent logger writes nothing, bound or not."""
    logger: Logger = NullLogger()
    assert isinstance(logger, Logger)
    for one in (logger, logger.bind(peer="X")):
        for log in (one.debug, one.info, one.warning, one.error):
            log("event", field=1)
    assert capfd.readouterr() == ("", "")


def test_clock() -> None:
    """The system's clock knows its time zone, UTC, and has a clock that never runs back."""
    clock: Clock = SystemClock()
    assert clock.now().utcoffset() == timedelta(0)
    first = clock.monotonic()
    assert clock.monotonic() >= first


def test_metrics_and_audit(capfd: pytest.CaptureFixture[str]) -> None:
    """Counting and auditing into nothing needs no more than the calls."""
    metrics: MetricSink = NullMetricSink()
    metrics.increment("associations", peer="X")
    metrics.gauge("queue", 3)
    metrics.observe("store-seconds", 0.1)
    audit: AuditSink = NullAuditSink()
    audit.record(AuditEvent("association-rejected", False, "MODALITY", "10.0.0.1"))
    assert capfd.readouterr() == ("", "")


def test_tracer() -> None:
    """A silent span takes attributes, can be nested, and lets exceptions through."""
    tracer: Tracer = NullTracer()
    with tracer.span("store", peer="X") as outer, tracer.span("write") as inner:
        outer.set(bytes=3)
        inner.set(durable=True)
    with pytest.raises(ZeroDivisionError), tracer.span("store"):
        raise ZeroDivisionError


def test_event_bus() -> None:
    """A silent bus takes subscriptions and delivers nothing."""
    bus: EventBus = NullEventBus()
    heard: list[str] = []
    subscription = bus.subscribe(str, heard.append)
    bus.publish("event")
    subscription.cancel()
    assert heard == []


def test_audit_event_is_a_value() -> None:
    """Audit events with the same facts are equal and can be put in sets."""
    one = AuditEvent("stored", True, "A", "b", ("1.2",), {"k": "v"})
    two = AuditEvent("stored", True, "A", "b", ("1.2",), {"k": "v"})
    assert one == two
    assert len({one, two}) == 1
