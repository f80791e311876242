"""The tables of PS3.3 that come with highdicom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.services import storage_sop_classes
from pacs_sdk.services.iod_validation import (
    IodValidator,
    attribute_conditions,
    item_conditions,
    module_conditions,
    terms,
)
from pacs_sdk.services.iod_validation.iod_rules import IodRuleBook
from pacs_sdk.services.iod_validation.scene import Scene
from pacs_sdk.services.iod_validation.standard_tables import installed_tables, read_tables

TABLES: dict[str, Any] = {
    "sop_class_iod_map.json": {"1.2.3": "thing"},
    "iod_module_map.json": {"thing": [{"key": "patient", "usage": "M", "ie": "Patient"}]},
    "module_attribute_map.json": {"patient": [{"keyword": "PatientName", "type": "2", "path": []}]},
}

WITHOUT_TABLE = {
    "1.2.840.10008.5.1.4.1.1.3",  # retired from here on
    "1.2.840.10008.5.1.4.1.1.5",
    "1.2.840.10008.5.1.4.1.1.6",
    "1.2.840.10008.5.1.4.1.1.8",
    "1.2.840.10008.5.1.4.1.1.9",
    "1.2.840.10008.5.1.4.1.1.9.1",
    "1.2.840.10008.5.1.4.1.1.10",
    "1.2.840.10008.5.1.4.1.1.11",
    "1.2.840.10008.5.1.4.1.1.12.3",
    "1.2.840.10008.5.1.4.1.1.77.1",
    "1.2.840.10008.5.1.4.1.1.77.2",
    "1.2.840.10008.5.1.4.1.1.88.1",
    "1.2.840.10008.5.1.4.1.1.88.2",
    "1.2.840.10008.5.1.4.1.1.88.3",
    "1.2.840.10008.5.1.4.1.1.88.4",
    "1.2.840.10008.5.1.4.1.1.129",
    "1.2.840.10008.5.1.4.34.1",
    "1.2.840.10008.5.1.4.1.1.501.1",  # DICOS and DICONDE, which PS3.3 doesn't have
    "1.2.840.10008.5.1.4.1.1.501.2.1",
    "1.2.840.10008.5.1.4.1.1.501.2.2",
    "1.2.840.10008.5.1.4.1.1.501.3",
    "1.2.840.10008.5.1.4.1.1.501.4",
    "1.2.840.10008.5.1.4.1.1.501.5",
    "1.2.840.10008.5.1.4.1.1.501.6",
    "1.2.840.10008.5.1.4.1.1.601.1",
    "1.2.840.10008.5.1.4.1.1.601.2",
}
"""Storage SOP classes that PS3.3 has no IOD for, or none any more."""


def written(folder: Path, **changed: object) -> Path:
    """Write small tables, some of them changed."""
    for name, usual in TABLES.items():
        content = changed.get(name.removesuffix(".json"), usual)
        (folder / name).write_text(json.dumps(content))
    return folder


def test_tables_are_read(tmp_path: Path) -> None:
    """Three files give the IOD of a SOP class, its modules, and their attributes."""
    tables = read_tables(written(tmp_path), "made up 1.0")
    assert tables.source == "made up 1.0"
    assert tables.iods == {"1.2.3": "thing"}
    assert tables.modules["thing"][0].usage == "M"
    assert tables.attributes["patient"][0].keyword == "PatientName"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("sop_class_iod_map", {"1.2.3": 7}),
        ("sop_class_iod_map", ["1.2.3"]),
        ("sop_class_iod_map", {}),
        ("iod_module_map", {"thing": [{"key": "patient", "usage": "X"}]}),
        ("iod_module_map", {"thing": [{"name": "patient", "usage": "M"}]}),
        ("iod_module_map", {"thing": 1}),
        ("module_attribute_map", {"patient": [{"keyword": "PatientName", "path": []}]}),
        ("module_attribute_map", {"patient": [{"keyword": "PatientName", "type": 2, "path": []}]}),
        ("module_attribute_map", {"patient": [["PatientName", "2"]]}),
    ],
)
def test_other_shapes_are_refused(name: str, content: object, tmp_path: Path) -> None:
    """Tables of another shape are an error that says what to install, not a wrong report."""
    with pytest.raises(PacsException) as raised:
        read_tables(written(tmp_path, **{name: content}), "made up 1.0")
    assert raised.value.error.code is ErrorCode.MISSING_DEPENDENCY
    assert "made up 1.0" in raised.value.error.message


def test_absent_and_damaged_files_are_refused(tmp_path: Path) -> None:
    """A file that is not there, or no JSON, is the same error."""
    for damage in (Path.unlink, lambda path: path.write_text("{")):
        damage(written(tmp_path) / "iod_module_map.json")
        with pytest.raises(PacsException, match="not as expected"):
            read_tables(tmp_path, "made up 1.0")


def test_without_highdicom_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without highdicom the error names what to install."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(PacsException, match=r"pacs-sdk\[validation\]") as raised:
        installed_tables()
    assert raised.value.error.code is ErrorCode.MISSING_DEPENDENCY


def test_every_storage_class_has_a_table_or_is_known_to_have_none() -> None:
    """Every storage SOP class is mapped to its IOD, but for those that have none."""
    storage = {one.uid for one in storage_sop_classes()}
    assert storage - IodValidator().sop_classes == WITHOUT_TABLE


@pytest.mark.slow
def test_all_rules_can_be_made() -> None:
    """Every IOD's tables become rules; its mandatory modules are among them."""
    tables = installed_tables()
    book = IodRuleBook(tables)
    for uid, key in tables.iods.items():
        rules = book.of_sop_class(uid)
        assert rules is not None
        assert rules.key == key
        mandatory = {row.key for row in tables.modules[key] if row.usage == "M"}
        if rules.is_complete:
            assert rules.mandatory_modules == mandatory


@pytest.mark.slow
def test_every_condition_and_term_is_of_something_in_the_tables() -> None:
    """No condition waits for a module, or an attribute, that the tables call otherwise."""
    tables = installed_tables()
    rows = [(key, row) for key, all_rows in tables.attributes.items() for row in all_rows]
    at_top = {(key, row.keyword) for key, row in rows if not row.path}
    in_items = {(row.path[-1], row.keyword) for _, row in rows if row.path}
    modules = {(iod, row.key) for iod, its in tables.modules.items() for row in its}
    content = ("sr-document-content", "document-content")
    conditions = {(key, word) for key, its in attribute_conditions._OF_MODULES.items()
                  for word in its if key not in content}  # fmt: skip
    known_terms = {(key, word) for key, its in terms._OF_MODULES.items() for word in its}
    assert conditions | known_terms <= at_top
    assert item_conditions._IN_SEQUENCES.keys() | terms._IN_SEQUENCES.keys() <= in_items
    assert module_conditions._CONDITIONS.keys() <= modules


def test_every_condition_can_be_asked() -> None:
    """Conditions ask for attributes that there are; of an empty object nothing is known."""
    scene = Scene(Dataset(), (), "1.2.3", frozenset())
    for one in (
        *item_conditions._IN_SEQUENCES.values(),
        *item_conditions._IN_MACROS.values(),
        *module_conditions._CONDITIONS.values(),
        *(one for its in attribute_conditions._OF_MODULES.values() for one in its.values()),
    ):
        assert one.holds(scene) in (True, False)
