"""Waveforms: channels, samples and bytes (PS3.3 C.10.9)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pydicom.dataset import Dataset

from pacs_sdk.services.iod_validation.item_values import (
    byte_length,
    integer,
    items_of,
    numbers,
    text,
)
from pacs_sdk.services.iod_validation.report import IodFinding
from pacs_sdk.services.iod_validation.subject import TOP, Place, Subject

__all__ = ["check_waveform"]

_SECTION: Final = "C.10.9"
_BITS: Final = {
    "SB": 8,
    "UB": 8,
    "MB": 8,
    "AB": 8,
    "SS": 16,
    "US": 16,
    "SL": 32,
    "UL": 32,
    "SV": 64,
    "UV": 64,
}
"""Waveform Sample Interpretation → Waveform Bits Allocated (C.10.9.1.5)."""


def check_waveform(subject: Subject) -> Iterator[IodFinding]:
    """Check that channels are described, and that there are as many bytes as samples make."""
    for index, group in enumerate(items_of(subject.dataset, "WaveformSequence")):
        yield from _group(TOP.item("WaveformSequence", index), group)


def _group(place: Place, group: Dataset) -> Iterator[IodFinding]:
    channels = integer(group, "NumberOfWaveformChannels")
    samples = integer(group, "NumberOfWaveformSamples")
    bits = integer(group, "WaveformBitsAllocated")
    definitions = items_of(group, "ChannelDefinitionSequence")
    if channels is not None and channels != len(definitions):
        yield place.broken(
            "NumberOfWaveformChannels",
            f"{channels} channels, and {len(definitions)} are described",
            _SECTION,
        )
    kind = text(group, "WaveformSampleInterpretation")
    if bits is not None and _BITS.get(kind, bits) != bits:
        yield place.broken(
            "WaveformBitsAllocated",
            f"{bits} bits allocated to samples that are {kind}",
            "C.10.9.1.5",
        )
    length = byte_length(group, "WaveformData")
    if channels and samples and bits and length is not None:
        wanted = channels * samples * bits // 8
        if length != wanted + wanted % 2:
            yield place.broken(
                "WaveformData",
                f"{length} bytes, where {channels} channels of {samples} samples of {bits} bits "
                f"make {wanted}",
                "C.10.9.1.7",
            )
    frequency = numbers(group, "SamplingFrequency")
    if frequency and frequency[0] <= 0:
        yield place.broken("SamplingFrequency", f"{frequency[0]:g} samples a second", _SECTION)
    for number, channel in enumerate(definitions):
        stored = integer(channel, "WaveformBitsStored")
        if stored is not None and bits is not None and not 0 < stored <= bits:
            yield place.item("ChannelDefinitionSequence", number).broken(
                "WaveformBitsStored", f"{stored} bits stored in {bits} bits allocated", _SECTION
            )
