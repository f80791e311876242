"""How much an attribute is needed (PS3.5 7.4)."""

from __future__ import annotations

import enum

__all__ = ["AttributeType"]


class AttributeType(enum.StrEnum):
    """The type that a module gives to an attribute."""

    ONE = "1"
    """It has to be there, with a value."""
    ONE_C = "1C"
    """Type 1 where its condition holds."""
    TWO = "2"
    """It has to be there; without value where that is unknown."""
    TWO_C = "2C"
    """Type 2 where its condition holds."""
    THREE = "3"
    """It may be left out."""

    @property
    def needs_value(self) -> bool:
        """Whether it must not be empty where it is."""
        return self in (AttributeType.ONE, AttributeType.ONE_C)

    @property
    def is_conditional(self) -> bool:
        """Whether a condition decides if it has to be there."""
        return self in (AttributeType.ONE_C, AttributeType.TWO_C)
