"""Finding, making and removing what a path names in a data set."""

from __future__ import annotations

import copy
import fnmatch
from collections.abc import Iterator

import attrs
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pacs_sdk.core.automatic_vr import private_vr, vr_for_value
from pacs_sdk.core.element import element_of_vr, make_element, plain_dataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.path import MAX_PATH_STEPS, DatasetPath, PathStep
from pacs_sdk.core.private_block import PrivateTag, creator_of, reserve_block
from pacs_sdk.core.stored_element import stored_element
from pacs_sdk.core.tags import DicomTag, TagLike, parse_tag
from pacs_sdk.core.vr import VR

__all__ = ["Place", "delete_at", "name_in", "only_place", "places", "search", "set_at", "walk"]


@attrs.frozen
class Place:
    """One place in a data set that a path stands for, and that is there."""

    path: DatasetPath
    """The path to it, without wildcards."""
    holder: Dataset
    """The data set or item that holds the element."""
    tag: DicomTag
    """The element's tag there."""
    item: int | None
    """Which item of it, or ``None`` for the element."""
    around: tuple[Dataset, ...] = ()
    """The data sets that the holder lies in, the nearest first."""

    @property
    def value(self) -> object:
        """The element's value, or the item."""
        value = self.holder[int(self.tag)].value
        return value if self.item is None else value[self.item]


def name_in(dataset: Dataset, tag: DicomTag) -> DicomTag | PrivateTag:
    """Return how a path names an element: by its private creator where it has a clear one."""
    creator = creator_of(dataset, tag)
    if creator:
        try:
            named = PrivateTag(tag.group, creator, tag.element & 0xFF)
        except PacsException:
            return tag  # damaged: the number still says which element
        if named.in_dataset(dataset) == tag:  # a creator may hold two blocks
            return named
    return tag


def places(dataset: Dataset, path: DatasetPath) -> Iterator[Place]:
    """Yield each place of a data set that a path stands for, in order; none if absent.

    Raises:
        PacsException: ``VALUE_CONVERSION_FAILED`` where the path names an item of an
            element that is no sequence.
    """
    yield from _places((dataset,), path.steps, ())


def _places(
    holders: tuple[Dataset, ...], steps: tuple[PathStep, ...], before: tuple[PathStep, ...]
) -> Iterator[Place]:
    step, inner = steps[0], steps[1:]
    holder, around = holders[0], holders[1:]
    tag = _tag_in(holder, step)
    if tag is None or int(tag) not in holder:
        return
    if step.item is None:
        yield Place(DatasetPath((*before, step)), holder, tag, None, around)
        return
    items = _items(holder, tag, (*before, step))
    for number in range(len(items)) if step.item == "*" else (step.item,):
        if number >= len(items):
            continue
        here = (*before, attrs.evolve(step, item=number))
        if inner:
            yield from _places((items[number], *holders), inner, here)
        else:
            yield Place(DatasetPath(here), holder, tag, number, around)


def _tag_in(holder: Dataset, step: PathStep) -> DicomTag | None:
    match step.element:
        case PrivateTag() as named:
            return named.in_dataset(holder)
        case tag:
            return tag


def _items(holder: Dataset, tag: DicomTag, steps: tuple[PathStep, ...]) -> Sequence:
    value = holder[int(tag)].value
    if not isinstance(value, Sequence):
        path = str(DatasetPath(steps))
        raise PacsException(
            ErrorCode.VALUE_CONVERSION_FAILED,
            f"{path} names an item, but {tag!r} is not a sequence",
            path=path,
        )
    return value


def only_place(dataset: Dataset, path: DatasetPath) -> Place:
    """Return the place that a path names.

    Raises:
        PacsException: ``ELEMENT_NOT_FOUND``, naming the first step that is absent;
            ``INVALID_ARGUMENT`` for a wildcard; ``VALUE_CONVERSION_FAILED``.
    """
    if path.has_wildcard:
        raise PacsException(
            ErrorCode.INVALID_ARGUMENT,
            f"{path} may stand for several places: give the number of an item, or use find()",
            path=str(path),
        )
    for place in places(dataset, path):
        return place
    raise _absent(dataset, path)


def _absent(dataset: Dataset, path: DatasetPath) -> PacsException:
    missing = next(
        outer
        for count in range(1, len(path.steps) + 1)
        if next(places(dataset, outer := DatasetPath(path.steps[:count])), None) is None
    )
    return PacsException(
        ErrorCode.ELEMENT_NOT_FOUND, f"the data set has no {missing}", path=str(path)
    )


def delete_at(dataset: Dataset, path: DatasetPath) -> int:
    """Remove every place a path stands for; return how many there were."""
    found = list(places(dataset, path))
    for place in reversed(found):  # the last item first, so that the numbers stay right
        if place.item is None:
            del place.holder[int(place.tag)]
        else:
            del place.holder[int(place.tag)].value[place.item]
    return len(found)


def set_at(
    dataset: Dataset,
    path: DatasetPath,
    value: object,
    vr: VR | str | None,
    beyond: tuple[Dataset, ...] = (),
) -> int:
    """Set what a path names, making items and blocks on the way; return how many were set.

    An item can be made if it is the next of its sequence. A wildcard stands for the items
    that are there. Nothing is changed where the value or the path can't be.

    Args:
        dataset: Where the path begins.
        path: What to set.
        value: Its value, or for an item a data set.
        vr: Its VR, unless the data sets decide it.
        beyond: The data sets that this one lies in, the nearest first.
    """
    last = path.last
    scratch = _scratch(last, value, vr, (*_around_new(dataset, path), *beyond))
    found = list(_holders(dataset, path, make=False))
    if not path.has_wildcard and not found:
        found = list(_holders(dataset, path, make=True))
    holders = [around[0] for around in found]
    if last.item is None:
        elements = [
            _scratch(last, value, vr, (*around, *beyond)) for around in found
        ]  # all, before one is set
        for holder, element in zip(holders, elements, strict=True):
            tag = int(_tag_made_in(holder, last))
            kept = copy.deepcopy(element.value) if len(holders) > 1 else element.value
            holder[tag] = element_of_vr(tag, element.VR, kept)
        return len(holders)
    if last.item != "*":
        for holder in holders:
            _check_makeable(holder, path, (last,))
    return sum(_set_item(holder, path, copy.deepcopy(scratch)) for holder in holders)


def _scratch(
    last: PathStep, value: object, vr: VR | str | None, around: tuple[Dataset, ...]
) -> DataElement:
    match last.element:
        case PrivateTag() as named:
            tag = named.in_block(0x10)
            automatic = private_vr(int(tag), named.creator)
        case tag:
            automatic = vr_for_value(tag, value, around)
    if last.item is None:
        return make_element(tag, value, vr or automatic)
    return make_element(tag, [plain_dataset(value)], VR.SQ)  # type: ignore[arg-type]  # it checks


def _around_new(dataset: Dataset, path: DatasetPath) -> tuple[Dataset, ...]:
    """Return the data sets that are there on the way to what is set, the nearest first."""
    around: tuple[Dataset, ...] = (dataset,)
    for step in path.steps[:-1]:
        tag = _tag_in(around[0], step)
        value = around[0][int(tag)].value if tag is not None and int(tag) in around[0] else None
        if not isinstance(value, Sequence) or not isinstance(step.item, int):
            break
        if step.item >= len(value):
            break
        around = (value[step.item], *around)
    return around


def _tag_made_in(holder: Dataset, step: PathStep) -> DicomTag:
    match step.element:
        case PrivateTag() as named:
            return named.in_block(reserve_block(holder, named.group, named.creator))
        case tag:
            return tag


def _holders(dataset: Dataset, path: DatasetPath, *, make: bool) -> Iterator[tuple[Dataset, ...]]:
    """Yield each data set that holds what a path names, with those around it."""
    outer = path.steps[:-1]
    if not outer:
        yield (dataset,)
    elif not make:
        for place in places(dataset, DatasetPath(outer)):
            item = place.holder[int(place.tag)].value[place.item]
            yield (item, place.holder, *place.around)
    else:
        _check_makeable(dataset, path, outer if path.last.item is None else path.steps)
        around: tuple[Dataset, ...] = (dataset,)
        for step in outer:
            around = (_item_made_in(around[0], step), *around)
        yield around


def _check_makeable(dataset: Dataset, path: DatasetPath, outer: tuple[PathStep, ...]) -> None:
    holder: Dataset | None = dataset
    for count, step in enumerate(outer):
        tag = None if holder is None else _tag_in(holder, step)
        items: Sequence | list[Dataset] = []
        if holder is not None and tag is not None and int(tag) in holder:
            items = _items(holder, tag, outer[: count + 1])
        elif isinstance(step.element, DicomTag) and step.element.dictionary_vr not in ("SQ", "UN"):
            raise PacsException(
                ErrorCode.VALUE_CONVERSION_FAILED,
                f"{path} names an item, but {step.element!r} is not a sequence",
                path=str(path),
            )
        if not isinstance(step.item, int) or step.item > len(items):
            raise PacsException(
                ErrorCode.ELEMENT_NOT_FOUND,
                f"{DatasetPath(outer[: count + 1])} can't be made: there are {len(items)} items",
                path=str(path),
            )
        holder = items[step.item] if step.item < len(items) else None


def _item_made_in(holder: Dataset, step: PathStep) -> Dataset:
    tag = int(_tag_made_in(holder, step))
    if tag not in holder:
        holder[tag] = DataElement(tag, "SQ", Sequence())
    items = holder[tag].value
    if step.item == len(items):
        items.append(Dataset())
    made: Dataset = items[step.item]
    return made


def _set_item(holder: Dataset, path: DatasetPath, scratch: DataElement) -> int:
    step = path.last
    (item,) = scratch.value
    tag = _tag_in(holder, step)
    present = tag is not None and int(tag) in holder
    items = _items(holder, tag, path.steps) if tag is not None and present else None
    count = 0 if items is None else len(items)
    if step.item == "*":
        if items is not None:
            items[:] = [copy.deepcopy(item) for _ in range(count)]
        return count
    if step.item is None or items is None:
        made = int(_tag_made_in(holder, step))
        holder[made] = DataElement(made, "SQ", Sequence([item]))
    elif step.item == count:
        items.append(item)
    else:
        items[step.item] = item  # it is a number: _check_makeable saw it
    return 1


def walk(dataset: Dataset) -> Iterator[tuple[DatasetPath, Dataset, DicomTag]]:
    """Yield each element at every depth, in order: its path, what holds it, its tag.

    Raises:
        PacsException: ``LIMIT_EXCEEDED`` for sequences nested deeper than a path may be.
    """
    yield from _walk(dataset, ())


def _walk(
    holder: Dataset, before: tuple[PathStep, ...]
) -> Iterator[tuple[DatasetPath, Dataset, DicomTag]]:
    if len(before) == MAX_PATH_STEPS:
        raise PacsException(
            ErrorCode.LIMIT_EXCEEDED, f"sequences are nested deeper than {MAX_PATH_STEPS}"
        )
    for number in sorted(holder.keys(), key=int):
        tag = DicomTag(int(number))
        name = name_in(holder, tag)
        yield DatasetPath((*before, PathStep(name))), holder, tag
        if int(tag) in holder and stored_element(holder, int(tag)).VR in ("SQ", "UN", None):
            value = holder[int(tag)].value
            for index, item in enumerate(value if isinstance(value, Sequence) else ()):
                yield from _walk(item, (*before, PathStep(name, index)))


def search(dataset: Dataset, wanted: TagLike) -> Iterator[tuple[DatasetPath, Dataset, DicomTag]]:
    """Yield each element, as :func:`walk`, that has a tag or a keyword.

    Args:
        dataset: Where to search, at every depth.
        wanted: A tag, or a keyword in any case with ``*`` and ``?`` as wild cards; one that
            no dictionary has fits nothing.
    """
    pattern = wanted.casefold() if isinstance(wanted, str) else ""
    number = None
    if not any(sign in pattern for sign in "*?"):
        # A repeating group shares its keyword: OverlayRows is that of each overlay.
        number = parse_tag(wanted).value_or(None) if pattern else DicomTag.of(wanted)
    for path, holder, tag in walk(dataset):
        if tag == number or (pattern and fnmatch.fnmatchcase(tag.keyword.casefold(), pattern)):
            yield path, holder, tag
