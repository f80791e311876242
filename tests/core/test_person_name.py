"""Person names and their groups (PS3.5 6.2.1)."""

from __future__ import annotations

import pydicom.valuerep
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacs_sdk.core.errors import ErrorCode
from pacs_sdk.core.person_name import NameGroup, PersonName, person_name

EXAMPLES = [
    # PS3.5 6.2.1.2 and Annexes H and I
    ("", PersonName()),
    (
        "Adams^John Robert Quincy^^Rev.^B.A. M.Div.",
        PersonName(NameGroup("Adams", "John Robert Quincy", "", "Rev.", "B.A. M.Div.")),
    ),
    (
        "Morrison-Jones^Susan^^^Ph.D.",
        PersonName(NameGroup("Morrison-Jones", "Susan", "", "", "Ph.D.")),
    ),
    ("Doe^John", PersonName(NameGroup("Doe", "John"))),
    (
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
        PersonName(
            NameGroup("Yamada", "Tarou"), NameGroup("山田", "太郎"), NameGroup("やまだ", "たろう")
        ),
    ),
    ("=洪^吉洞", PersonName(ideographic=NameGroup("洪", "吉洞"))),
    ("==홍^길동", PersonName(phonetic=NameGroup("홍", "길동"))),
]


@pytest.mark.parametrize(("text", "name"), EXAMPLES)
def test_examples(text: str, name: PersonName) -> None:
    """The examples come apart and go together again."""
    assert person_name(text).unwrap() == name
    assert str(name) == text


def test_what_data_sets_give() -> None:
    """Pydicom's person name is taken too, with the components of every group."""
    name = person_name(pydicom.valuerep.PersonName("Yamada^Tarou=山田^太郎")).unwrap()
    assert name.ideographic.given == "太郎"


def test_padding_and_empty_ends() -> None:
    """Padding and trailing delimiters, which mean nothing, disappear."""
    assert str(person_name("Doe ^ John^^^==").unwrap()) == "Doe^John"


@pytest.mark.parametrize("text", ["a=b=c=d", "1^2^3^4^5^6", "Doe\\Roe", "x" * 65, "a\x1bb"])
def test_what_is_no_name(text: str) -> None:
    """Too many parts, several values, too long a group: a failure."""
    assert person_name(text).failure().code is ErrorCode.VALUE_CONVERSION_FAILED


@pytest.mark.parametrize("wrong", ["a^b", "a=b", "a\\b", "a\nb", "x" * 65])
def test_delimiters_in_components(wrong: str) -> None:
    """A component that would be read back as something else cannot be made."""
    with pytest.raises(ValueError, match=r"family|at most 64"):
        NameGroup(family=wrong)


PARTS = st.text(
    st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="^=\\ "), max_size=12
)


@given(st.lists(st.lists(PARTS, max_size=5), max_size=3))
def test_round_trip(groups: list[list[str]]) -> None:
    """Any name comes back."""
    name = PersonName(*(NameGroup(*components) for components in groups))
    assert person_name(str(name)).unwrap() == name
