"""Copies a running guest's memory file into another: `python -I copy_memory.py SOURCE_FD TARGET_FD BYTES`.

Twice: roughly while the guest runs (which allocates everything and takes most of the time), and exactly while it stands
still: compared, which goes several times faster than copying, and corrected where it differs.

A process of its own, as `fill.py` is, for the same reason. It waits for a line on its standard input (by then it is in
its control group), copies, says `rough`; waits for another line (by then the guest stands), corrects, says `exact`.
Exit codes: 0 done; 4 the system refused, the last line on stderr says what. Standard library only.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import threading
from collections.abc import Callable, Iterator

REFUSED = 4
_CHUNK = 64 * 1024
_PIECE = 8 * 1024 * 1024
_MOST_THREADS = 4

_libc = ctypes.CDLL(None)
_libc.memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]


def _extents(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of what is there; the rest are holes, which reading through a mapping would fill."""
    end = 0
    while end < size:
        try:
            begin = os.lseek(fd, end, os.SEEK_DATA)
        except OSError:  # ENXIO: only a hole is left
            return
        end = min(os.lseek(fd, begin, os.SEEK_HOLE), size)
        yield begin, end


def _gaps(extents: list[tuple[int, int]], size: int) -> Iterator[tuple[int, int]]:
    last = 0
    for begin, end in extents:
        if begin > last:
            yield last, begin
        last = end
    if last < size:
        yield last, size


def _address(mapping: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(mapping))


def _in_threads(ranges: Iterator[tuple[int, int]], work: Callable[[int, int], None]) -> None:
    """`work(begin, end)` on pieces of the ranges; ctypes lets the threads run at once."""
    pieces = [(at, min(at + _PIECE, end)) for begin, end in ranges for at in range(begin, end, _PIECE)]
    lock = threading.Lock()

    def run() -> None:
        while True:
            with lock:
                if not pieces:
                    return
                piece = pieces.pop()
            work(*piece)

    threads = [threading.Thread(target=run) for _ in range(min(_MOST_THREADS, os.cpu_count() or 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main(source: int, target: int, size: int) -> int:
    """See the module. The target is allocated in full first: a page that is missing later would kill a clone."""
    if not sys.stdin.buffer.readline():
        return REFUSED
    try:
        os.posix_fallocate(target, 0, size)
        # Private: nothing here can write to the guest's memory. What the guest writes is seen all the same.
        old = mmap.mmap(source, size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE)
        new = mmap.mmap(target, size)
    except OSError as problem:
        print(problem, file=sys.stderr)
        return REFUSED
    theirs, ours, zeros = _address(old), _address(new), bytes(_CHUNK)

    def copy(begin: int, end: int) -> None:
        ctypes.memmove(ours + begin, theirs + begin, end - begin)

    def correct(begin: int, end: int) -> None:
        for at in range(begin, end, _CHUNK):
            length = min(_CHUNK, end - at)
            if _libc.memcmp(ours + at, theirs + at, length):
                ctypes.memmove(ours + at, theirs + at, length)

    def clear(begin: int, end: int) -> None:
        for at in range(begin, end, _CHUNK):
            length = min(_CHUNK, end - at)
            if _libc.memcmp(ours + at, zeros, length):
                ctypes.memset(ours + at, 0, length)

    _in_threads(_extents(source, size), copy)
    print("rough", flush=True)
    if not sys.stdin.buffer.readline():
        return REFUSED
    present = list(_extents(source, size))
    _in_threads(iter(present), correct)
    _in_threads(_gaps(present, size), clear)  # what the guest gave back meanwhile
    print("exact", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*(int(word) for word in sys.argv[1:4])))
