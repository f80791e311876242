"""What every storage backend has to do, whatever it keeps objects in.

To test a backend of your own, add it to :data:`BACKENDS`: a function that is given the
name of a folder that isn't there yet, and returns your backend. Every test below then
runs against it, and none of them looks behind the port.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from returns.result import Failure, Success
from typing_extensions import Buffer

from pacs_sdk.core.errors import ErrorCode, PacsError, PacsException
from pacs_sdk.core.results import PacsResult
from pacs_sdk.storage import DuplicatePolicy, Durability, FileStorage, StorageBackend, StoredObject
from pacs_sdk.storage.objects.archive_storage import ArchiveStorage
from pacs_sdk.storage.objects.backend import (
    SMALL_OBJECT_BYTES,
    NewObject,
    ReceivingBackend,
    SmallObjectBackend,
)
from pacs_sdk.storage.objects.received import ReceivedObject
from pacs_sdk.testing import MemoryStorage

MakeBackend: TypeAlias = Callable[[Path], StorageBackend]

BACKENDS: dict[str, MakeBackend] = {
    "files-durable": lambda folder: FileStorage(folder, Durability.DURABLE),
    "files-relaxed": lambda folder: FileStorage(folder, Durability.RELAXED),
    "files-of-an-archive": ArchiveStorage,
    "memory": lambda _: MemoryStorage(),
}


@pytest.fixture(params=list(BACKENDS.values()), ids=list(BACKENDS))
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StorageBackend]:
    """Give each backend in turn, empty."""
    make: MakeBackend = request.param
    made = make(tmp_path / "objects")
    yield made
    made.close()


KEY = "1.2.840/1.2.840.1/1.2.840.1.7.dcm"
REJECT, REPLACE, IGNORE, KEEP_BOTH = DuplicatePolicy


def content(backend: StorageBackend, key: str = KEY) -> bytes:
    """Read an object as a whole."""
    return bytes(backend.open(key).unwrap().view())


def code_of(result: PacsResult[object]) -> ErrorCode:
    """Return the code of a failure."""
    match result:
        case Failure(PacsError(code, message)):
            assert message
            return code
        case Success(value):
            raise AssertionError(f"succeeded with {value!r}")
    raise TypeError(result)


# -- put and open ------------------------------------------------------------------------


def test_an_object_comes_back_as_it_was_put(backend: StorageBackend) -> None:
    """The parts of a put are one object: its bytes, its size, its key."""
    parts: list[Buffer] = [b"DICM", memoryview(b"-middle-"), bytearray(b"end"), b""]
    assert backend.put(KEY, parts).unwrap() == StoredObject(KEY, 15, created=True)
    source = backend.open(KEY).unwrap()
    assert source.size == 15
    assert bytes(source.view()) == b"DICM-middle-end"
    assert bytes(source.head(6)) == b"DICM-m"
    assert bytes(source.slice(4, 8).view()) == b"-middle-"
    assert source.view().readonly


def test_an_object_of_no_bytes_is_an_object(backend: StorageBackend) -> None:
    """An empty object can be put, found and read."""
    assert backend.put(KEY, []).unwrap().size_bytes == 0
    assert backend.stat(KEY).unwrap() == StoredObject(KEY, 0)
    assert content(backend) == b""


def test_views_of_wider_items_count_in_bytes(backend: StorageBackend) -> None:
    """A buffer of 16-bit pixels is as many bytes as it occupies, not as it has items."""
    pixels = memoryview(bytes(range(16))).cast("H")
    assert backend.put(KEY, [pixels]).unwrap().size_bytes == 16
    assert content(backend) == bytes(range(16))


def test_a_large_object_comes_back(backend: StorageBackend) -> None:
    """Beyond the size where files are mapped, parts still meet without a seam."""
    first, second = bytes(range(256)) * 5000, b"\xa5" * 1_000_003
    backend.put(KEY, [first, second]).unwrap()
    assert content(backend) == first + second
    assert bytes(backend.open(KEY).unwrap().slice(len(first) - 2, 4).view()) == b"\xfe\xff\xa5\xa5"


def test_what_a_put_was_given_may_be_reused(backend: StorageBackend) -> None:
    """A receive buffer is overwritten after the put; the object isn't."""
    buffer = bytearray(b"first")
    backend.put(KEY, [buffer]).unwrap()
    buffer[:] = b"other"
    assert content(backend) == b"first"


@pytest.mark.parametrize("operation", ["open", "stat", "delete"])
@pytest.mark.parametrize(
    "key",
    ["1/2/4.dcm", "1/9/3.dcm", "7", "1", "1/2", "1/2/3.dcm/4"],
    ids=["file", "folder", "top", "a-folder", "deeper-folder", "below-an-object"],
)
def test_what_is_not_there_is_not_found(backend: StorageBackend, operation: str, key: str) -> None:
    """Open, stat and delete of anything but an object's key are OBJECT_NOT_FOUND."""
    backend.put("1/2/3.dcm", [b"x"]).unwrap()
    assert code_of(getattr(backend, operation)(key)) is ErrorCode.OBJECT_NOT_FOUND
    assert content(backend, "1/2/3.dcm") == b"x"


@pytest.mark.parametrize("size", [0, 1, 1000, 1_500_000], ids=str)
def test_any_range_of_bytes_can_be_opened(backend: StorageBackend, size: int) -> None:
    """A part begins and ends where it is told, or where the object ends; so does a part of it."""
    data = bytes(number % 251 for number in range(1000)) * (size // 1000) or b"x" * size
    backend.put(KEY, [data]).unwrap()
    source = backend.open(KEY).unwrap()
    for offset in (0, 1, 500, size - 1, size, size + 10):
        if offset < 0:
            continue
        for length in (0, 1, 300, size, None):
            part = source.slice(offset, length)
            wanted = data[offset : None if length is None else offset + length]
            assert part.size == len(wanted)
            assert bytes(part.view()) == wanted
            assert bytes(part.head(7)) == wanted[:7]
            assert bytes(part.slice(2, 5).view()) == wanted[2:7]


def test_an_object_may_be_opened_many_times_at_once(backend: StorageBackend) -> None:
    """Sources of one object don't disturb each other; each is read when it is looked at."""
    data = bytes(range(256)) * 100
    backend.put(KEY, [data]).unwrap()
    sources = [backend.open(KEY).unwrap() for _ in range(20)]
    assert {bytes(source.slice(10, 20).view()) for source in sources} == {data[10:30]}


# -- keys that are taken -------------------------------------------------------------------


@pytest.mark.parametrize("policy", DuplicatePolicy)
def test_the_same_bytes_again_change_nothing(
    backend: StorageBackend, policy: DuplicatePolicy
) -> None:
    """A resend succeeds under every policy and says that it created nothing."""
    backend.put(KEY, [b"same ", b"bytes"], policy=policy).unwrap()
    again = backend.put(KEY, [b"same", b" bytes"], policy=policy).unwrap()
    assert again == StoredObject(KEY, 10, created=False)
    assert content(backend) == b"same bytes"


@pytest.mark.parametrize("other", [b"other", b"first and more", b"fir", b""])
def test_reject_keeps_the_first_and_says_so(backend: StorageBackend, other: bytes) -> None:
    """Other bytes under a taken key are DUPLICATE_OBJECT, the default; nothing changes."""
    backend.put(KEY, [b"first"]).unwrap()
    assert code_of(backend.put(KEY, [other])) is ErrorCode.DUPLICATE_OBJECT
    assert content(backend) == b"first"


def test_keep_both_is_for_the_archive(backend: StorageBackend) -> None:
    """A backend has one object under a key, so KEEP_BOTH is as REJECT there."""
    backend.put(KEY, [b"first"], policy=KEEP_BOTH).unwrap()
    refused = backend.put(KEY, [b"other"], policy=KEEP_BOTH)
    assert code_of(refused) is ErrorCode.DUPLICATE_OBJECT
    assert content(backend) == b"first"


def test_ignore_keeps_the_first_and_succeeds(backend: StorageBackend) -> None:
    """Under IGNORE the answer describes what is kept."""
    backend.put(KEY, [b"first"]).unwrap()
    kept = backend.put(KEY, [b"other bytes"], policy=IGNORE).unwrap()
    assert kept == StoredObject(KEY, 5, created=False)
    assert content(backend) == b"first"


def test_replace_keeps_the_last(backend: StorageBackend) -> None:
    """Under REPLACE the new object takes the place of the old one."""
    backend.put(KEY, [b"first"]).unwrap()
    replaced = backend.put(KEY, [b"other bytes"], policy=REPLACE).unwrap()
    assert replaced == StoredObject(KEY, 11, created=True)
    assert content(backend) == b"other bytes"
    assert [one.key for one in backend.list()] == [KEY]


# -- delete and list -----------------------------------------------------------------------


def test_a_deleted_object_is_gone_and_may_come_again(backend: StorageBackend) -> None:
    """After a delete nothing is found; the key is free for other bytes."""
    backend.put(KEY, [b"first"]).unwrap()
    backend.delete(KEY).unwrap()
    assert code_of(backend.open(KEY)) is ErrorCode.OBJECT_NOT_FOUND
    assert list(backend.list()) == []
    assert backend.put(KEY, [b"other"]).unwrap().created
    assert content(backend) == b"other"


def test_a_delete_leaves_the_neighbours(backend: StorageBackend) -> None:
    """Objects of the same series stay."""
    for name in ("a", "b"):
        backend.put(f"1/2/{name}", [name.encode()]).unwrap()
    backend.delete("1/2/a").unwrap()
    assert [one.key for one in backend.list()] == ["1/2/b"]


LISTED = ["1.10/a", "1.2/1/x.dcm", "1.2/1/y.dcm", "1.2/10/z", "1.2/a.dcm", "1.20/b", "2"]
"""In the order of their keys, component by component: ``1.2/…`` lies before ``1.20``."""


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", LISTED),
        ("1.2/", ["1.2/1/x.dcm", "1.2/1/y.dcm", "1.2/10/z", "1.2/a.dcm"]),
        ("1.2", ["1.2/1/x.dcm", "1.2/1/y.dcm", "1.2/10/z", "1.2/a.dcm", "1.20/b"]),
        ("1.2/1", ["1.2/1/x.dcm", "1.2/1/y.dcm", "1.2/10/z"]),
        ("1.2/1/", ["1.2/1/x.dcm", "1.2/1/y.dcm"]),
        ("1.2/1/y.dcm", ["1.2/1/y.dcm"]),
        ("1.2/1/y.dcm/", []),
        ("1.2/a.dcm", ["1.2/a.dcm"]),
        ("2", ["2"]),
        ("3", []),
        ("9/9/9", []),
    ],
)
def test_a_listing_has_what_begins_with_a_text_in_order(
    backend: StorageBackend, prefix: str, expected: list[str]
) -> None:
    """``list`` yields the keys with the prefix, each with its size, in the order of keys."""
    for key in reversed(LISTED):
        backend.put(key, [key.encode()]).unwrap()
    assert list(backend.list(prefix)) == [StoredObject(key, len(key)) for key in expected]


def test_a_listing_survives_what_happens_meanwhile(backend: StorageBackend) -> None:
    """Objects that come or go while a listing runs never make it fail."""
    for number in range(6):
        backend.put(f"{number}/1/a", [b"x"]).unwrap()
    seen = []
    for one in backend.list():
        seen.append(one.key)
        backend.delete("5/1/a")
        backend.put("3/0/b", [b"y"]).unwrap()
    assert set(seen) - {"5/1/a", "3/0/b"} == {f"{number}/1/a" for number in range(5)}


# -- keys ----------------------------------------------------------------------------------

BAD_KEYS = {
    "empty": "",
    "slash-first": "/etc/passwd",
    "slash-last": "1/2/",
    "two-slashes": "1//2",
    "parent": "1/../../2",
    "only-parent": "..",
    "here": "1/./2",
    "hidden": ".spool/x",
    "hidden-below": "1/.x",
    "dot-last": "1/2.",
    "backslash": "1\\2",
    "space": "1/a b",
    "colon": "C:/x",
    "nul": "1/\0",
    "newline": "1/2\n",
    "beyond-ascii": "1/é",
    "other-digits": "1/\u0661",
    "percent": "1/%2e%2e",
    "device": "1/con.dcm",
    "long-component": "1/" + "2" * 129,
    "too-deep": "/".join("123456789"),
    "too-long": "/".join(["1" * 120] * 5),
}


@pytest.mark.parametrize("operation", ["put", "open", "stat", "delete"])
@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS.keys())
def test_a_key_that_could_mean_something_else_is_refused(
    backend: StorageBackend, operation: str, key: str
) -> None:
    """Anything but plain components is INVALID_STORAGE_KEY, and nothing happens."""
    arguments = (key, [b"x"]) if operation == "put" else (key,)
    assert code_of(getattr(backend, operation)(*arguments)) is ErrorCode.INVALID_STORAGE_KEY
    assert list(backend.list()) == []


@pytest.mark.parametrize(
    "key",
    ["0", "a" * 128, "/".join("12345678"), "/".join(["1" * 127] * 4), "-_/A.b-c/9_.dcm"],
    ids=["short", "long-component", "deep", "long", "all-characters"],
)
def test_any_key_within_the_limits_can_be_used(backend: StorageBackend, key: str) -> None:
    """The longest and the deepest keys are stored, found, listed and deleted like others."""
    assert backend.put(key, [b"object"]).unwrap().created
    assert content(backend, key) == b"object"
    assert [one.key for one in backend.list()] == [key]
    backend.delete(key).unwrap()
    assert list(backend.list()) == []


@pytest.mark.parametrize("prefix", ["/", "../", "1/../", "1//", ".", "a b", "1/é"])
def test_a_prefix_that_no_key_has_is_refused(backend: StorageBackend, prefix: str) -> None:
    """A listing that could lead out of the storage raises INVALID_STORAGE_KEY."""
    with pytest.raises(PacsException) as caught:
        list(backend.list(prefix))
    assert caught.value.error.code is ErrorCode.INVALID_STORAGE_KEY


good_keys = st.lists(
    st.from_regex(r"\A[A-Za-z0-9_-]([A-Za-z0-9._-]{0,20}[0-9_-])?\Z"), min_size=3, max_size=3
).map("/".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(objects=st.dictionaries(good_keys, st.binary(max_size=40), max_size=8))
def test_any_good_keys_name_different_objects(
    backend: StorageBackend, objects: dict[str, bytes]
) -> None:
    """Whatever the components, each object is found under its own key and no other."""
    objects = {key: data for key, data in objects.items() if key.lower() == key}
    for key, data in objects.items():
        assert backend.put(key, [data]).unwrap().created
    assert {one.key: one.size_bytes for one in backend.list()} == {
        key: len(data) for key, data in objects.items()
    }
    for key, data in objects.items():
        assert content(backend, key) == data
        backend.delete(key).unwrap()
    assert list(backend.list()) == []


def test_a_listing_is_made_while_it_is_read(backend: StorageBackend) -> None:
    """The first object is there at once, and a listing may be given up."""
    for number in range(20):
        backend.put(f"{number % 4}/{number}", [b"x"]).unwrap()
    listing = backend.list()
    assert next(listing).key == "0/0"
    assert next(listing).key == "0/12"
    del listing
    assert len(list(backend.list())) == 20


# -- objects that are received ---------------------------------------------------------------


@pytest.fixture
def receiving(backend: StorageBackend) -> ReceivingBackend:
    """Give a backend that can write an object while it arrives; others need not."""
    if not isinstance(backend, ReceivingBackend):
        pytest.skip("an archive puts what such a backend gets as a whole")
    return backend


def received(backend: ReceivingBackend, data: bytes) -> ReceivedObject:
    """Let an object arrive in three pieces, behind two bytes that it begins with."""
    arriving = backend.receive(b"M:")
    for piece in (data[:1], data[1:70_000], data[70_000:]):
        arriving.write(memoryview(piece))
    arriving.finish()
    return arriving


@pytest.mark.parametrize("size", [2, 1000, 200_000])
def test_a_received_object_is_as_one_that_is_put(
    backend: StorageBackend, receiving: ReceivingBackend, size: int
) -> None:
    """It can be read before it has its key, and is the same object afterwards."""
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    arriving = received(receiving, data)
    assert bytes(arriving.finish().view()) == data
    assert list(backend.list()) == []
    stored = receiving.put_received(KEY, arriving).unwrap()
    assert stored == StoredObject(KEY, size + 2, created=True)
    arriving.discard()
    assert content(backend) == b"M:" + data
    assert not backend.put(KEY, [b"M:", data]).unwrap().created


@pytest.mark.parametrize("policy", DuplicatePolicy)
def test_a_received_object_meets_the_same_policies(
    backend: StorageBackend, receiving: ReceivingBackend, policy: DuplicatePolicy
) -> None:
    """Identical bytes are a success; others are refused, dropped, or take the place."""
    backend.put(KEY, [b"M:first"]).unwrap()
    same, other = received(receiving, b"first"), received(receiving, b"other")
    assert not receiving.put_received(KEY, same, policy=policy).unwrap().created
    result = receiving.put_received(KEY, other, policy=policy)
    if policy in (REJECT, KEEP_BOTH):
        assert code_of(result) is ErrorCode.DUPLICATE_OBJECT
    else:
        assert result.unwrap().created is (policy is REPLACE)
    for arriving in (same, other):
        arriving.discard()
    assert content(backend) == (b"M:other" if policy is REPLACE else b"M:first")


def test_what_is_received_and_discarded_leaves_nothing(
    backend: StorageBackend, receiving: ReceivingBackend
) -> None:
    """A sender that breaks off costs nothing; to discard again does no harm."""
    arriving = received(receiving, b"x" * 100_000)
    arriving.discard()
    arriving.discard()
    assert list(backend.list()) == []


# -- what is put together ------------------------------------------------------------------


@pytest.fixture(name="together")
def _together(backend: StorageBackend) -> SmallObjectBackend:
    """Give the backends that can put several small objects at once."""
    if not isinstance(backend, SmallObjectBackend):
        pytest.skip("an archive puts one object after the other there")
    return backend


def test_small_objects_are_put_together(
    backend: StorageBackend, together: SmallObjectBackend
) -> None:
    """What it says it has written is as if each was put alone, and there is nothing of the rest.

    A backend may change its ways after the first objects.
    """
    for attempt in range(8):
        names = [f"a/{attempt}-{number}" for number in range(5)]
        new = [NewObject(name, [b"M:", name.encode()]) for name in names]
        written = together.put_small(new)
        for name, is_written in zip(names, written, strict=True):
            assert backend.put(name, [b"M:", name.encode()]).unwrap().created is not is_written
            assert content(backend, name) == b"M:" + name.encode()
    assert list(together.put_small([])) == []


def test_what_is_not_small_or_not_new_is_left_to_be_put_alone(
    backend: StorageBackend, together: SmallObjectBackend
) -> None:
    """The others beside it are written; nothing is changed or half written."""
    backend.put("a/0", [b"first"]).unwrap()
    for attempt in range(8):
        new = [
            NewObject("a/0", [b"other"]),
            NewObject("a/0", [b"first"]),
            NewObject(f"b/{attempt}", [bytes(SMALL_OBJECT_BYTES), b"x"]),
            NewObject(f"c/{attempt}", [bytes(SMALL_OBJECT_BYTES)]),
            NewObject("../d", [b"x"]),
            NewObject(f"e/{attempt}", [b"x"]),
            NewObject(f"e/{attempt}", [b"y"]),
        ]
        written = together.put_small(new)
        assert [written[number] for number in (0, 1, 2, 4, 6)] == [False] * 5
        assert content(backend, "a/0") == b"first"
        for number in (3, 5):
            assert backend.put(*attrs.astuple(new[number])).unwrap().created is not written[number]
            assert content(backend, new[number].key) == new[number].parts[0]
        backend.put(*attrs.astuple(new[2])).unwrap()
    assert len(list(backend.list())) == 1 + 3 * 8


# -- threads -------------------------------------------------------------------------------

THREADS = 8


def together(jobs: list[Callable[[], PacsResult[StoredObject]]]) -> list[PacsResult[StoredObject]]:
    """Run jobs in as many threads, all released at the same moment."""
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], PacsResult[StoredObject]]) -> PacsResult[StoredObject]:
        start.wait()
        return job()

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


@pytest.mark.parametrize("attempt", range(5))
def test_of_many_who_put_the_same_one_creates_it(backend: StorageBackend, attempt: int) -> None:
    """Eight senders of the same bytes all succeed; exactly one of them created the object."""
    data = b"the same" * 5000
    results = together([lambda: backend.put(KEY, [data])] * THREADS)
    assert sum(result.unwrap().created for result in results) == 1
    assert content(backend) == data


@pytest.mark.parametrize("attempt", range(5))
def test_of_many_who_put_different_bytes_one_wins(backend: StorageBackend, attempt: int) -> None:
    """Eight senders of different bytes: one is stored whole, seven are told."""
    candidates = [bytes([number]) * 20_000 for number in range(THREADS)]
    jobs = [lambda data=data: backend.put(KEY, [data]) for data in candidates]
    results = together(jobs)  # type: ignore[arg-type]  # a default argument is no parameter
    winners = [
        data
        for data, result in zip(candidates, results, strict=True)
        if isinstance(result, Success)
    ]
    assert [content(backend)] == winners
    losers = [result for result in results if isinstance(result, Failure)]
    assert {code_of(result) for result in losers} == {ErrorCode.DUPLICATE_OBJECT}


def test_replacing_and_reading_at_once_gives_whole_objects(backend: StorageBackend) -> None:
    """A reader sees one version or another, never a mixture, and never nothing."""
    versions = [bytes([number]) * 5000 for number in range(50)]
    backend.put(KEY, [versions[0]]).unwrap()
    done = threading.Event()

    def replace() -> PacsResult[StoredObject]:
        for version in versions:
            result = backend.put(KEY, [version], policy=REPLACE)
        done.set()
        return result

    def read() -> PacsResult[StoredObject]:
        while not done.is_set():
            assert content(backend) in versions
        return backend.stat(KEY)

    for result in together([replace, read, read]):
        result.unwrap()
    assert content(backend) == versions[-1]


def test_putting_and_deleting_at_once_loses_nothing(backend: StorageBackend) -> None:
    """Deleting the last object of a folder does not take a new one of that folder with it."""

    def churn(name: str) -> PacsResult[StoredObject]:
        key = f"study/series/{name}"
        for _ in range(50):
            result = backend.put(key, [b"x"])
            result.unwrap()
            assert content(backend, key) == b"x"
            backend.delete(key).unwrap()
        return result

    jobs = [lambda name=name: churn(name) for name in ("a", "b", "c")]
    for result in together(jobs):  # type: ignore[arg-type]  # a default argument is no parameter
        result.unwrap()
    assert list(backend.list()) == []


# -- health --------------------------------------------------------------------------------


def test_a_healthy_backend_says_so(backend: StorageBackend) -> None:
    """It has room, can be written, and the trial leaves nothing behind."""
    health = backend.health().unwrap()
    assert health.writable
    assert health.free_bytes > 0
    assert list(backend.list()) == []


def test_closing_twice_is_harmless(backend: StorageBackend) -> None:
    """Whoever cleans up need not know whether somebody has already."""
    backend.close()
    backend.close()
