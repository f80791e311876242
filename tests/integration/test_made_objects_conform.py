"""What the SDK makes itself is validated like anybody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from pacs_sdk.core.results import raised
from pacs_sdk.encoding import Instance, transcode
from pacs_sdk.integration.export import image_to_series
from pacs_sdk.integration.itk import LoadedVolume, load_volume
from pacs_sdk.integration.phantom import Phantom, PhantomSpec, make_phantom
from pacs_sdk.integration.segmentation import Segment, masks_to_segmentation
from pacs_sdk.services.iod_validation import validate_instance

Made = Callable[[Phantom, LoadedVolume], Iterator[Instance]]


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    """Make a small phantom."""
    return raised(make_phantom(PhantomSpec(slices=4, rows=32, columns=24, uid_seed="conform")))


@pytest.fixture(scope="module")
def volume(phantom: Phantom) -> LoadedVolume:
    """Load the phantom."""
    return raised(load_volume(phantom.instances))


def phantoms(phantom: Phantom, _volume: LoadedVolume) -> Iterator[Instance]:
    """Give the images of the phantom."""
    yield from phantom.instances


def transcoded(phantom: Phantom, _volume: LoadedVolume) -> Iterator[Instance]:
    """Give an image in other transfer syntaxes, lossy ones too."""
    for syntax in ("JPEGLSLossless", "JPEG2000", "JPEGLSNearLossless", "ExplicitVRBigEndian"):
        yield raised(transcode(phantom.instances[0], syntax))


def derived(_phantom: Phantom, volume: LoadedVolume) -> Iterator[Instance]:
    """Give derived images of each kind that a CT may become."""
    for kind in ("CT", "SC"):
        yield from raised(image_to_series(volume, volume, kind=kind)).instances


def segmentations(_phantom: Phantom, volume: LoadedVolume) -> Iterator[Instance]:
    """Give segmentations of each type."""
    masks = np.where(volume.array > 600, 1, 0)
    for kind in ("BINARY", "LABELMAP"):
        yield raised(masks_to_segmentation(masks, [Segment(1, "bone")], volume, kind=kind))
    share = masks[None] / 2.0
    yield raised(masks_to_segmentation(share, [Segment(1, "bone")], volume, kind="FRACTIONAL"))


@pytest.mark.parametrize("made", [phantoms, transcoded, derived, segmentations])
def test_no_error_is_found(made: Made, phantom: Phantom, volume: LoadedVolume) -> None:
    """Phantoms, transcoded and derived images and segmentations conform to their IODs."""
    for instance in made(phantom, volume):
        report = raised(validate_instance(instance))
        assert report.errors == ()
        assert report.iod is not None
