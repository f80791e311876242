"""Matches as a table: for notebooks, pandas and Arrow.

A column has the keyword of its attribute. Dates and whole numbers have types of their own;
times are text, for a column of Python's times helps nobody; names are text, and so is what has
several values.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import attrs
import numpy as np

from pacs_sdk.core.dataset import DicomDataset
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.html_table import html_table
from pacs_sdk.core.results import edge
from pacs_sdk.core.tags import DicomTag
from pacs_sdk.core.vr import VR
from pacs_sdk.storage.query.entities import EntityRecord, as_date, as_number
from pacs_sdk.storage.query.match import Match

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["MatchTable"]

_SHOWN_ROWS: Final = 50
"""Rows of the table that a notebook shows; the rest is counted."""

_NUMBERS: Final = frozenset((VR.IS, VR.US, VR.SS, VR.SL, VR.UL))


class _Kind(enum.Enum):
    """What the values of a column are."""

    DATE = "date"
    NUMBER = "number"
    TEXT = "text"


def _matches(found: Iterable[Match]) -> tuple[Match, ...]:
    return tuple(found)


@attrs.frozen
class MatchTable:
    """Matches, one a row: ``MatchTable(index.find(query).unwrap())``.

    Reading the matches may raise ``PacsException`` with ``INDEX_FAILED``.
    """

    matches: tuple[Match, ...] = attrs.field(converter=_matches)
    """The matches, in order."""

    def __len__(self) -> int:
        return len(self.matches)

    def __iter__(self) -> Iterator[Match]:
        return iter(self.matches)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns: every attribute that some match was asked for."""
        return tuple(_name(tag) for tag in self._tags())

    def records(self) -> tuple[EntityRecord, ...]:
        """Return each match as the record of its level."""
        return tuple(match.record() for match in self.matches)

    def datasets(self) -> tuple[DicomDataset, ...]:
        """Return each match as a data set."""
        return tuple(match.dataset() for match in self.matches)

    @edge()
    def to_pandas(self) -> pd.DataFrame:
        """Return a data frame.

        Returns:
            ``Success``; dates are ``datetime64``, numbers nullable ``Int64``, and the rest
            text; or ``Failure`` with ``MISSING_DEPENDENCY`` without pandas.
        """
        try:
            import pandas as pd
        except ImportError as exc:
            raise _missing("pandas") from exc
        columns: dict[str, Any] = {}
        for tag in self._tags():
            kind, values = self._values(tag)
            match kind:
                case _Kind.DATE:
                    days = np.array(values, dtype="datetime64[D]")  # None is NaT
                    columns[_name(tag)] = pd.Series(days.astype("datetime64[us]"))
                case _Kind.NUMBER:
                    columns[_name(tag)] = pd.array(values, dtype="Int64")
                case _:
                    columns[_name(tag)] = pd.Series(values, dtype="object")
        return pd.DataFrame(columns, index=pd.RangeIndex(len(self.matches)))

    @edge()
    def to_arrow(self) -> pa.Table:
        """Return an Arrow table.

        Returns:
            ``Success``; dates are ``date32``, numbers ``int64``, and the rest text; or
            ``Failure`` with ``MISSING_DEPENDENCY`` without pyarrow.
        """
        try:
            import pyarrow as pa
        except ImportError as exc:
            raise _missing("pyarrow") from exc
        types = {_Kind.DATE: pa.date32(), _Kind.NUMBER: pa.int64(), _Kind.TEXT: pa.string()}
        columns = [self._values(tag) for tag in self._tags()]
        arrays = [pa.array(values, type=types[kind]) for kind, values in columns]
        return pa.table(arrays, names=list(self.columns))

    def _repr_html_(self) -> str:
        """Show the first rows as a table in a notebook."""
        tags = [tag for tag in self._tags() if any(one.values.get(tag) for one in self.matches)]
        table = html_table(
            [_name(tag) for tag in tags],
            ([match.values.get(tag, "") for tag in tags] for match in self.matches[:_SHOWN_ROWS]),
        )
        total = len(self.matches)
        what = f"{total} match{'' if total == 1 else 'es'}"
        shown = f", the first {_SHOWN_ROWS} shown" if total > _SHOWN_ROWS else ""
        return f"{table}<p>{what}{shown}</p>"

    def _tags(self) -> Sequence[int]:
        return tuple(dict.fromkeys(tag for match in self.matches for tag in match.values))

    def _values(self, tag: int) -> tuple[_Kind, list[Any]]:
        texts = [match.values.get(tag, "") for match in self.matches]
        vr = _vr(tag)
        if vr is VR.DA:
            return _Kind.DATE, [as_date(text) for text in texts]
        if vr in _NUMBERS and not any("\\" in text for text in texts):
            return _Kind.NUMBER, [as_number(text) for text in texts]
        return _Kind.TEXT, texts


def _name(tag: int) -> str:
    return DicomTag(tag).keyword or str(DicomTag(tag))


def _vr(tag: int) -> VR:
    return VR.__members__.get(DicomTag(tag).dictionary_vr[:2], VR.UN)


def _missing(package: str) -> PacsException:
    return PacsException(
        ErrorCode.MISSING_DEPENDENCY,
        f"{package} is not installed: pip install 'pacs-sdk[tables]'",
        package=package,
    )
