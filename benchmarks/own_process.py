"""Measurements that have a process of their own, as an archive has that serves.

In a process that has measured others before, their memory and their threads are in the way.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeAlias

import attrs

from benchmarks.made_images import made_images
from pacs_sdk.core.byte_source import MemoryBytes
from pacs_sdk.encoding import Instance, read_file

__all__ = ["MadeInstances", "in_own_process"]

_P = ParamSpec("_P")


class MadeInstances:
    """Instances to measure with; each process reads them for itself.

    Args:
        count: How many.
        side: Rows and columns of each.
        around: What is entered before something is measured with them, and left after it.
    """

    def __init__(
        self,
        count: int,
        side: int,
        *,
        around: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        self._paths = made_images(count, side=side).paths
        self.around = around

    def in_memory(self) -> list[Instance]:
        """Read them."""
        read = [read_file(path).unwrap() for path in self._paths]
        return [attrs.evolve(one, encoded=MemoryBytes(one.encoded.view())) for one in read]


_RateOf: TypeAlias = Callable[Concatenate[Path, Sequence[Instance], _P], float]


def in_own_process(
    rate: _RateOf[_P], folder: Path, instances: MadeInstances, *args: _P.args, **kwargs: _P.kwargs
) -> Callable[[], float]:
    """Return what has a rate measured in a new process.

    Args:
        rate: Measures; a function of a module.
        folder: Where.
        instances: With what.
        args: What else it is called with.
        kwargs: What else it is called with.
    """

    def measured() -> float:
        spawned = multiprocessing.get_context("spawn")  # as nothing is to be inherited
        with ProcessPoolExecutor(1, spawned) as pool:
            return pool.submit(_measured, rate, folder, instances, args, kwargs).result()

    return measured


def _measured(
    rate: Callable[..., float],
    folder: Path,
    instances: MadeInstances,
    args: Sequence[object],
    kwargs: Mapping[str, object],
) -> float:
    in_memory = instances.in_memory()
    with instances.around():
        return rate(folder, in_memory, *args, **kwargs)
