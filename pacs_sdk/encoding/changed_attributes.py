"""Changing the attributes of an encoded instance, its pixels untouched."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs
from typing_extensions import Buffer

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.results import edge, raised
from pacs_sdk.encoding.charsets import DEFAULT_POLICY, CharacterSetPolicy
from pacs_sdk.encoding.datasets.writer import encode_dataset
from pacs_sdk.encoding.instance import Instance, sop_uids_of
from pacs_sdk.encoding.pixel_data.pixel_source import READ_ERRORS, PixelSource, open_pixels
from pacs_sdk.encoding.pixel_data.spliced import dataset_around, encoded_around, spooled

__all__ = ["change_attributes"]


@edge(READ_ERRORS)
def change_attributes(
    instance: Instance,
    change: Callable[[DicomDataset], DicomDataset | None],
    *,
    policy: CharacterSetPolicy = DEFAULT_POLICY,
) -> Instance:
    """Change what stands around the pixels of an instance.

    Pixel Data goes from the old instance to the new one byte by byte, whatever its size and
    transfer syntax; the other elements are encoded anew only where they are changed.

    Args:
        instance: It stays as it is.
        change: Is given the data set without group 7FE0, and returns what shall take its
            place: the same one, changed, or another; ``None`` leaves all as it was.
        policy: How text is decoded where Specific Character Set is absent or wrong.

    Returns:
        ``Success`` with a new instance, its UIDs those of the new data set, or with the one
        that was given if nothing changes; or ``Failure`` with the codes of
        :meth:`Instance.dataset`, ``PIXEL_DATA_FAILED``, ``MISSING_REQUIRED_VALUE`` or
        ``INVALID_UID`` (SOP Class or Instance UID), ``ENCODE_FAILED`` or
        ``FILE_WRITE_FAILED``. What ``change`` raises goes through.
    """
    source = open_pixels(instance)
    if source is None:
        dataset = raised(instance.dataset(policy=policy))
    else:
        dataset = dataset_around(source, policy)
    changed = change(dataset)
    if changed is None:
        return instance
    sop_class_uid, sop_instance_uid = sop_uids_of(changed)
    if source is None:
        pieces: Iterable[Buffer] = (
            raised(encode_dataset(changed, attrs.evolve(instance.syntax, deflated=False))),
        )
    else:
        pieces = _around(changed, source)
    encoded = spooled(pieces, deflated=instance.syntax.deflated)
    return Instance(sop_class_uid, sop_instance_uid, instance.transfer_syntax_uid, encoded)


def _around(dataset: DicomDataset, source: PixelSource) -> Iterable[Buffer]:
    around = encoded_around(dataset, attrs.evolve(source.syntax, deflated=False))
    yield around.before
    yield source.encoded.slice(source.begin, source.end - source.begin).view()
    yield around.after
