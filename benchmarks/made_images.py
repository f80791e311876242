"""CT images to send: written with pydicom, each with UIDs of its own, many series."""

from __future__ import annotations

import functools
import random
import tempfile
from pathlib import Path

import attrs
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

__all__ = ["Images", "made_images"]

_ROOT = "1.2.826.0.1.3680043.10.9999.50"
_PER_SERIES = 25
_SERIES_PER_STUDY = 4


@attrs.frozen
class Images:
    """Files to send, spread evenly over folders so that several can send at once."""

    folder: Path
    """Where they are."""
    count: int
    """How many."""
    file_bytes: int
    """How long each is, about: numbers have different lengths."""
    folders: tuple[Path, ...]
    """The folders below, one a sender."""

    @property
    def paths(self) -> list[Path]:
        """Every file, always in the same order."""
        return sorted(self.folder.rglob("*.dcm"))


@functools.cache
def made_images(
    count: int, *, side: int = 512, folders: int = 1, series_per_study: int = _SERIES_PER_STUDY
) -> Images:
    """Give CT images of 16 bits, Explicit VR Little Endian, that last until the program ends.

    Args:
        count: How many.
        side: Rows and columns of each: 512 makes 525 KB, 68 makes 10 KB.
        folders: How many folders they are spread over.
        series_per_study: How many series of 25 a study has.
    """
    folder = Path(_kept().name) / f"{count}-{side}-{folders}-{series_per_study}"
    places = tuple(folder / f"{number:02}" for number in range(folders))
    for place in places:
        place.mkdir(parents=True)
    pixels = random.Random(1).randbytes(side * side * 2)
    image = _image(side)
    for number in range(count):
        series = number // _PER_SERIES
        study = series // series_per_study
        image.PatientID = f"P{study:05}"
        image.AccessionNumber = f"A{study:05}"
        image.StudyInstanceUID = f"{_ROOT}.1.{study}"
        image.SeriesInstanceUID = f"{_ROOT}.2.{series}"
        image.SOPInstanceUID = f"{_ROOT}.3.{side}.{number}"
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        image.SeriesNumber = series % _SERIES_PER_STUDY + 1
        image.InstanceNumber = number % _PER_SERIES + 1
        image.ImagePositionPatient = [-200.0, -200.0, float(number % _PER_SERIES)]
        image.PixelData = pixels
        image.save_as(places[number % folders] / f"{number:05}.dcm", enforce_file_format=True)
    size = (places[0] / "00000.dcm").stat().st_size
    return Images(folder, count, size, places)


@functools.cache
def _kept() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="pacs-bench-images-")


def _image(side: int) -> Dataset:
    """Make what all images share."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = CTImageStorage
    image.SpecificCharacterSet = "ISO_IR 100"
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.SOPClassUID = CTImageStorage
    image.StudyDate = image.SeriesDate = image.ContentDate = "20250131"
    image.StudyTime = image.SeriesTime = image.ContentTime = "101500"
    image.Modality = "CT"
    image.Manufacturer = "Maker"
    image.ReferringPhysicianName = "Ref^Dr"
    image.StudyDescription = "Chest"
    image.SeriesDescription = "Axial 1.0"
    image.PatientName = "Doe^Jane"
    image.PatientBirthDate = "19700101"
    image.PatientSex = "F"
    image.StudyID = "1"
    image.FrameOfReferenceUID = f"{_ROOT}.4"
    image.ImageOrientationPatient = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    image.PixelSpacing = [0.75, 0.75]
    image.SliceThickness = 1.0
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows = image.Columns = side
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit = 15
    image.PixelRepresentation = 0
    image.RescaleIntercept = -1024
    image.RescaleSlope = 1
    return image
