"""How a table's entries come: each way shows the same, and what goes wrong on it is told."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from pyconntrack.cli import selection, source
from pyconntrack.cli.selection import Formatter, Messages, select
from pyconntrack.cli.source import Entries
from pyconntrack.columnar.selection import Columns
from pyconntrack.ctnetlink import requests
from pyconntrack.formats.json import flow
from pyconntrack.thresholds import CHANGE, FEW_CHANGED, LISTING, MANY, SMALL, Use
from support.ctool import normalise, ours, theirs
from support.entries import plain_lines
from support.netns import Namespace, fresh_netns

SIZES = [SMALL - 1, SMALL, MANY + 1000]


@pytest.fixture(scope="module", params=SIZES)
def size(request: pytest.FixtureRequest) -> Iterator[int]:
    with fresh_netns():
        assert ours("-R", "-", stdin="\n".join(plain_lines(request.param))).rc == 0
        yield request.param


def test_the_size_is_told(size: int) -> None:
    assert source.table_size() == size


@pytest.mark.parametrize("words", ["-L", "-L -o extended,id", "-L -p tcp"])
def test_every_size_is_listed_alike(size: int, words: str) -> None:
    mine, reference = ours(*words.split()), theirs(*words.split())
    assert mine.rc == reference.rc == 0
    assert normalise(mine.out) == normalise(reference.out)
    assert len(mine.out.splitlines()) == size


@pytest.mark.parametrize("window", [0, CHANGE.window, LISTING.window])
def test_windows_are_as_large_as_asked_for_and_hold_all(size: int, window: int) -> None:
    parts = list(Entries(requests.dump(), Use(4, window)))
    assert sum(part.end for part in parts) > 100 * size
    assert all(window <= part.end < window + 40_000 for part in parts[:-1])
    chosen = list(select(parts, 1 << 40, None))
    assert sum(part.count for part in chosen) == size


@pytest.mark.parametrize("numpy", [True, False])
def test_columns_hold_what_messages_hold(
    size: int, numpy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selection, "available", lambda: numpy)
    parts = list(Entries(requests.dump(), CHANGE))
    for plain, made in zip(select(parts, 1 << 40, None), select(parts, 0, None), strict=True):
        assert isinstance(plain, Messages)
        assert isinstance(made, Messages) is not numpy
        assert plain.items() == made.items()
        gone = set(range(0, plain.count, 3))
        assert plain.without(gone).items() == made.without(gone).items()
        assert (plain.count, len(plain.items())) == (made.count, len(made.items()))


def test_joined_windows_hold_what_they_held_in_order(size: int) -> None:
    parts = list(select(list(Entries(requests.dump(), CHANGE)), 0, None))
    assert not any(isinstance(part, Messages) for part in parts)
    some = [part.without(range(0, part.count, 3)) for part in parts]
    whole = Columns.joined(some)  # type: ignore[arg-type]
    assert whole.items() == [item for part in some for item in part.items()]
    text = Formatter(flow)
    assert text(whole) == b"".join(map(text, some))


def test_a_dump_that_is_left_unfinished_is_closed(size: int) -> None:
    def sockets() -> int:
        return sum("socket:" in os.readlink(f"/proc/self/fd/{fd}") for fd in _descriptors())

    before = sockets()
    for taken in (0, 1):
        entries = Entries(requests.dump(), FEW_CHANGED)
        parts = iter(entries)
        for _ in range(taken):
            next(parts)
        entries.close()
        entries.close()
    assert sockets() == before


def _descriptors() -> list[str]:
    return [fd for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}")]


def test_a_size_that_is_not_told_is_small(
    netns: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "_COUNT", "/proc/no/such/file")
    assert source.table_size() == 0
