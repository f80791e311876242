"""What an uptake is related to: the kinds of SUV, and the sizes of a body."""

from __future__ import annotations

import enum
from typing import Final

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.encoding.rendering.attributes import text
from pacs_sdk.integration.pet.required import positive, unusable

__all__ = ["SuvType", "body_size"]


class SuvType(enum.StrEnum):
    """SUV Type (0054,1006): what stands for the size of the patient (PS3.3 C.8.9.1)."""

    BW = "BW"
    """Body weight; g/ml."""
    LBMJAMES128 = "LBMJAMES128"
    """Lean body mass by James, with the factor 128 for men; g/ml."""
    LBMJANMA = "LBMJANMA"
    """Lean body mass by Janmahasatian; g/ml."""
    BSA = "BSA"
    """Body surface area by Du Bois and Du Bois; cm²/ml."""

    @property
    def unit(self) -> str:
        """The unit of its values, in UCUM."""
        return _UNITS[self]

    @classmethod
    def named(cls, name: str) -> SuvType:
        """Return the type of a name.

        Raises:
            PacsException: ``INVALID_ARGUMENT``, with the names there are.
        """
        try:
            return cls(name.upper())
        except ValueError:
            raise PacsException(
                ErrorCode.INVALID_ARGUMENT,
                f"{name!r} is no kind of SUV that can be computed; there are {', '.join(cls)}",
            ) from None


_UNITS: Final = {
    SuvType.BW: "g/ml{SUVbw}",
    SuvType.LBMJAMES128: "g/ml{SUVlbm(James128)}",
    SuvType.LBMJANMA: "g/ml{SUVlbm(Janma)}",
    SuvType.BSA: "cm2/ml{SUVbsa}",
}

_JAMES: Final = {"M": (1.10, 128.0), "F": (1.07, 148.0)}
"""By Patient's Sex: kg of lean mass a kg of weight, and kg that the square of weight (kg)
over height (cm) takes away (James, 1976; 128 as it was published)."""
_JANMAHASATIAN: Final = {"M": (6680.0, 216.0), "F": (8780.0, 244.0)}
"""By Patient's Sex: lean mass is 9270 weight / (first + second × body mass index)
(Janmahasatian et al., 2005)."""

_MOST_KG: Final = 1000.0
"""A heavy horse. More is a weight in grams."""


def body_size(dataset: DicomDataset, kind: SuvType) -> float:
    """Return the size of the patient that a kind of SUV is related to.

    Args:
        dataset: Patient's Weight (kg), Patient's Size (m) and Patient's Sex.
        kind: Which.

    Returns:
        Grams, or square centimetres for the surface.

    Raises:
        PacsException: ``MISSING_REQUIRED_VALUE``, naming the attribute, where one is absent,
            empty or not above 0; ``VALUE_CONVERSION_FAILED`` for values that give no
            lean mass, such as a height in cm.
    """
    weight_kg = positive(dataset, "PatientWeight")
    if weight_kg > _MOST_KG:
        raise unusable("PatientWeight", f"is {weight_kg:g}: it is in kilograms (PS3.3 C.7.2.2)")
    if kind is SuvType.BW:
        return weight_kg * 1000
    height_m = positive(dataset, "PatientSize")
    if height_m > 3:
        raise unusable("PatientSize", f"is {height_m:g}: it is in metres (PS3.3 C.7.2.2)")
    if kind is SuvType.BSA:
        surface_m2: float = 0.007184 * weight_kg**0.425 * (height_m * 100) ** 0.725
        return surface_m2 * 10_000
    sex = _sex(dataset)
    if kind is SuvType.LBMJAMES128:
        of_weight, of_square = _JAMES[sex]
        lean_kg = of_weight * weight_kg - of_square * (weight_kg / (height_m * 100)) ** 2
    else:
        base, of_index = _JANMAHASATIAN[sex]
        lean_kg = 9270 * weight_kg / (base + of_index * weight_kg / height_m**2)
    if lean_kg <= 0:
        raise unusable(
            "PatientWeight",
            f"of {weight_kg:g} kg and PatientSize of {height_m:g} m give no lean body mass",
        )
    return lean_kg * 1000


def _sex(dataset: DicomDataset) -> str:
    sex = text(dataset, "PatientSex").upper()
    if sex not in _JAMES:
        raise unusable(
            "PatientSex",
            f"is {sex!r}; formulas of lean body mass are known for M and F only",
            missing=not sex,
        )
    return sex
