"""What becomes of instances that don't conform to their IOD; a setting, without what validates."""

from __future__ import annotations

import enum

__all__ = ["ValidationPolicy"]


class ValidationPolicy(enum.StrEnum):
    """What becomes of instances that don't conform to their IOD when they arrive."""

    OFF = "off"
    """Nothing is validated."""
    REPORT = "report"
    """They are stored and logged, counted and published; the sender is told Success."""
    WARN = "warn"
    """As ``report``, and the sender is warned: status B007H, Data Set does not match SOP Class
    (PS3.4 B.2.3)."""
    REFUSE = "refuse"
    """They are logged, counted and published, and refused with A900H, Data Set does not match
    SOP Class."""
