"""Whatever a peer does, each instance has one outcome, and what is told as stored has arrived."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from pacs_sdk.core.byte_source import MemoryBytes
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


def _instances(count: int) -> list[Instance]:
    data = MemoryBytes(b"\x08\x00\x60\x00CS\x02\x00CT")
    return [
        Instance(CT, f"1.2.3.{number}", EXPLICIT_VR_LITTLE_ENDIAN.uid, data)
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
)
def test_nothing_is_forgotten_and_nothing_made_up(
    script: list[str], count: int, parallel: int, window: int, attempts: int, look_ahead: int
) -> None:
    """One final outcome an instance, told once and in the report, in the order given."""
    service = Receiver(*(STEPS[name]() for name in script))
    sent = _instances(count)
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
        assert all(one.status is not None for one in outcomes)
