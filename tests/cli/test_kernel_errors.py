"""The kernel's refusals, each with its words and exit code."""

from __future__ import annotations

import errno
import shlex

import pytest

from pyconntrack.cli.console import failure
from support.ctool import Result, ours, ours_argv, run
from support.netns import Namespace
from support.traffic import tool, track

FLOW = shlex.split("-p udp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2")


@pytest.fixture(autouse=True)
def _tracking(netns: Namespace) -> None:
    track()


def powerless(*words: str) -> Result:
    """Ours without CAP_NET_ADMIN."""
    return run([tool("setpriv"), "--bounding-set", "-net_admin", "--inh-caps", "-net_admin",
                *ours_argv(), *words])  # fmt: skip


@pytest.mark.parametrize(
    "words",
    [["-L"], ["-F"], ["-D"], ["-E"], ["-I", *FLOW, "-t", "9"], ["-G", *FLOW], ["-U", "-m", "1"],
     ["-L", "expect"], ["-F", "expect"], ["-L", "dying"]],
    ids=" ".join,
)  # fmt: skip
def test_no_permission(words: list[str]) -> None:
    result = powerless(*words)
    assert (result.rc, result.out) == (1, "")
    assert "CAP_NET_ADMIN" in result.err
    assert "emptied" not in result.err
    assert len(result.err.splitlines()) == 1


def test_an_entry_that_exists() -> None:
    assert ours("-I", *FLOW, "-t", "9").rc == 0
    again = ours("-I", *FLOW, "-t", "9")
    assert again.rc == 1
    assert "Operation failed: Such conntrack exists, try -U to update" in again.err


def test_no_such_entry() -> None:
    missing = ours("-G", *FLOW)
    assert (missing.rc, missing.out) == (1, "")
    assert "Operation failed: such conntrack doesn't exist" in missing.err
    for words, what in ((["-D"], "deleted"), (["-U", "-m", "1"], "updated")):
        result = ours(*words, *FLOW)
        assert result.rc == 1
        assert result.err.endswith(f"0 flow entries have been {what}.\n")


def test_the_kernels_refusal_of_a_value() -> None:
    wrong = ours("-I", *FLOW, "-t", "9", "--helper", "no-such-helper")
    assert wrong.rc == 1
    assert "Operation failed" in wrong.err


def test_words_of_what_cannot_be_staged() -> None:
    assert failure(errno.ENOMEM) == "Operation failed: not enough memory"
    assert failure(errno.EPROTONOSUPPORT) == "Operation failed: protocol not supported"
    assert failure(errno.EINVAL, "wrong zone") == (
        "Operation failed: invalid parameters (wrong zone)"
    )
    assert failure(errno.EBUSY) == "Operation failed: Device or resource busy"
