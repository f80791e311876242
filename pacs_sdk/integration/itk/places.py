"""Images of the same place: echoes, time points, b-values, copies.

The slices of a volume lie at different places along their normal. Where several lie at one
place, an attribute that tells them apart makes volumes of them. Nothing is decoded here.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Final, TypeAlias

import attrs
import numpy as np
from numpy.typing import NDArray

from pacs_sdk.integration.itk.diffusion import with_diffusion
from pacs_sdk.integration.itk.image_slice import ImageSlice
from pacs_sdk.integration.itk.slice_values import (
    SliceKey,
    alike,
    levels_of,
    ordered,
    sort_key,
    value_of,
    with_days,
)
from pacs_sdk.integration.itk.volume import VolumeAxis

__all__ = ["SAME_PLACE_MM", "SeparatedVolumes", "separate"]

SAME_PLACE_MM: Final = (1e-6, 1e-3)
"""Slices closer than a hundredth of the largest step or a thousandth of their thickness, but at
least and at most this, are at the same place. The finest micro-CT has steps of some µm; text
rounds to 1e-6 mm, and where all are at one place there is no other step to tell."""

_KINDS_OF_IMAGE: Final = ("ImageType", "ComplexImageComponent", "StackID")
"""Where these differ, the images show different things: magnitude and phase are no axis."""

_AXES: Final = (
    "EchoTime",
    "EchoNumbers",
    "InversionTime",
    "DiffusionBValue",
    "DiffusionGradientOrientation",
    "FlipAngle",
    "RepetitionTime",
    "KVP",
    "TemporalPositionIdentifier",
    "TriggerTime",
    "FrameReferenceTime",
    "AcquisitionNumber",
    "AcquisitionTime",
    "ContentTime",
)
"""What tells volumes of one kind apart, what says most about them first."""

_TIMES: Final = (
    "TriggerTime",
    "FrameReferenceTime",
    "AcquisitionNumber",
    "AcquisitionTime",
    "ContentTime",
)
"""Attributes whose order counts: each slice has its own values."""

_OF_EACH_HEARTBEAT: Final = ("InversionTime", "RepetitionTime")
"""Attributes of which slices of one volume may have values of their own, as hearts beat."""

_PARTS: Final = ("EchoTime", "EchoNumbers", "TemporalPositionIdentifier", "AcquisitionNumber")
"""Attributes that make volumes of different extent: phases that cover different ranges."""

_Place: TypeAlias = list[ImageSlice]


@attrs.frozen(eq=False)
class SeparatedVolumes:
    """Slices of one grid, one or more at each place."""

    volumes: tuple[tuple[ImageSlice, ...], ...]
    """The volumes, each a slice a place, in order along the normal."""
    axis: VolumeAxis | None = None
    """What tells several volumes apart."""
    label: str = ""
    """What tells them from the other volumes of the series."""
    copies: tuple[tuple[ImageSlice, ImageSlice], ...] = ()
    """Objects that are there twice: the one that was taken, and the other."""
    clashes: tuple[tuple[ImageSlice, ...], ...] = ()
    """Images of one place that no attribute tells apart; the first is in the volume."""
    notes: tuple[str, ...] = ()
    """What a careful reader should know."""


def separate(slices: Sequence[ImageSlice], normal: NDArray[np.float64]) -> list[SeparatedVolumes]:
    """Make volumes of slices that are alike.

    Args:
        slices: At least one slice; all of one size, orientation and frame of reference.
        normal: The unit vector they are ordered along.

    Returns:
        One entry, if the slices make one volume or an axis of volumes; else several.
    """
    places = _places(slices, normal)
    if len(places) == len(slices):
        return [SeparatedVolumes((tuple(place[0] for place in places),))]
    places, copies = _without_copies(places)
    notes: Mapping[str, str] = {}
    if any(len(place) > 1 for place in places):
        marked, notes = with_days([with_diffusion(one) for place in places for one in place])
        rest = iter(marked)
        places = [list(itertools.islice(rest, len(place))) for place in places]
    separated = [_noted(one, notes) for one in _separated(places, "")]
    return [attrs.evolve(separated[0], copies=copies), *separated[1:]]


def _noted(found: SeparatedVolumes, notes: Mapping[str, str]) -> SeparatedVolumes:
    """Add the notes on the attributes that make its axis."""
    keywords = () if found.axis is None else found.axis.keywords
    more = tuple(note for keyword, note in notes.items() if keyword in keywords)
    return attrs.evolve(found, notes=(*found.notes, *more))


def _places(slices: Sequence[ImageSlice], normal: NDArray[np.float64]) -> list[_Place]:
    """Group slices by their place along the normal."""
    distances = np.array([one.position for one in slices]) @ normal
    order = np.argsort(distances, kind="stable")
    steps = np.diff(distances[order])
    thickness_mm = slices[0].number("SliceThickness") or 0.0
    apart_mm = max(0.01 * steps.max(initial=0.0), 1e-3 * thickness_mm)
    same_place = float(np.clip(apart_mm, *SAME_PLACE_MM))
    ends = [0, *(np.flatnonzero(steps > same_place) + 1).tolist(), len(slices)]
    along = [slices[index] for index in order.tolist()]
    return [along[begin:end] for begin, end in itertools.pairwise(ends)]


def _without_copies(
    places: list[_Place],
) -> tuple[list[_Place], tuple[tuple[ImageSlice, ImageSlice], ...]]:
    """Take each frame of an instance once."""
    copies = []
    taken: list[_Place] = []
    for place in places:
        first: dict[tuple[str, int], ImageSlice] = {}
        for one in place:
            kept = first.setdefault((one.sop_instance_uid, one.frame), one)
            if kept is not one:
                copies.append((kept, one))
        taken.append(list(first.values()))
    return taken, tuple(copies)


def _separated(places: list[_Place], label: str) -> list[SeparatedVolumes]:
    if all(len(place) == 1 for place in places):
        return [SeparatedVolumes((tuple(place[0] for place in places),), label=label)]
    for keyword in _KINDS_OF_IMAGE:
        if _varies(places, value_of(keyword)):
            return _parts(places, keyword, label)
    varying = [keyword for keyword in _AXES if _varies(places, value_of(keyword))]
    jittering = [
        keyword
        for keyword in varying
        if keyword not in _TIMES and not _varies(places, levels_of(keyword))
    ]
    steady = [keyword for keyword in varying if keyword not in jittering]
    kinds = _telling(places, [keyword for keyword in steady if keyword not in _TIMES])
    choices = [*((keyword,) for keyword in steady), *itertools.combinations(steady, 2), kinds]
    attempts = itertools.chain(
        (_grid(places, keywords, label) for keywords in choices),
        (_ranked(places, keyword, kinds, label) for keyword in _TIMES if keyword in steady),
        (_grid(places, (keyword,), label) for keyword in jittering),
    )
    for found in attempts:
        if found and not _mixed(found, varying):
            return [found]
    for keyword in _PARTS:
        if keyword in varying and _is_partition(places, value_of(keyword)):
            return _parts(places, keyword, label)
    clashes = tuple(tuple(place) for place in places if len(place) > 1)
    first = tuple(place[0] for place in places)
    return [SeparatedVolumes((first,), label=label, clashes=clashes)]


def _parts(places: list[_Place], keyword: str, label: str) -> list[SeparatedVolumes]:
    """Separate by one attribute, and each part by others if it must be."""
    value = value_of(keyword)
    slices = [one for place in places for one in place]
    found: list[SeparatedVolumes] = []
    for wanted in ordered({value(one) for one in slices}):
        part = [kept for place in places if (kept := [o for o in place if value(o) == wanted])]
        words = f"{keyword}={part[0][0].text(keyword)}"
        found += _separated(part, f"{label}, {words}" if label else words)
    return found


def _grid(places: list[_Place], keywords: tuple[str, ...], label: str) -> SeparatedVolumes | None:
    """Make an axis of volumes, if each place has the same values, each once."""
    value = value_of(*keywords)
    wanted = {value(one) for one in places[0]}
    for place in places:
        if len(place) != len(wanted) or {value(one) for one in place} != wanted:
            return None
    order = ordered(wanted)
    by_value = [{value(one): one for one in place} for place in places]
    volumes = tuple(tuple(found[entry] for found in by_value) for entry in order)
    texts = tuple(tuple(volume[0].text(key) for key in keywords) for volume in volumes)
    return SeparatedVolumes(volumes, VolumeAxis(keywords, texts), label)


def _ranked(
    places: list[_Place], keyword: str, kinds: tuple[str, ...], label: str
) -> SeparatedVolumes | None:
    """Make an axis by the order of times, if each place has as many, all different.

    It is the order among images of one kind, such as one echo: the second image of one place
    may be another echo than the second of the next.
    """
    time = value_of(keyword)
    if len({len(place) for place in places}) != 1 or not _tells_apart(places, time):
        return None
    kind = levels_of(*kinds)

    def rank(one: ImageSlice) -> tuple[Hashable, Hashable]:
        return sort_key(kind(one)), sort_key(time(one))

    ranked = [sorted(place, key=rank) for place in places]
    volumes = tuple(zip(*ranked, strict=True))
    keywords = (*kinds, keyword)
    texts = tuple(tuple(volume[0].text(key) for key in keywords) for volume in volumes)
    note = (
        f"each slice has its own values of {keyword}: its order makes the {len(volumes)} volumes, "
        "the values of the axis are those of the first slice"
    )
    return SeparatedVolumes(volumes, VolumeAxis(keywords, texts), label, notes=(note,))


def _telling(places: list[_Place], keywords: Sequence[str]) -> tuple[str, ...]:
    """Return what says of which kind an image is.

    Left out is what says no more than what is before it, such as a number of an echo time, and
    what is not found as often at each place: nobody could tell which images belong together.
    """
    telling: tuple[str, ...] = ()
    kinds = 1
    for keyword in keywords:
        if keyword in _OF_EACH_HEARTBEAT:
            continue
        level = levels_of(*telling, keyword)
        first, *others = [Counter(map(level, place)) for place in places]
        if len(first) > kinds and all(other == first for other in others):
            telling, kinds = (*telling, keyword), len(first)
    return telling


def _mixed(found: SeparatedVolumes, varying: Sequence[str]) -> bool:
    """Whether a volume has slices of several echoes, b-values and so on."""
    return any(
        not alike(first, other, keyword)
        for keyword in varying
        if keyword not in _TIMES and keyword not in _OF_EACH_HEARTBEAT
        for first, *others in found.volumes
        for other in others
    )


def _varies(places: list[_Place], value: SliceKey) -> bool:
    return any(len({value(one) for one in place}) > 1 for place in places)


def _tells_apart(places: list[_Place], value: SliceKey) -> bool:
    """Whether no place has a value twice."""
    return all(len({value(one) for one in place}) == len(place) for place in places)


def _is_partition(places: list[_Place], value: SliceKey) -> bool:
    """Whether no place has a value twice, and there are no more values than volumes."""
    values = {value(one) for place in places for one in place}
    return _tells_apart(places, value) and len(values) == max(map(len, places))
