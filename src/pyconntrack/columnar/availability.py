"""Whether numpy can be used: the one place that decides it.

numpy makes large batches fast and is needed for nothing else: where :func:`available` is False,
each message and each line goes the way that defines what is right, to the same result.
"""

from __future__ import annotations

#: address space in bytes below which numpy is not tried: its linear algebra ends the process where
#: a limit leaves it no room (measured: below 100 MB), and columns need buffers besides
ROOM = 512 << 20

_answer: bool | None = None


def available() -> bool:
    """Return whether numpy can be used; the first call imports it (some 65 ms)."""
    global _answer
    if _answer is None:
        _answer = _has_room() and _imports()
    return _answer


def _has_room() -> bool:
    try:
        from resource import RLIMIT_AS, RLIMIT_DATA, getrlimit

        limits = [getrlimit(which)[0] for which in (RLIMIT_AS, RLIMIT_DATA)]
    except (ImportError, OSError, MemoryError):
        return False
    return all(limit < 0 or limit >= ROOM for limit in limits)


def _imports() -> bool:
    try:
        import numpy
    except Exception:  # one that is half installed or too old raises what it will
        return False
    return hasattr(numpy, "ndarray")  # False for a directory of that name
