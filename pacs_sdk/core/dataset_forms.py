"""The text forms of a data set: DICOM JSON and Native XML, both ways."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, Self

from pydicom.dataset import Dataset

from pacs_sdk.core.dataset_json import json_model, json_text, read_json
from pacs_sdk.core.dataset_xml import read_xml, xml_text
from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.model_values import BulkDataReader, BulkDataWriter
from pacs_sdk.core.results import edge

__all__ = ["ModelForms"]

_MODEL_ERRORS = {OSError: ErrorCode.FILE_READ_FAILED}  # of the functions that callers give


class ModelForms(abc.ABC):
    """What :class:`DicomDataset` is written as and read from, beside bytes."""

    __slots__ = ()

    @property
    @abc.abstractmethod
    def _chain(self) -> tuple[Dataset, ...]:
        """The data set, then those that it lies in, the nearest first."""

    @classmethod
    @abc.abstractmethod
    def _of(cls, dataset: Dataset) -> Self:
        """View a data set."""

    @edge(_MODEL_ERRORS)
    def to_json(self, bulk_data: BulkDataWriter | None = None) -> str:
        """Return the data set as DICOM JSON text, one object (PS3.18 Annex F).

        Group lengths and file meta elements are left out; Specific Character Set says
        ``ISO_IR 192``, which the text is in. DS and IS become numbers.

        Args:
            bulk_data: Is given each binary value; keeps it elsewhere and returns its URI,
                or ``None`` to have it in line.

        Returns:
            ``Success``, or ``Failure`` with ``ENCODE_FAILED`` (naming the path) or
            ``LIMIT_EXCEEDED`` (nested too deep).
        """
        return json_text(self._chain, bulk_data)

    @edge(_MODEL_ERRORS)
    def to_json_model(self, bulk_data: BulkDataWriter | None = None) -> dict[str, Any]:
        """Return what the text of :meth:`to_json` stands for, as dictionaries and lists."""
        return json_model(self._chain, bulk_data)

    @classmethod
    @edge(_MODEL_ERRORS)
    def from_json(
        cls, source: str | bytes | Mapping[str, Any], bulk_data: BulkDataReader | None = None
    ) -> Self:
        """Read a data set from DICOM JSON: text, or the object that it stands for.

        Args:
            source: One object, or an array of one.
            bulk_data: Fetches a value that was left elsewhere.

        Returns:
            ``Success``, or ``Failure`` with ``DECODE_FAILED`` (naming the path),
            ``MISSING_REQUIRED_VALUE`` (bulk data, and no function that fetches it) or
            ``LIMIT_EXCEEDED``.
        """
        return cls._of(read_json(source, bulk_data))

    @edge(_MODEL_ERRORS)
    def to_xml(self, bulk_data: BulkDataWriter | None = None) -> str:
        """Return the data set as Native DICOM Model XML (PS3.19 A.1).

        What is left out, ``bulk_data`` and the failures are those of :meth:`to_json`; text
        with a control character that XML has not, such as form feed, is ``ENCODE_FAILED``.
        Of a person's name the delimiters that nothing follows are lost (PS3.5 6.2.1.1).
        """
        return xml_text(self._chain, bulk_data)

    @classmethod
    @edge(_MODEL_ERRORS)
    def from_xml(cls, source: str | bytes, bulk_data: BulkDataReader | None = None) -> Self:
        """Read a data set from Native DICOM Model XML.

        A document type declaration is refused, so that no entity is ever expanded. A
        private element goes to the block of its ``privateCreator``. Failures as
        :meth:`from_json`.
        """
        return cls._of(read_xml(source, bulk_data))
