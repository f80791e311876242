"""A typed view over a pydicom data set."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Self, TypeAlias

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as PydicomSequence

from pacs_sdk.core.automatic_vr import vr_for_value
from pacs_sdk.core.dataset_diff import Difference, diff_datasets, same_datasets
from pacs_sdk.core.dataset_forms import ModelForms
from pacs_sdk.core.dataset_merge import ConflictPolicy, OnConflict, merge_datasets
from pacs_sdk.core.dataset_view import rows_of, table_of
from pacs_sdk.core.element import (
    VALUE_ERRORS,
    DicomElement,
    make_element,
    make_picklable,
    plain_dataset,
    read_element,
)
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.path import DatasetPath, PathLike, plain_tag
from pacs_sdk.core.path_access import Place, delete_at, only_place, places, search, set_at
from pacs_sdk.core.private_block import PrivateBlock, creator_of, open_block
from pacs_sdk.core.results import edge
from pacs_sdk.core.tags import DicomTag, TagLike
from pacs_sdk.core.typed_values import TypedValues
from pacs_sdk.core.vr import VR

__all__ = ["DatasetLike", "DicomDataset", "as_dataset"]


class DicomDataset(TypedValues, ModelForms):
    """Typed access to a ``pydicom.Dataset``, which is shared and not copied.

    Elements are named by tag, number, keyword or path (:data:`PathLike`). The ``get_…`` and
    ``set_…`` methods return a ``Result``; ``ds["PatientName"]``, ``ds.get(…)``, ``in``
    and iteration are their Pythonic twins.

    Several threads may read one data set together, although values are decoded when they
    are first looked at: all get equal ones. Whoever changes it has to keep the others away.

    Args:
        dataset: The data set to view; a new, empty one by default.
        **values: Elements to set at once, by keyword: ``DicomDataset(PatientID="7")``.
    """

    __slots__ = ("_around", "_dataset")

    def __init__(self, dataset: Dataset | None = None, **values: object) -> None:
        if not isinstance(dataset, Dataset | None):
            raise TypeError(f"expected a pydicom data set, got {type(dataset).__name__}")
        self._dataset = Dataset() if dataset is None else dataset
        self._around: tuple[Dataset, ...] = ()
        for keyword, value in values.items():
            self[keyword] = value

    @property
    def pydicom(self) -> Dataset:
        """The data set behind this view; a change to one is a change to both."""
        return self._dataset

    # -- items and values --------------------------------------------------------

    @edge(VALUE_ERRORS)
    def get_items(self, path: PathLike) -> tuple[DicomDataset, ...]:
        """Return the items of a sequence, as views; failures as :meth:`get_bytes`."""
        items = self._value(path)
        # The VR of what was read may be any, and several numbers are a list, too.
        if not isinstance(items, list) or not all(isinstance(one, DicomDataset) for one in items):
            raise TypeError(f"{DatasetPath.of(path)} is not a sequence")
        return tuple(items)

    @edge(VALUE_ERRORS)
    def set(self, tag: PathLike, value: object, vr: VR | str | None = None) -> Self:
        """Set an element, its VR as :func:`resolve_vr` has it unless one is given.

        Where the data set leaves the VR open, the value decides: negative numbers are SS,
        and in LUT Data bytes are OW and numbers US.

        Args:
            tag: The element; of a path, all but the last step can be made, as by
                :meth:`set_path`.
            value: A value, a list or array of values, or for a sequence a list of data
                sets. Dates and times of Python become text, and decimal numbers the 16
                characters that a DS has.
            vr: Needed for private tags that no dictionary knows.

        Returns:
            ``Success`` with this data set, or ``Failure`` with ``INVALID_TAG``,
            ``INVALID_VR`` or ``VALUE_CONVERSION_FAILED``.
        """
        self._set(tag, value, vr)
        return self

    # -- elements and paths ------------------------------------------------------

    @edge(VALUE_ERRORS)
    def element(self, path: PathLike) -> DicomElement:
        """Return an element with its VR, values and names; failures as :meth:`get_path`."""
        place = only_place(self._dataset, DatasetPath.of(path))
        return self._view(place.holder, place.tag)

    @edge(VALUE_ERRORS)
    def get_path(self, path: PathLike) -> Any:
        """Return what a path names: a value as ``ds[…]`` gives it, or an item.

        Args:
            path: Such as ``ReferencedSeriesSequence[0].SeriesInstanceUID``;
                :class:`DatasetPath` says how paths are written.

        Returns:
            ``Success``, or ``Failure`` with ``ELEMENT_NOT_FOUND`` (naming the step that is
            absent), ``INVALID_ARGUMENT`` (a wildcard: use :meth:`find`), ``INVALID_TAG``
            or ``LIMIT_EXCEEDED`` (no path), or ``VALUE_CONVERSION_FAILED``.
        """
        return self._shown(only_place(self._dataset, DatasetPath.of(path)))

    @edge(VALUE_ERRORS)
    def find(self, path: PathLike) -> tuple[tuple[DatasetPath, Any], ...]:
        """Return every place that a path stands for, with its value; none if it is absent.

        Returns:
            ``Success`` with pairs of the exact path and the value, in order, or ``Failure``
            with ``INVALID_TAG``, ``LIMIT_EXCEEDED`` or ``VALUE_CONVERSION_FAILED``.
        """
        found = places(self._dataset, DatasetPath.of(path))
        return tuple((place.path, self._shown(place)) for place in found)

    @edge(VALUE_ERRORS)
    def set_path(self, path: PathLike, value: object, vr: VR | str | None = None) -> Self:
        """Set what a path names, making sequences, items and private blocks on the way.

        An item can be made if it is the next of its sequence; ``[*]`` stands for the items
        that are there. If it fails, nothing has changed.

        Returns:
            ``Success`` with this data set, or ``Failure`` with ``ELEMENT_NOT_FOUND`` (items
            would be skipped), ``INVALID_TAG``, ``INVALID_VR``, ``LIMIT_EXCEEDED`` or
            ``VALUE_CONVERSION_FAILED``.
        """
        self._set(path, value, vr)
        return self

    @edge(VALUE_ERRORS)
    def delete_path(self, path: PathLike) -> int:
        """Remove every element or item that a path stands for.

        Returns:
            ``Success`` with how many there were, 0 if it is absent; failures as
            :meth:`find`.
        """
        return delete_at(self._dataset, DatasetPath.of(path))

    @edge(VALUE_ERRORS)
    def search(self, wanted: TagLike) -> tuple[tuple[DatasetPath, DicomElement], ...]:
        """Return the elements at every depth that have a tag, or whose keyword fits.

        Args:
            wanted: A tag, or a keyword in any case, in which ``*`` and ``?`` stand for any
                characters and for one.

        Returns:
            ``Success`` with pairs of path and element, or ``Failure`` with ``INVALID_TAG``,
            ``LIMIT_EXCEEDED`` (nested too deep) or ``VALUE_CONVERSION_FAILED``.
        """
        found = search(self._dataset, wanted)
        return tuple((path, self._view(holder, tag)) for path, holder, tag in found)

    @edge(VALUE_ERRORS)
    def private_block(self, group: int, creator: str, *, create: bool = False) -> PrivateBlock:
        """Return the private elements that a creator owns in a group (PS3.5 7.8.1).

        Args:
            group: The odd group.
            creator: The Private Creator.
            create: Reserve the first free block if the creator has none.

        Returns:
            ``Success``, or ``Failure`` with ``ELEMENT_NOT_FOUND``, ``INVALID_TAG``,
            ``LIMIT_EXCEEDED`` (every block of the group is taken) or
            ``VALUE_CONVERSION_FAILED`` (a creator before it cannot be read).
        """
        return open_block(self._dataset, group, creator, create=create)

    # -- two data sets -----------------------------------------------------------

    @edge(VALUE_ERRORS)
    def diff(self, other: DatasetLike) -> tuple[Difference, ...]:
        """Return what differs in another data set, going into sequences item by item.

        Returns:
            ``Success`` with the findings in the order of their tags, none if the data sets
            say the same, or ``Failure`` with ``VALUE_CONVERSION_FAILED`` or
            ``LIMIT_EXCEEDED`` (nested too deep).
        """
        return tuple(diff_datasets(self._dataset, plain_dataset(other), DicomDataset))

    @edge(VALUE_ERRORS)
    def merge(
        self, other: DatasetLike, on_conflict: OnConflict = ConflictPolicy.KEEP
    ) -> DicomDataset:
        """Return a new data set with the elements of this one and of another.

        A sequence is one value, whose items are not mixed. Private elements go to the
        block that their creator has in the result.

        Args:
            other: The data set to add; neither of the two is changed.
            on_conflict: ``keep``, ``replace``, ``error``, or a function that gets a
                :class:`MergeConflict` and returns what to take.

        Returns:
            ``Success``, or ``Failure`` with ``INVALID_ARGUMENT`` (a conflict under
            ``error``, naming its path, or an unknown policy), ``LIMIT_EXCEEDED`` or
            ``VALUE_CONVERSION_FAILED``.
        """
        plain = plain_dataset(other)
        return DicomDataset(merge_datasets(self._dataset, plain, on_conflict, DicomDataset))

    def copy(self) -> DicomDataset:
        """Return a data set that shares nothing with this one, items included."""
        return copy.deepcopy(self)

    def __reduce__(self) -> tuple[type[DicomDataset], tuple[Dataset]]:
        make_picklable(self._dataset)
        return DicomDataset, (self._dataset,)

    # -- Pythonic twins ----------------------------------------------------------

    def __getitem__(self, path: PathLike) -> Any:
        """Return the value; a ``KeyError`` where there is no such element.

        What is no tag and no path is a :exc:`PacsException`, as everywhere here.
        """
        try:
            return self._value(path)
        except PacsException as exc:
            if exc.error.code is ErrorCode.ELEMENT_NOT_FOUND:
                raise KeyError(exc.error.message) from None
            raise

    def __setitem__(self, path: PathLike, value: object) -> None:
        self._set(path, value, None)

    def __delitem__(self, path: PathLike) -> None:
        if delete_at(self._dataset, DatasetPath.of(path)) == 0:
            raise KeyError(f"the data set has no {DatasetPath.of(path)}")

    def get(self, path: PathLike, default: Any = None) -> Any:
        """Return the value, or the default where the element is absent or empty."""
        try:
            value = self[path]
        except KeyError:
            return default
        return default if value is None or value == "" else value

    def __contains__(self, path: PathLike) -> bool:
        tag = plain_tag(path)
        if tag is not None:
            return int(tag) in self._dataset
        return next(places(self._dataset, DatasetPath.of(path)), None) is not None

    def __iter__(self) -> Iterator[DicomTag]:
        """Yield the tags in ascending order."""
        return (DicomTag(int(tag)) for tag in sorted(self._dataset.keys(), key=int))

    def __len__(self) -> int:
        return len(self._dataset)

    def __eq__(self, other: object) -> bool:
        """Whether both say the same, however they were encoded: :meth:`diff` is empty.

        File meta belongs to a file and not to the data set, and isn't compared.
        """
        match other:
            case DicomDataset():
                return same_datasets(self._dataset, other._dataset)
            case Dataset():
                return same_datasets(self._dataset, other)
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        return f"<DicomDataset of {len(self)} elements>"

    def __str__(self) -> str:
        return "\n".join("  ".join(row) for row in self.rows())

    def _repr_html_(self) -> str:
        """Show the elements as a table in a notebook, sequences folded."""
        return table_of(self._dataset)

    def rows(self) -> Iterator[tuple[str, str, str, str]]:
        """Yield one row of text an element: tag, VR, keyword, value.

        Items of sequences follow their sequence, the tag indented; long values are cut,
        binary ones give their length. A value that doesn't fit its VR is named as
        unreadable.
        """
        return rows_of(self._dataset)

    # -- inside ------------------------------------------------------------------

    @classmethod
    def _of(cls, dataset: Dataset) -> Self:
        return cls(dataset)

    @classmethod
    def _inside(cls, item: Dataset, around: tuple[Dataset, ...]) -> Self:
        """View an item, knowing the data sets around it, the nearest first."""
        view = cls(item)
        view._around = around
        return view

    @property
    def _chain(self) -> tuple[Dataset, ...]:
        return (self._dataset, *self._around)

    def _element(self, path: PathLike) -> DataElement:
        tag = plain_tag(path)
        if tag is not None:
            return read_element(self._dataset, tag)
        place = only_place(self._dataset, DatasetPath.of(path))
        return read_element(place.holder, place.tag)

    def _value(self, path: PathLike) -> Any:
        tag = plain_tag(path)
        if tag is None:
            return self._shown(only_place(self._dataset, DatasetPath.of(path)))
        return _views_of(read_element(self._dataset, tag).value, self._chain)

    def _shown(self, place: Place) -> Any:
        element = read_element(place.holder, place.tag)
        value = element.value if place.item is None else place.value
        return _views_of(value, (place.holder, *place.around, *self._around))

    def _set(self, path: PathLike, value: object, vr: VR | str | None) -> None:
        tag = plain_tag(path)
        if tag is None:
            set_at(self._dataset, DatasetPath.of(path), value, vr, self._around)
            return
        chosen = vr or vr_for_value(tag, value, self._chain)
        self._dataset[int(tag)] = make_element(tag, value, chosen)

    def _view(self, holder: Dataset, tag: DicomTag) -> DicomElement:
        return DicomElement.of(read_element(holder, tag), creator_of(holder, tag), DicomDataset)


DatasetLike: TypeAlias = DicomDataset | Dataset
"""What a function that needs a data set takes."""


def as_dataset(dataset: DatasetLike) -> DicomDataset:
    """Return the typed view of either kind of data set."""
    if isinstance(dataset, DicomDataset):
        return dataset
    if isinstance(dataset, Dataset):
        return DicomDataset(dataset)
    raise TypeError(f"expected a data set, got {type(dataset).__name__}")


def _views_of(value: Any, around: tuple[Dataset, ...]) -> Any:
    if isinstance(value, PydicomSequence):
        return [DicomDataset._inside(item, around) for item in value]
    return DicomDataset._inside(value, around) if isinstance(value, Dataset) else value
