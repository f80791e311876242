"""What the tables of PS3.3 cannot say: whether attributes agree with each other and the data."""

from pacs_sdk.services.iod_validation.deep.all_checks import DEEP_CHECKS, DeepCheck, deep_findings

__all__ = ["DEEP_CHECKS", "DeepCheck", "deep_findings"]
