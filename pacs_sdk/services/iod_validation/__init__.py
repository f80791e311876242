"""IOD validation: whether an object is what its SOP class says (PS3.3)."""

from pacs_sdk.services.iod_validation.attribute_type import AttributeType
from pacs_sdk.services.iod_validation.bounded import MAX_FINDINGS
from pacs_sdk.services.iod_validation.on_reception import ValidateOnReception
from pacs_sdk.services.iod_validation.report import (
    IodFinding,
    IodRule,
    Outcome,
    Severity,
    ValidationReport,
)
from pacs_sdk.services.iod_validation.validate import (
    IodValidator,
    ObjectSource,
    validate_instance,
)

__all__ = [
    "MAX_FINDINGS",
    "AttributeType",
    "IodFinding",
    "IodRule",
    "IodValidator",
    "ObjectSource",
    "Outcome",
    "Severity",
    "ValidateOnReception",
    "ValidationReport",
    "validate_instance",
]
