"""PET: from activity concentration to standardized uptake values (SUV)."""

from pacs_sdk.integration.pet.suv import SuvScale, suv_scale, suv_scales
from pacs_sdk.integration.pet.suv_type import SuvType

__all__ = ["SuvScale", "SuvType", "suv_scale", "suv_scales"]
