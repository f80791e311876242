"""Having blocks of a buffer on the disk, in the same place of a file whose blocks are all there.

Where Linux can, a write goes past the system's cache to the disk (``O_DIRECT``, ``O_DSYNC``) while
the thread that asked for it does something else (``io_submit(2)``). Linux does so for a file that was
written to its end before; ``fdatasync`` has no such form that is as quick, for another thread of
the system would have to be woken for it.
"""

from __future__ import annotations

import abc
import contextlib
import ctypes
import errno
import os
import platform
import sys
from pathlib import Path
from typing import Final

from pacs_sdk.storage.objects.disk import write_all_at

__all__ = ["BLOCK_BYTES", "BlockWriter", "CachedWriter", "DirectWriter", "block_writer"]


BLOCK_BYTES: Final = 4096
"""What is written begins and ends at multiples of this."""


class BlockWriter(abc.ABC):
    """Writes to a file, one write at a time; whoever uses it takes care of that."""

    @abc.abstractmethod
    def begin(self, start: int, end: int) -> None:
        """Begin to write some of the buffer, whose bytes there must not change until it is done.

        Args:
            start: Where, in the buffer and in the file; a multiple of ``BLOCK_BYTES``.
            end: Where it ends; a multiple of ``BLOCK_BYTES``.

        Raises:
            OSError: As from the operating system; there is nothing to wait for then.
        """

    @abc.abstractmethod
    def wait(self) -> None:
        """Wait until what was begun is on the disk.

        Raises:
            OSError: As from the operating system.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Give back what it has of the system; nothing is begun afterwards, and twice does no harm."""


def _check_open(is_open: bool) -> None:
    """Raise what the system would: another file may have the descriptor's number by now."""
    if not is_open:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))


class CachedWriter(BlockWriter):
    """Writes into the system's cache and flushes that, as any system can.

    Args:
        path: The file.
        buffer: What is written from.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(self, path: Path, buffer: memoryview) -> None:
        self._descriptor = os.open(path, os.O_RDWR)
        self._is_open = True
        self._buffer = buffer
        self._range = (0, 0)

    def begin(self, start: int, end: int) -> None:
        """Note what is to be written: all of it is waited for."""
        _check_open(self._is_open)
        self._range = (start, end)

    def wait(self) -> None:
        """Write, and flush."""
        _check_open(self._is_open)
        start, end = self._range
        write_all_at(self._descriptor, self._buffer[start:end], start)
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Close its descriptor of the file."""
        if self._is_open:
            self._is_open = False
            os.close(self._descriptor)


class _ControlBlock(ctypes.LittleEndianStructure):
    """A request, ``struct iocb`` of Linux (``linux/aio_abi.h``)."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("key", ctypes.c_uint32),
        ("flags_of_write", ctypes.c_uint32),
        ("operation", ctypes.c_uint16),
        ("priority", ctypes.c_int16),
        ("descriptor", ctypes.c_uint32),
        ("address", ctypes.c_uint64),
        ("length", ctypes.c_uint64),
        ("offset", ctypes.c_int64),
        ("reserved", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("notified", ctypes.c_uint32),
    )


class _Event(ctypes.LittleEndianStructure):
    """What became of a request, ``struct io_event`` of Linux."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("request", ctypes.c_uint64),
        ("result", ctypes.c_int64),
        ("second_result", ctypes.c_int64),
    )


_WRITE: Final = 1
"""``IOCB_CMD_PWRITE``"""

_SYSTEM_CALLS: Final = {"x86_64": (206, 207, 209, 208), "aarch64": (0, 1, 2, 4)}
"""Numbers of ``io_setup``, ``io_destroy``, ``io_submit`` and ``io_getevents``, which the C library
doesn't have (``asm/unistd.h``)."""


class DirectWriter(BlockWriter):
    """Writes past the system's cache, while the thread that asked for it goes on.

    Args:
        path: The file, with the same bytes as the buffer, all of its blocks on the disk.
        buffer: What is written from; it begins at the start of a page.

    Raises:
        OSError: This cannot be done here, or with such a file.
    """

    def __init__(self, path: Path, buffer: memoryview) -> None:
        numbers = _SYSTEM_CALLS.get(platform.machine())
        if sys.platform != "linux" or numbers is None or sys.maxsize < 2**32:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        setup, self._destroy, submit, get_events = numbers
        self._call = ctypes.CDLL(None, use_errno=True).syscall
        self._call.restype = ctypes.c_long
        self._call.argtypes = [ctypes.c_long, ctypes.c_ulong, *[ctypes.c_void_p] * 4]
        self._held = ctypes.c_char.from_buffer(buffer)  # so the buffer stays where it is
        self._address = ctypes.addressof(self._held)
        self._request = _ControlBlock(operation=_WRITE)
        self._requests = (ctypes.c_void_p * 1)(ctypes.addressof(self._request))
        self._event = _Event()
        self._descriptor = os.open(path, os.O_RDWR | os.O_DIRECT | os.O_DSYNC)
        context = ctypes.c_ulong()
        try:
            self._system(setup, 1, ctypes.addressof(context), None, None, None)
        except OSError:
            os.close(self._descriptor)
            raise
        self._context = context.value
        self._is_open = True
        self._request.descriptor = self._descriptor
        requests, event = ctypes.addressof(self._requests), ctypes.addressof(self._event)
        self._submission = submit, self._context, 1, requests, None, None
        self._completion = get_events, self._context, 1, 1, event, None
        try:  # a disk may have larger blocks, and then it is refused here
            self.begin(0, BLOCK_BYTES)
            self.wait()
        except OSError:
            self.close()
            raise

    def begin(self, start: int, end: int) -> None:
        """Hand the write to the system."""
        _check_open(self._is_open)
        request = self._request
        self._event.request = 0
        request.address = self._address + start
        request.length = end - start
        request.offset = start
        self._system(*self._submission)

    def wait(self) -> None:
        """Wait until the system has done it; who was interrupted may wait again."""
        while not self._event.request:  # the system puts the address of the request there
            with contextlib.suppress(InterruptedError):  # by a signal
                self._system(*self._completion)
        result = self._event.result
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        if result != self._request.length:
            raise OSError(errno.EIO, "a part of a record could not be written")

    def close(self) -> None:
        """Close its descriptor of the file."""
        if self._is_open:
            self._is_open = False
            self._system(self._destroy, self._context, None, None, None, None)
            os.close(self._descriptor)

    def _system(self, *arguments: int | None) -> None:
        if self._call(*arguments) < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


def block_writer(path: Path, buffer: memoryview) -> BlockWriter:
    """Make the quickest writer that this system and file have.

    Args:
        path: The file, with all of its blocks on the disk.
        buffer: The same bytes; it begins at the start of a page.

    Raises:
        OSError: The file cannot be opened.
    """
    try:
        return DirectWriter(path, buffer)
    except OSError:
        return CachedWriter(path, buffer)
