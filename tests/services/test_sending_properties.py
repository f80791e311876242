"""Whatever a peer does, each instance has one outcome, and what is told as stored has arrived."""

from __future__ import annotations

from collections.abc import Callable, Collection

from hypothesis import given, settings
from hypothesis import strategies as st

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import Success
from pacs_sdk.encoding import EXPLICIT_VR_LITTLE_ENDIAN, Instance
from pacs_sdk.network import RetryPolicy
from pacs_sdk.services import StorageScu, StoreOutcome
from tests.services.conftest import CT
from tests.services.receivers import (
    Receiver,
    Script,
    Waits,
    abort,
    answer,
    hang_up,
    receiving,
    take,
)

STEPS: dict[str, Callable[[], Script]] = {
    "take": lambda: take,
    "warn": lambda: answer(0xB007),
    "busy": lambda: answer(0xA700),
    "refuse": lambda: answer(0xC001),
    "abort": lambda: abort,
    "hang up": lambda: hang_up,
}


class Unreadable(MemoryBytes):
    """Bytes that cannot be read when they are to be sent."""

    def view(self) -> memoryview:
        """Fail."""
        raise PacsException(ErrorCode.TRUNCATED, "it has become shorter")


def _instances(count: int, unreadable: Collection[int]) -> list[Instance]:
    data = b"\x08\x00\x60\x00CS\x02\x00CT"
    return [
        Instance(
            CT,
            f"1.2.3.{number}",
            EXPLICIT_VR_LITTLE_ENDIAN.uid,
            Unreadable(data) if number in unreadable else MemoryBytes(data),
        )
        for number in range(count)
    ]


@settings(max_examples=40)
@given(
    script=st.lists(st.sampled_from(sorted(STEPS)), max_size=25),
    count=st.integers(1, 16),
    parallel=st.integers(1, 3),
    window=st.integers(1, 5),
    attempts=st.integers(1, 4),
    look_ahead=st.integers(1, 8),
    unreadable=st.sets(st.integers(0, 15), max_size=4),
)
def test_nothing_is_forgotten_and_nothing_made_up(  # what hypothesis varies
    script: list[str],
    count: int,
    parallel: int,
    window: int,
    attempts: int,
    look_ahead: int,
    unreadable: set[int],
) -> None:
    """One final outcome an instance, told once and in the report, in the order given."""
    service = Receiver(*(STEPS[name]() for name in script))
    sent = _instances(count, unreadable)
    told: list[StoreOutcome] = []
    scu = StorageScu(
        parallel=parallel,
        window=window,
        look_ahead=look_ahead,
        retry=RetryPolicy(attempts=attempts),
    )
    with receiving(service) as peer:
        result = scu.store(peer, iter(sent), told.append, stop=Waits())
    assert isinstance(result, Success)
    outcomes = result.unwrap().outcomes
    assert [one.sop_instance_uid for one in outcomes] == [one.sop_instance_uid for one in sent]
    assert sorted(map(str, told)) == sorted(map(str, outcomes))
    arrived = service.uids
    for outcome in outcomes:
        if outcome.is_stored:
            assert outcome.sop_instance_uid in arrived
            assert outcome.error is None
        else:
            assert (outcome.status is None) is (outcome.error is not None)
            assert outcome.explanation
        # What was under way when the peer ended the association may not have been looked at.
        assert arrived.count(outcome.sop_instance_uid) <= outcome.attempts <= attempts
    if not {"abort", "hang up"} & set(script):
        assert service.associations <= parallel * attempts  # new ones for each further round
        not_sent = [number for number, one in enumerate(outcomes) if one.status is None]
        assert not_sent == sorted(number for number in unreadable if number < count)
        assert {outcomes[number].error for number in not_sent} <= {ErrorCode.TRUNCATED}
