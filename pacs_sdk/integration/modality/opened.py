"""An object's attributes, whatever holds it."""

from __future__ import annotations

import pydicom

from pacs_sdk.core.dataset import DatasetLike, DicomDataset, as_dataset
from pacs_sdk.core.results import raised
from pacs_sdk.encoding.files.part10 import read_file
from pacs_sdk.encoding.instance import Instance
from pacs_sdk.encoding.pixels import ImageSource
from pacs_sdk.encoding.rendering.attributes import text

__all__ = ["name_of", "opened"]


def opened(source: ImageSource) -> tuple[DicomDataset, Instance | DatasetLike]:
    """Read the attributes of an object; with them, what its pixels can be decoded from."""
    if isinstance(source, DicomDataset | pydicom.Dataset):
        return as_dataset(source), source
    instance = source if isinstance(source, Instance) else raised(read_file(source))
    return raised(instance.dataset()), instance


def name_of(source: ImageSource, dataset: DicomDataset) -> str:
    """Say what to call an object in messages: its path, or its SOP Instance UID."""
    if isinstance(source, DicomDataset | pydicom.Dataset | Instance):
        return f"instance {text(dataset, 'SOPInstanceUID')}"
    return str(source)
