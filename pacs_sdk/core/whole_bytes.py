"""All bytes of a source that is about to be used to its end, so that an error is an error.

A large file is mapped. What the disk cannot read of it then, or what is missing since somebody made
the file shorter, ends the process when it is touched (SIGBUS). Linux can read what is mapped
beforehand and tell (``MADV_POPULATE_READ``, since 5.14): where all of it is used anyway, that takes
no longer.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import sys
from typing import Final

from pacs_sdk.core.byte_source import ByteSource

__all__ = ["read_whole"]

_POPULATE_READ: Final = 22
"""``MADV_POPULATE_READ``, of which Python has no name."""

_AT_MOST: Final = 256 << 20
"""More is not read at once: who waits for its first bytes would wait for the last ones."""

_UNREADABLE: Final = frozenset((errno.EFAULT, 133))
"""A page cannot be read; or its memory is broken (``EHWPOISON``)."""

_library: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def read_whole(source: ByteSource) -> memoryview:
    """Return all bytes of a source, as ``view`` does, after looking whether they can be read.

    What is longer than 256 MiB is not looked at.

    Raises:
        PacsException: As ``view``.
        OSError: As ``view``; ``EIO`` where what was mapped cannot be read.
    """
    view = source.view()
    if _library is None or not isinstance(view.obj, mmap.mmap) or view.nbytes > _AT_MOST:
        return view
    import numpy as np  # what finds the address of bytes that cannot be written

    begin = int(np.frombuffer(view, np.uint8).ctypes.data)
    before = begin % mmap.PAGESIZE
    address, length = ctypes.c_void_p(begin - before), ctypes.c_size_t(view.nbytes + before)
    # Not by Python's own madvise, which keeps all threads waiting for the disk.
    if _library.madvise(address, length, _POPULATE_READ) and ctypes.get_errno() in _UNREADABLE:
        raise OSError(errno.EIO, f"{os.strerror(errno.EIO)}, or it has become shorter meanwhile")
    return view
