"""What each modality needs: HU, SUV, dose in gray, detectors of a gamma camera, cine loops."""

from pacs_sdk.integration.modality.dataset_image import dataset_to_image, dataset_to_volumes
from pacs_sdk.integration.modality.dose import load_dose
from pacs_sdk.integration.modality.hounsfield import apply_hounsfield
from pacs_sdk.integration.modality.nuclear import load_nuclear_medicine
from pacs_sdk.integration.modality.object_volume import ObjectVolume
from pacs_sdk.integration.modality.series import load_ct_series, load_mr_series, load_pet_series

__all__ = [
    "ObjectVolume",
    "apply_hounsfield",
    "dataset_to_image",
    "dataset_to_volumes",
    "load_ct_series",
    "load_dose",
    "load_mr_series",
    "load_nuclear_medicine",
    "load_pet_series",
]
