from __future__ import annotations

from unittest.mock import Mock, call

import pytest

from pacs_sdk.core.guarded_metrics import GuardedMetricSink, guarded_metrics
from pacs_sdk.core.ports import MetricSink, NullMetricSink

METHODS = ("increment", "gauge", "observe")


@pytest.mark.parametrize("method", METHODS)
def test_what_a_sink_raises_is_told_by_a_warning(method: str) -> None:
    """Whoever counts goes on, and somebody hears that numbers are lost."""
    broken = Mock(**{f"{method}.side_effect": OSError(113, "No route to host")})
    with pytest.warns(RuntimeWarning, match=r"numbers are lost: OSError.*No route to host"):
        getattr(guarded_metrics(broken), method)("pacs_images_stored_total", 1.0)


def test_numbers_are_passed_on() -> None:
    """The other sink gets each as it was given."""
    inner = Mock()
    metrics = guarded_metrics(inner)
    metrics.increment("a", kind="x")
    metrics.gauge("b", 2.0)
    metrics.observe("c", 0.5, kind="y")
    assert inner.mock_calls == [
        call.increment("a", 1.0, kind="x"),
        call.gauge("b", 2.0),
        call.observe("c", 0.5, kind="y"),
    ]


@pytest.mark.parametrize("metrics", [NullMetricSink(), GuardedMetricSink(NullMetricSink())])
def test_one_that_never_raises_is_not_wrapped(metrics: MetricSink) -> None:
    """So it costs nothing."""
    assert guarded_metrics(metrics) is metrics
