"""Which associations of a pool are used again, and by whom."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.network import ProposedContext
from pacs_sdk.network.tls import ClientTls
from tests.network.pool_setup import ARCHIVE, CT, ECHO, FIND, setup


def test_an_association_is_used_again() -> None:
    """It is opened once, and neither checked nor released between two uses."""
    with setup() as made:
        first, second = made.acquire(), None
        assert not first.is_reused
        with first as association:
            made.counts(created=1, reused=0, in_use=1, idle=0)
        made.counts(in_use=0, idle=1)
        second = made.acquire()
        assert second.is_reused
        assert second.association is association
        assert association.echoes == 0
        second.give_back()
        made.counts(created=1, reused=1, checked=0, in_use=0, idle=1)
    assert association.ended == "released"


@pytest.mark.parametrize(
    "other",
    [
        {"peer": attrs.evolve(ARCHIVE, host="elsewhere")},
        {"peer": attrs.evolve(ARCHIVE, port=105)},
        {"peer": attrs.evolve(ARCHIVE, ae_title="OTHER")},
        {"calling_ae_title": "THEM"},
        {"contexts": (FIND,)},
        {"contexts": (CT, FIND)},
        {"contexts": (attrs.evolve(CT, as_scp=True),)},
        {"peer": attrs.evolve(ARCHIVE, tls=ClientTls())},
    ],
    ids="+".join,
)
def test_only_what_was_opened_alike_is_shared(other: dict[str, Any]) -> None:
    """Peer, titles, contexts and TLS settings all have to be the same."""
    with setup() as made:
        made.idle()
        wanted: dict[str, Any] = {
            "peer": ARCHIVE, "calling_ae_title": "US", "contexts": (CT,)
        }  # fmt: skip
        wanted |= other
        with raised(made.pool.acquire(**wanted)) as association:
            assert association.peer == wanted["peer"]
            assert association.calling_ae_title == wanted["calling_ae_title"]
            assert association.proposed == (*wanted["contexts"], ECHO)
        made.counts(created=2, reused=0)


@pytest.mark.parametrize(
    ("contexts", "added"),
    [
        ((CT,), (ECHO,)),
        ((ECHO, CT), ()),
        ((CT,) * 127, (ECHO,)),
        ((CT,) * 128, ()),
    ],
    ids=["absent", "present", "room for one", "no room"],
)
def test_verification_is_proposed_as_well(
    contexts: tuple[ProposedContext, ...], added: tuple[ProposedContext, ...]
) -> None:
    """Unless it is there, or all 128 presentation contexts are taken (PS3.8 9.3.2.2)."""
    with setup() as made, made.acquire(ARCHIVE, *contexts) as association:
        assert association.proposed == contexts + added


@pytest.mark.parametrize("count", [0, 129])
def test_a_number_of_contexts_that_cannot_be_is_refused(count: int) -> None:
    """Verification alone is not what the caller wanted."""
    with setup() as made:
        error = made.pool.acquire(ARCHIVE, "US", (CT,) * count).failure()
        assert error.code is ErrorCode.INVALID_ARGUMENT
        made.counts(created=0, in_use=0)


def test_the_one_used_last_is_used_next() -> None:
    """So that the others grow old, and expire when there is less to do."""
    with setup() as made:
        first, second = made.acquire(), made.acquire()
        older, newer = first.association, second.association
        first.give_back()
        second.give_back()
        with made.acquire() as association:
            assert association is newer
        assert older.is_open


def test_an_association_that_was_given_back_is_out_of_reach() -> None:
    """It may be another user's already; giving it back twice does no harm to that one."""
    with setup() as made:
        first = made.acquire()
        first.give_back()
        second = made.acquire()
        first.give_back(failed=True)
        with pytest.raises(PacsException) as raising:
            _ = first.association
        assert raising.value.error.code is ErrorCode.PROTOCOL_MISUSE
        assert second.association.is_open
        made.counts(in_use=1, idle=0, failed=0)
        second.give_back()
