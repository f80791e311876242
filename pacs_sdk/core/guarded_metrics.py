"""A metric sink that cannot fail what is being counted, around one that may."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from pacs_sdk.core.ports import MetricSink

__all__ = ["GuardedMetricSink", "guarded_metrics"]


class GuardedMetricSink(MetricSink):
    """Passes numbers on, and keeps what the other sink raises from who counts.

    A collector of metrics that cannot be reached must not keep images from being received. Python's
    warnings tell of it: a :class:`RuntimeWarning` for the first of several failures of a kind.

    Args:
        metrics: The other sink.
    """

    never_raises = True

    def __init__(self, metrics: MetricSink) -> None:
        self._metrics = metrics

    def increment(self, name: str, value: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        _pass_on(self._metrics.increment, name, value, labels)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a level."""
        _pass_on(self._metrics.gauge, name, value, labels)

    def observe(self, name: str, value: float, **labels: str) -> None:
        """Record one measurement of a distribution."""
        _pass_on(self._metrics.observe, name, value, labels)


def guarded_metrics(metrics: MetricSink) -> MetricSink:
    """Return a sink of which no method raises.

    One whose class says by a true ``never_raises`` that this is so of itself is returned as it is.
    """
    # A mock has every attribute, and true ones.
    never_raises = getattr(metrics, "never_raises", False) is True
    return metrics if never_raises else GuardedMetricSink(metrics)


def _pass_on(record: Callable[..., None], name: str, value: float, labels: dict[str, str]) -> None:
    try:
        record(name, value, **labels)
    except Exception as exc:  # noqa: BLE001  # foreign code, which may fail in any way
        warnings.warn(
            f"the metrics failed, and numbers are lost: {exc!r}", RuntimeWarning, stacklevel=3
        )
