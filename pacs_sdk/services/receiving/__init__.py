"""What a Storage SCP takes: transfer syntaxes, rules, and hooks before and after storing."""

from pacs_sdk.services.receiving.rules import (
    AttributeCondition,
    ReceptionRule,
    ReceptionRules,
    RuleAction,
)
from pacs_sdk.services.receiving.syntaxes import TransferSyntaxPolicy
from pacs_sdk.services.receiving.validation_policy import ValidationPolicy
from pacs_sdk.services.receiving.verdicts import (
    AfterStore,
    BeforeStore,
    Coerce,
    IncomingInstance,
    Refuse,
    StoreVerdict,
    Warn,
)

__all__ = [
    "AfterStore",
    "AttributeCondition",
    "BeforeStore",
    "Coerce",
    "IncomingInstance",
    "ReceptionRule",
    "ReceptionRules",
    "Refuse",
    "RuleAction",
    "StoreVerdict",
    "TransferSyntaxPolicy",
    "ValidationPolicy",
    "Warn",
]
