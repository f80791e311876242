"""Layouts: keys that stay inside, tell instances apart, and fit every file system."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.encoding import Instance
from pacs_sdk.storage import (
    Archive,
    DuplicatePolicy,
    InstanceIdentity,
    StorageLayout,
    open_archive,
)
from pacs_sdk.storage.objects.backend import MAX_COMPONENT_LENGTH, MAX_KEY_LENGTH, checked_key
from pacs_sdk.storage.objects.layouts import duplicate_key, is_duplicate_key, safe_name
from tests.storage.entries import make_header
from tests.storage.made_instances import made_instance

TEMPLATE = "{StudyDate}/{PatientID}/{StudyInstanceUID}/{SOPInstanceUID}"
LAYOUTS = ("uid", "date", "flat", TEMPLATE)


def key(layout: str, **elements: str) -> str:
    """Make the key of an instance of study 1.2, series 1.2.3, instance 1.2.3.4."""
    values = {
        "StudyInstanceUID": "1.2",
        "SeriesInstanceUID": "1.2.3",
        "SOPInstanceUID": "1.2.3.4",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
    } | elements
    header = make_header(**values)
    return StorageLayout(layout).key_of(InstanceIdentity.of_header(header), header)


# -- where things go ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layout", "elements", "expected"),
    [
        ("uid", {"StudyDate": "20240131"}, "1.2/1.2.3/1.2.3.4.dcm"),
        ("date", {"StudyDate": "20240131"}, "2024/01/31/1.2/1.2.3/1.2.3.4.dcm"),
        ("date", {"StudyDate": "2024.01.31"}, "2024/01/31/1.2/1.2.3/1.2.3.4.dcm"),
        ("date", {}, "undated/1.2/1.2.3/1.2.3.4.dcm"),
        ("date", {"StudyDate": "../../.."}, "undated/1.2/1.2.3/1.2.3.4.dcm"),
        ("date", {"StudyDate": "20240131-20240201"}, "undated/1.2/1.2.3/1.2.3.4.dcm"),
        ("flat", {"StudyDate": "20240131"}, "669/1.2.3.4.dcm"),
        (TEMPLATE, {"StudyDate": "20240131", "PatientID": "P-1"}, "20240131/P-1/1.2/1.2.3.4.dcm"),
        (TEMPLATE, {}, "none/none/1.2/1.2.3.4.dcm"),
        (
            "{Modality}-{SeriesNumber}/IM_{SOPInstanceUID}.dcm",
            {"Modality": "CT"},
            "CT-none/IM_1.2.3.4.dcm",
        ),
        ("{SOPInstanceUID}/{SOPInstanceUID}", {}, "1.2.3.4/1.2.3.4.dcm"),
    ],
)
def test_each_layout_puts_an_instance_in_its_place(
    layout: str, elements: dict[str, str], expected: str
) -> None:
    """The key is made of the attributes, and of fixed words where there are none."""
    assert key(layout, **elements) == expected


def test_flat_spreads_instances_over_many_folders() -> None:
    """No folder gets more than its share, and there are not more than 4096."""
    folders = [
        key("flat", SOPInstanceUID=f"1.2.3.{number}").split("/")[0] for number in range(2000)
    ]
    assert len(set(folders)) > 1500
    assert all(re.fullmatch("[0-9a-f]{3}", folder) for folder in folders)


def test_the_key_of_uids_is_that_of_the_identity() -> None:
    """``InstanceIdentity.storage_key`` and the default layout are one rule."""
    identity = InstanceIdentity.of_header(
        header := make_header(
            StudyInstanceUID="1", SeriesInstanceUID="2", SOPInstanceUID="3", SOPClassUID="4"
        )
    )
    assert StorageLayout().key_of(identity, header) == identity.storage_key == "1/2/3.dcm"


# -- templates that are refused ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("", "{SOPInstanceUID}"),
        ("{PatientID}/{StudyInstanceUID}", "{SOPInstanceUID}"),
        ("{SOPInstanceUID}/image", "{SOPInstanceUID}"),
        ("{PatientID}{SOPInstanceUID}", "no other"),
        ("{SOPInstanceUID}{SOPInstanceUID}", "no other"),
        ("{NoSuchKeyword}/{SOPInstanceUID}", "no attribute's keyword"),
        ("{PixelData}/{SOPInstanceUID}", "index keeps"),
        ("{PatientID/{SOPInstanceUID}", "other characters"),
        ("a b/{SOPInstanceUID}", "other characters"),
        ("é/{SOPInstanceUID}", "other characters"),
        ("C:\\{SOPInstanceUID}", "other characters"),
        ("/{SOPInstanceUID}", "component"),
        ("a//{SOPInstanceUID}", "component"),
        ("../{SOPInstanceUID}", "component"),
        (".{PatientID}/{SOPInstanceUID}", "component"),
        ("{PatientID}./{SOPInstanceUID}", "component"),
        ("con/{SOPInstanceUID}", "device"),
        ("1/2/3/4/5/6/7/8/{SOPInstanceUID}", "components"),
        ("{PatientID}{StudyID}{Modality}/{SOPInstanceUID}", "characters"),
        ("x" * 60 + "{SOPInstanceUID}", "characters"),
        ("x" * 23 + "{SOPInstanceUID}", "characters"),  # a duplicate could not lie beside it
        ("{SOPInstanceUID}.dup-0", "dup-"),
        ("UID", "{SOPInstanceUID}"),
    ],
)
def test_a_template_that_could_go_wrong_is_refused(template: str, words: str) -> None:
    """What could make two instances one, or a key that is none, is INVALID_CONFIGURATION."""
    with pytest.raises(PacsException) as caught:
        StorageLayout(template)
    assert caught.value.error.code is ErrorCode.INVALID_CONFIGURATION
    assert words in caught.value.error.message


def test_an_archive_says_so_before_it_makes_anything(tmp_path: Path) -> None:
    """``open_archive`` with such a template fails, and no folder is made."""
    error = open_archive(tmp_path / "pacs", layout="{PatientID}").failure()
    assert error.code is ErrorCode.INVALID_CONFIGURATION
    assert not (tmp_path / "pacs").exists()


# -- names from untrusted values -----------------------------------------------------------------

HOSTILE = [
    "..",
    ".",
    "../../etc/passwd",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "C:\\x",
    "con",
    "CON.txt",
    "com1",
    "nul.",
    "x.",
    ".x",
    "-",
    "a\0b",
    "a\nb",
    " ",
    "é",
    "e\u0301",
    "\u202e",
    "\ud800",
    "none",
    "A" * 58,
    "A" * 10_000,
    "con.x y",
    "x_0123456789abcdef",
    "名前^太郎",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_becomes_a_plain_component(value: str) -> None:
    """Whatever the value, its name is a component of a key, and short."""
    assert checked_key(safe_name(value)) == (safe_name(value),)
    assert len(safe_name(value)) <= 57


def test_hostile_values_do_not_share_a_name() -> None:
    """Not with each other, and not with what the others are spelled as."""
    values = {*HOSTILE, "", *(safe_name(value) for value in HOSTILE), "a_b", "x_"}
    names = [safe_name(value) for value in values]
    assert len(set(names)) == len(values)


@given(st.text(), st.text())
def test_different_values_have_different_names(one: str, other: str) -> None:
    """Any text becomes a safe component of its own."""
    assume(one != other)
    assert safe_name(one) != safe_name(other)
    for value in (one, other):
        assert checked_key(safe_name(value)) == (safe_name(value),)


@given(st.text(max_size=80), st.text(max_size=80))
def test_no_value_makes_a_key_that_is_none(patient_id: str, modality: str) -> None:
    """Values that are harmless by themselves stay so side by side; the depth never changes."""
    for layout, depth in (
        ("{Modality}.{SeriesNumber}/{PatientID}/{SOPInstanceUID}", 3),
        ("date", 4),
    ):
        made = key(layout, PatientID=patient_id.replace("\\", ""), Modality=modality)
        assert len(checked_key(made)) == depth
        assert made.endswith("/1.2.3.4.dcm")
        assert len(made) <= MAX_KEY_LENGTH
        assert max(map(len, made.split("/"))) <= MAX_COMPONENT_LENGTH


def test_values_that_name_a_device_together_are_kept_apart() -> None:
    """``CO`` and ``N`` are harmless; ``CON`` is a device on Windows."""
    made = key("{Modality}{BodyPartExamined}/{SOPInstanceUID}", Modality="CO", BodyPartExamined="N")
    assert made == "_CON/1.2.3.4.dcm"


def test_a_uid_of_300_characters_or_with_a_path_is_refused_in_every_layout() -> None:
    """Checked UIDs are what keys are made of; the others never come so far."""
    for uid in ("1." * 150 + "1", "../../1", "1/2", "1.2\\..", "C:1"):
        for layout in LAYOUTS:
            with pytest.raises(PacsException) as caught:
                key(layout, SOPInstanceUID=uid)
            assert caught.value.error.code is ErrorCode.INVALID_UID
            assert caught.value.error.code.dimse_status == 0xC000


# -- duplicates' keys ------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_duplicate_has_a_key_that_no_instance_has(layout: str) -> None:
    """It lies beside the instance, can be told from one, and fits with the longest UIDs."""
    longest = "1" * 64
    instance = key(
        layout,
        StudyInstanceUID=longest,
        SeriesInstanceUID=longest,
        SOPInstanceUID=longest,
        PatientID="é" * 64,
    )
    beside = duplicate_key(instance, "0123456789abcdef" * 2)
    assert checked_key(beside)
    assert beside.rpartition("/")[0] == instance.rpartition("/")[0]
    assert is_duplicate_key(beside)
    assert not is_duplicate_key(instance)


# -- archives ----------------------------------------------------------------------------------------


def content(archive: Archive, uid: str) -> bytes:
    """Read an instance's data set."""
    return bytes(raised(archive.open(uid)).encoded.view())


def objects(folder: Path) -> list[str]:
    """Name the objects in an archive's folder."""
    root = folder / "objects"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*.dcm"))


@pytest.mark.parametrize("policy", DuplicatePolicy)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_resend_changes_nothing_in_any_layout(
    tmp_path: Path, layout: str, policy: DuplicatePolicy
) -> None:
    """Whatever keys are made of, the same instance again is a success and no new object."""
    sent = made_instance(StudyDate="20240131")
    with raised(open_archive(tmp_path, layout=layout, duplicates=policy)) as archive:
        first, again = raised(archive.store(sent)), raised(archive.store(sent))
        assert (first.created, again.created) == (True, False)
        assert objects(tmp_path) == [first.storage_key] == [again.storage_key]


@pytest.mark.parametrize("policy", DuplicatePolicy)
def test_the_layout_of_an_archive_may_be_changed(tmp_path: Path, policy: DuplicatePolicy) -> None:
    """Objects stay where they are and can be opened; sent again they are known, not doubled."""
    sent = [made_instance(StudyDate="20240131") for _ in LAYOUTS]
    keys: list[str] = []
    for number, layout in enumerate(LAYOUTS):
        with raised(open_archive(tmp_path, layout=layout, duplicates=policy)) as archive:
            keys.append(raised(archive.store(sent[number])).storage_key)
            for one, known in zip(sent, keys, strict=False):
                again = raised(archive.store(one))
                assert (again.created, again.storage_key) == (False, known)
                assert content(archive, one.sop_instance_uid) == bytes(one.encoded.view())
            assert objects(tmp_path) == sorted(keys)
    assert len({key.count("/") for key in keys}) > 2


def corrected(sent: Instance, **elements: object) -> Instance:
    """Make an instance of the same UID with a Study Date and so a key of its own."""
    return made_instance(SOPInstanceUID=sent.sop_instance_uid, **elements)


@pytest.mark.parametrize("policy", DuplicatePolicy)
def test_other_content_under_another_key_meets_the_policy(
    tmp_path: Path, policy: DuplicatePolicy
) -> None:
    """A Study Date that was corrected changes the key in the layout ``date``, and no rule."""
    sent = made_instance(StudyDate="20240131")
    other = corrected(sent, StudyDate="20240201")
    with raised(open_archive(tmp_path, layout="date", duplicates=policy)) as archive:
        first = raised(archive.store(sent))
        result = archive.store(other)
        stays = bytes(
            other.encoded.view() if policy is DuplicatePolicy.REPLACE else sent.encoded.view()
        )
        assert content(archive, sent.sop_instance_uid) == stays
        assert raised(archive.statistics()).instances == 1
        match policy:
            case DuplicatePolicy.REJECT:
                assert result.failure().code is ErrorCode.DUPLICATE_OBJECT
                assert objects(tmp_path) == [first.storage_key]
            case DuplicatePolicy.IGNORE:
                kept = raised(result)
                assert (kept.created, kept.storage_key) == (False, first.storage_key)
                assert objects(tmp_path) == [first.storage_key]
            case DuplicatePolicy.REPLACE:
                assert raised(result).created
                assert objects(tmp_path) == [raised(result).storage_key] != [first.storage_key]
            case DuplicatePolicy.KEEP_BOTH:
                assert raised(result).kept_beside
                assert objects(tmp_path) == sorted([first.storage_key, raised(result).storage_key])


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("policy", [DuplicatePolicy.REJECT, DuplicatePolicy.IGNORE])
def test_an_instance_is_in_one_study_in_every_layout(
    tmp_path: Path, layout: str, policy: DuplicatePolicy
) -> None:
    """A UID that comes in another study is refused, also where its key is the same."""
    sent = made_instance(StudyDate="20240131")
    moved = corrected(sent, StudyDate="20240131", StudyInstanceUID="1.9")
    with raised(open_archive(tmp_path, layout=layout, duplicates=policy)) as archive:
        first = raised(archive.store(sent))
        assert archive.store(moved).failure().code is ErrorCode.DUPLICATE_OBJECT
        assert objects(tmp_path) == [first.storage_key]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_replace_moves_an_instance_to_another_study_in_every_layout(
    tmp_path: Path, layout: str
) -> None:
    """One object is left, and the index tells of it."""
    sent = made_instance(StudyDate="20240131")
    moved = corrected(sent, StudyDate="20240131", StudyInstanceUID="1.9")
    replace = DuplicatePolicy.REPLACE
    with raised(open_archive(tmp_path, layout=layout, duplicates=replace)) as archive:
        raised(archive.store(sent))
        stored = raised(archive.store(moved))
        assert objects(tmp_path) == [stored.storage_key]
        assert content(archive, sent.sop_instance_uid) == bytes(moved.encoded.view())
        assert raised(archive.statistics()).studies == 1


def test_an_object_that_vanished_from_its_old_key_is_stored_under_the_new(tmp_path: Path) -> None:
    """The row tells of nothing any more; sending the instance again heals it."""
    sent = made_instance(StudyDate="20240131")
    with raised(open_archive(tmp_path)) as archive:
        old = raised(archive.store(sent)).storage_key
    (tmp_path / "objects" / old).unlink()
    with raised(open_archive(tmp_path, layout="date")) as archive:
        stored = raised(archive.store(sent))
        assert objects(tmp_path) == [stored.storage_key]
        assert content(archive, sent.sop_instance_uid) == bytes(sent.encoded.view())
