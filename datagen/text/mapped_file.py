"""Room on disk that is used as memory: what is read again seldom, and may be larger than the machine's memory."""

from __future__ import annotations

import mmap
import tempfile
import weakref

_PIECE = 2**20
_MOST = 2**25


class MappedFile:
    """A file without a name, in the folder for temporary files (``$TMPDIR``), that goes when this does."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._size = self._resident = 0
        self.bytes = self._mapped(_PIECE)

    def make_room(self, size: int) -> bool:
        """Room for so many bytes in all, from 0; whether ``bytes`` is another object now. Raises ``OSError``."""
        if is_short := size > self._size:
            self.bytes = self._mapped(max(size, min(2 * self._size, self._size + _MOST)))
        if size - self._resident > _MOST:
            # What was written stays in the system's cache or on disk, and is no longer this process's memory.
            self.bytes.madvise(mmap.MADV_DONTNEED)
            self._resident = size
        return is_short

    def _mapped(self, size: int) -> mmap.mmap:
        """Written, not merely declared: a full disk is an error here, and kills the process in a declared page."""
        while self._size < size:
            self._file.seek(self._size)
            self._size += self._file.write(bytes(_PIECE))
        return mmap.mmap(self._file.fileno(), self._size)
