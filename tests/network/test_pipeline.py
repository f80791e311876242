"""Several operations at a time, over both drivers of the server and against scripted peers."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable, Iterator

import attrs
import pytest

from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.core.errors import ErrorCode, PacsException
from pacs_sdk.core.results import raised
from pacs_sdk.network import (
    AcceptedContext,
    DicomAssociation,
    Exchange,
    IncomingMessage,
    Operation,
    RequestorOptions,
    ServerConfig,
)
from pacs_sdk.network.dimse import CEchoRQ, CEchoRSP, CStoreRQ, CStoreRSP, Message, Status
from pacs_sdk.network.pipeline import pipelined
from tests.network.helpers import CT_IMAGE, IMPLICIT, VERIFICATION
from tests.network.servers import EchoService, Scripted, Shelf, assert_alive, open_to, serving

pytestmark = pytest.mark.usefixtures("driver")

CONTEXT = AcceptedContext(1, VERIFICATION, IMPLICIT, as_scu=True, as_scp=False)
AHEAD = RequestorOptions(max_operations_invoked=4)


def stores(association: DicomAssociation, count: int) -> Iterator[Operation[int]]:
    """Make C-STOREs of a few bytes each."""
    context = raised(association.context_for(CT_IMAGE))
    for number in range(count):
        request = CStoreRQ(association.next_message_id(), CT_IMAGE, f"1.2.{number}")
        yield Operation(number, context.context_id, request, MemoryBytes(b"%04d" % number))


@pytest.mark.parametrize(
    ("granted", "asked", "window"), [(1, 4, 1), (3, 4, 3), (8, 4, 4), (8, 0, 8), (8, None, 1)]
)
def test_the_window_is_the_smaller_of_what_both_sides_say(
    granted: int, asked: int | None, window: int
) -> None:
    """0 is any number; who asks for nothing gets one (PS3.7 D.3.3.3)."""
    config = ServerConfig(max_operations_performed=granted)
    options = None if asked is None else RequestorOptions(max_operations_invoked=asked)
    with serving(EchoService(), config=config) as server, open_to(server, options=options) as found:
        assert found.window.invoked == window
        assert_alive(found)


def test_images_are_sent_ahead_of_their_responses() -> None:
    """While the first is being stored, the next ones are on their way already."""
    shelf, began, may_go_on = Shelf(), threading.Event(), threading.Event()

    def keep(exchange: Exchange) -> None:
        began.set()
        assert may_go_on.wait(10)
        shelf(exchange)

    def noted(operations: Iterator[Operation[int]]) -> Iterator[Operation[int]]:
        for operation in operations:
            if operation.key == 3:  # the fourth is taken while nothing is answered yet
                assert began.wait(10)
                assert not shelf.kept
                may_go_on.set()
            yield operation

    with (
        serving(Scripted(keep), EchoService()) as server,
        open_to(server, options=AHEAD) as association,
    ):
        performed = list(association.pipelined(noted(stores(association, 20))))
        assert_alive(association)
    assert [one.operation.key for one in performed] == list(range(20))
    assert {one.response.status for one in performed} == {Status.SUCCESS}
    assert shelf.kept == {f"1.2.{number}": b"%04d" % number for number in range(20)}


def test_without_a_window_one_follows_the_other() -> None:
    """The default window is one operation (PS3.7 D.3.3.3)."""
    shelf = Shelf()

    def checked(operations: Iterator[Operation[int]]) -> Iterator[Operation[int]]:
        for operation in operations:
            assert len(shelf.kept) == operation.key
            yield operation

    with serving(Scripted(shelf)) as server, open_to(server) as association:
        assert len(list(association.pipelined(checked(stores(association, 5))))) == 5


def test_leaving_early_aborts() -> None:
    """Answers that are still to come would be taken for those of the next request."""
    with serving(Scripted(Shelf())) as server, open_to(server, options=AHEAD) as association:
        performed = association.pipelined(stores(association, 20))
        next(performed)
        performed.close()
        assert not association.is_open


class _Unreadable(MemoryBytes):
    """A data set whose disk fails when it is to be sent."""

    def view(self) -> memoryview:
        """Fail."""
        raise OSError(errno.EIO, "Input/output error")


def _no_more(operations: Iterator[Operation[int]]) -> Iterator[Operation[int]]:
    yield from operations
    raise OSError(errno.EIO, "Input/output error")


def _unreadable(operations: Iterator[Operation[int]]) -> Iterator[Operation[int]]:
    *first, last = operations
    yield from first
    yield attrs.evolve(last, data=_Unreadable(b"data"))


@pytest.mark.parametrize("fail", [_no_more, _unreadable])
def test_what_was_sent_before_a_failure_is_answered(
    fail: Callable[[Iterator[Operation[int]]], Iterator[Operation[int]]],
) -> None:
    """The next operation on the association finds no stray response."""
    shelf = Shelf()
    with (
        serving(Scripted(shelf), EchoService()) as server,
        open_to(server, options=AHEAD) as association,
    ):
        found = association.pipelined(fail(stores(association, 3)))
        keys = [next(found).operation.key, next(found).operation.key]
        with pytest.raises(OSError, match="Input/output error"):
            keys += [performed.operation.key for performed in found]
        assert_alive(association)
    assert [f"1.2.{key}" for key in keys] == list(shelf.kept)[: len(keys)]


def _interrupted(operations: Iterator[Operation[int]]) -> Iterator[Operation[int]]:
    yield from operations
    raise KeyboardInterrupt


def _fail() -> None:
    raise ZeroDivisionError


def _be_interrupted(association: DicomAssociation) -> None:
    list(association.pipelined(_interrupted(stores(association, 3))))


def _fail_meanwhile(association: DicomAssociation) -> None:
    list(association.pipelined(stores(association, 3), meanwhile=_fail))


def _fail_in_between(association: DicomAssociation) -> None:
    found = association.pipelined(stores(association, 3))
    next(found)
    found.throw(ZeroDivisionError)


@pytest.mark.parametrize(
    "act", [_be_interrupted, _fail_meanwhile, _fail_in_between], ids=lambda f: f.__name__
)
def test_an_exception_that_leaves_responses_outstanding_aborts(
    act: Callable[[DicomAssociation], None],
) -> None:
    """Nobody would take them but the next operation, for its own."""
    with serving(Scripted(Shelf())) as server, open_to(server, options=AHEAD) as association:
        with pytest.raises((KeyboardInterrupt, ZeroDivisionError)):
            act(association)
        assert not association.is_open


class ScriptedLine:
    """An association whose peer says what the test wants."""

    def __init__(self, *answers: Message | None, breaks_after: int | None = None) -> None:
        self.sent: list[Message] = []
        self._answers = list(answers)
        self._breaks_after = breaks_after

    def send(self, context_id: int, message: Message, data: object = None) -> None:
        """Keep it, unless the line is broken."""
        if len(self.sent) == self._breaks_after:
            raise PacsException(ErrorCode.ASSOCIATION_ABORTED, "the line is broken")
        self.sent.append(message)

    def receive(self, timeout_s: float | None) -> IncomingMessage | None:
        """Return the next answer."""
        answer = self._answers.pop(0)
        if answer is None:
            return None
        return IncomingMessage(CONTEXT, answer, None, None, None)


def echoes(*numbers: int) -> list[Operation[int]]:
    """Make C-ECHOs with these Message IDs."""
    return [Operation(number, 1, CEchoRQ(number)) for number in numbers]


def test_responses_may_come_in_any_order() -> None:
    """Each is told by the Message ID it responds to."""
    line = ScriptedLine(*(CEchoRSP(number, Status.SUCCESS) for number in (3, 1, 2)))
    found = [one.operation.key for one in pipelined(line, echoes(1, 2, 3), 0, None)]
    assert found == [3, 1, 2]
    assert len(line.sent) == 3


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (CEchoRSP(9, 0), ErrorCode.INVALID_DIMSE_MESSAGE, "message 9, which is not outstanding"),
        (CEchoRQ(1), ErrorCode.INVALID_DIMSE_MESSAGE, "CEchoRQ where responses were expected"),
        (CStoreRSP(1, 0), ErrorCode.INVALID_DIMSE_MESSAGE, "message 1 with CStoreRSP"),
        (CEchoRSP(1, Status.PENDING), ErrorCode.INVALID_DIMSE_MESSAGE, "status FF00H"),
        (None, ErrorCode.ASSOCIATION_ABORTED, "released the association early"),
    ],
)
def test_what_answers_nothing_is_an_error(
    answer: Message | None, code: ErrorCode, words: str
) -> None:
    """A peer that mixes things up is not believed."""
    with pytest.raises(PacsException, match=words) as caught:
        list(pipelined(ScriptedLine(answer), echoes(1, 2), 2, None))
    assert caught.value.error.code is code


def test_a_message_id_is_not_used_twice_at_a_time() -> None:
    """Its responses could not be told apart."""
    with pytest.raises(PacsException, match="message 7 is outstanding already"):
        list(pipelined(ScriptedLine(CEchoRSP(7, Status.SUCCESS)), echoes(7, 7), 2, None))


@pytest.mark.parametrize("window", [0, 1000])
def test_no_window_is_larger_than_what_buffers_hold(window: int) -> None:
    """Both sides could wait for the other to read otherwise."""
    line = ScriptedLine(*(CEchoRSP(number, 0) for number in range(1, 200)))
    found = pipelined(line, echoes(*range(1, 200)), window, None)
    next(found)
    assert len(line.sent) == 64


def test_what_was_answered_before_the_line_broke_is_told() -> None:
    """The answers have arrived, though the next request could not be sent any more."""
    line = ScriptedLine(*(CEchoRSP(number, Status.SUCCESS) for number in (1, 2)), breaks_after=2)
    found = pipelined(line, echoes(1, 2, 3, 4), 4, None)
    assert [next(found).operation.key, next(found).operation.key] == [1, 2]
    with pytest.raises(PacsException, match="the line is broken"):
        next(found)


def test_there_is_time_for_something_else_before_each_answer() -> None:
    """``meanwhile`` is called when as much is sent as may be, and nothing is answered yet."""
    line = ScriptedLine(*(CEchoRSP(number, Status.SUCCESS) for number in (1, 2, 3)))
    sent: list[int] = []
    found = pipelined(line, echoes(1, 2, 3), 2, None, meanwhile=lambda: sent.append(len(line.sent)))
    assert [one.operation.key for one in found] == [1, 2, 3]
    assert sent == [2, 3, 3]
