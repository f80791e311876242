"""The fuzz targets over their seeds: what atheris begins with, and cuts of it."""

from __future__ import annotations

import pytest

from fuzz import expectations
from fuzz.__main__ import main
from fuzz.expectations import Broken, bounded, value_of
from fuzz.targets import CORPUS, TARGETS
from pacs_sdk.core.errors import ErrorCode, PacsError
from pacs_sdk.core.results import Failure, Success

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # pydicom's, about odd values

MOST_SEED_BYTES = 300_000
"""The corpus is committed, so it stays small."""


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_cuts_of_them(name: str) -> None:
    """Each seed, and each cut off at ten places, gives a value or a PacsError."""
    target = TARGETS[name]
    seeds = list(target.seeds())
    assert len(seeds) >= 3
    for _, data in seeds:
        for tenth in range(11):
            target.run(data[: len(data) * tenth // 10])


def test_the_corpus_is_small_and_used() -> None:
    """Every folder belongs to a target, and together they stay below the limit."""
    folders = {path.name for path in CORPUS.iterdir()}
    assert folders == {target.corpus for target in TARGETS.values()}
    assert sum(path.stat().st_size for path in CORPUS.rglob("*")) < MOST_SEED_BYTES
    assert all(target.dictionary.is_file() for target in TARGETS.values())


@pytest.mark.parametrize(
    "result",
    [
        Failure(PacsError(ErrorCode.DECODE_FAILED, " ")),
        Failure(PacsError(ErrorCode.INTERNAL, "an unexpected error occurred")),
        Failure(ValueError("no PacsError")),
        None,
    ],
)
def test_what_breaks_the_promise(result: object) -> None:
    """No words, a bug of ours, another error, or no Result: each fails a target."""
    with pytest.raises(Broken):
        value_of(result)  # type: ignore[arg-type]  # that is the point


def test_what_keeps_the_promise() -> None:
    """A value is given back, an error with words is nothing."""
    assert value_of(Success(5)) == 5
    assert value_of(Failure(PacsError(ErrorCode.TRUNCATED, "it ends"))) is None


@pytest.mark.parametrize("limit", ["MAX_CPU_S", "MAX_GROWTH_BYTES"])
def test_an_input_that_takes_too_much(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    """CPU time and memory beyond their limits fail a target, too."""
    bounded(lambda data: None)(b"")
    monkeypatch.setattr(expectations, limit, -1)
    with pytest.raises(Broken, match="0 bytes took"):
        bounded(lambda data: None)(b"")


def test_reproducing_an_input(capsys: pytest.CaptureFixture[str]) -> None:
    """One input can be run again by itself, without atheris."""
    seed = next(TARGETS["path"].folder.iterdir())
    assert main(["path", "--reproduce", str(seed)]) == 0
    assert "as promised" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nothing"], ["--reproduce", __file__]])
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A target that isn't there, or an input without its target, is a usage error."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "target" in capsys.readouterr().err
