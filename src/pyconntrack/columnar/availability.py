"""Decide whether numpy can be used.

numpy only makes large batches fast: if :func:`available` is False, each message and each line is
handled by the reference implementation, with the same result.
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
    except Exception:  # a broken or too old numpy may raise anything
        return False
    return hasattr(numpy, "ndarray")  # False for a directory of that name
