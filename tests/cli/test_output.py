from __future__ import annotations

import pytest

from pacs_sdk.cli.output import table


@pytest.mark.parametrize("width", [1, 10, 20, 80])
def test_a_table_has_every_value_in_any_width(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal that is too narrow wraps lines; no column loses what is in it."""
    monkeypatch.setenv("COLUMNS", str(width))
    values = ["12", "34", "日", "78", "90", "ab"]
    table([">A", "B", "C", "D", "E", "F"], [values], always=True)
    shown = capsys.readouterr().out
    assert all(character in shown for value in values for character in value)
