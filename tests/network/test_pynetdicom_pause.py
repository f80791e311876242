"""pynetdicom's clients are paused while they say so, or its answers get lost in our tests."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.pynetdicom_pause import mend_pynetdicom

pynetdicom: Any = pytest.importorskip("pynetdicom")

DEADLINE_S = 10.0
"""How long another thread may take for what it does at once."""


def test_a_client_is_paused_only_while_its_thread_waits() -> None:
    """Not when it says so on its way, and no longer when it has been told to go on."""
    mend_pynetdicom()
    association = pynetdicom.association.Association(pynetdicom.AE(), "requestor")
    checkpoint = association._reactor_checkpoint
    association._is_paused = True  # as its thread says before it looks
    checkpoint.clear()
    assert not association._is_paused
    waiting = threading.Thread(target=checkpoint.wait, args=(DEADLINE_S,))
    waiting.start()
    while not association._is_paused:  # as pynetdicom itself waits for it
        assert waiting.is_alive()
    checkpoint.set()
    checkpoint.clear()  # for the next request, before the thread has woken
    assert not association._is_paused
    waiting.join(DEADLINE_S)
    assert not waiting.is_alive()
