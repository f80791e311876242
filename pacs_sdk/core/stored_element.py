"""Elements as a pydicom data set keeps them: converted, or raw as they were read."""

from __future__ import annotations

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

__all__ = ["stored_element"]


def stored_element(dataset: Dataset, tag: int) -> DataElement | RawDataElement:
    """Return an element that is there, without converting it.

    ``Dataset.get_item`` takes an element of no bytes for one that is still to be fetched from
    its file, converts it, and raises whatever that raises. Here only an element that has
    bytes in a file is fetched, and converted.
    """
    element = dataset.get_item(tag, keep_deferred=True)
    if isinstance(element, RawDataElement) and element.value is None and element.length:
        element = dataset.get_item(tag)
    return element
