"""Target of the validation against IODs: whole files, of which anything may be damaged."""

from __future__ import annotations

from typing import Final

from fuzz.expectations import value_of
from pacs_sdk.encoding import read_bytes
from pacs_sdk.services.iod_validation import IodValidator

__all__ = ["iod_validation"]

_VALIDATOR: Final = IodValidator()
"""Made here, so that the first input doesn't pay for reading the tables."""


def iod_validation(data: bytes) -> None:
    """Validate a file; its report can be written, and names each place."""
    instance = value_of(read_bytes(data))
    if instance is None:
        return
    report = value_of(_VALIDATOR.validate(instance))
    if report is not None:
        report.as_dict()
        str(report)
