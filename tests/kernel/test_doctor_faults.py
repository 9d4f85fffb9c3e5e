"""Faults of connection tracking on the real kernel: each is found as what it is, and no other."""

from __future__ import annotations

import os
from itertools import combinations

import pytest

from pyconntrack import Conntrack
from pyconntrack.doctor import examine, snapshot
from support import faults
from support.faults import FAULTS, LARGE_FAULTS, Fault, bad, diagnosed, gateway, look

pytestmark = pytest.mark.usefixtures("netns")


def _name(value: object) -> str:
    return value.provoke.__name__ if isinstance(value, Fault) else ""


@pytest.mark.parametrize("fault", FAULTS, ids=_name)
def test_a_fault_is_found_and_no_other(fault: Fault) -> None:
    assert diagnosed(fault.provoke) == fault.found


#: each of the quick faults with the next one; all pairs are looked at by `make soak`
_QUICK = [fault for fault in FAULTS if "expectations-full" not in fault.found]


def _pair(first: Fault, second: Fault) -> None:
    assert diagnosed(first.provoke, second.provoke) == first.found | second.found


@pytest.mark.parametrize("place", range(len(_QUICK)))
def test_two_faults_are_found_and_no_other(place: int) -> None:
    first, second = sorted([place, (place + 1) % len(_QUICK)])
    _pair(_QUICK[first], _QUICK[second])


@pytest.mark.soak
@pytest.mark.parametrize(
    ("first", "second"), list(combinations(FAULTS, 2)), ids=_name
)  # fmt: skip
def test_any_two_faults_are_found_and_no_other(first: Fault, second: Fault) -> None:
    _pair(first, second)


@pytest.mark.soak
@pytest.mark.parametrize("fault", LARGE_FAULTS, ids=_name)
def test_a_large_fault_is_found_and_no_other(fault: Fault) -> None:
    assert diagnosed(fault.provoke) == fault.found


def test_expired_entries_that_stay_are_told_apart_from_live_ones() -> None:
    for _ in range(5):
        with gateway() as scene:
            seen = look(scene, faults.expired_entries)
            with Conntrack() as ct:
                left = ct.count()
        assert seen.flows is not None
        if seen.counts[1]:
            break
    else:
        pytest.skip("the collector was there each time")
    assert (len(seen.flows), left) == (0, 0)  # the dump has evicted them
    [found] = examine(seen, ["gc-late"])
    assert (found.severity, found.value) == ("ok", seen.counts[1])
    [full] = examine(seen, ["table-full"])
    assert f"0 live, {seen.counts[1]:,} expired" in "\n".join(full.evidence)


def test_who_holds_which_ports_and_how_many_connections_failed() -> None:
    with gateway() as scene:
        seen = look(scene, faults.no_ports)
        assert scene.failed == 2 * (faults.TRIED - faults.PORTS)
        found = [each for each in examine(seen) if each.code == "nat-ports"]
    assert (seen.change("insert_failed"), seen.change("drop")) == (60, 60)
    assert {each.subject for each in found} == {
        f"{faults.PUBLIC} -> {server}:443/udp" for server in faults.SERVERS
    }
    for each in found:
        assert (each.severity, each.value, each.limit) == ("crit", 50, 50)
        text = "\n".join(each.evidence)
        assert "holds 50 of 50 ports (100 %)" in text
        assert "60 new connections failed" in text
        assert f"belong to {faults.CLIENT}" in text
        assert "50000-50049" in each.advice


def test_connections_that_end_give_their_ports_to_new_ones() -> None:
    with gateway() as scene:
        seen = look(scene, faults.ending_connections)
        assert bad(examine(seen)) == {}
    assert (seen.change("insert_failed"), seen.change("drop")) == (0, 0)
    assert seen.flows is not None
    assert len(seen.flows) == faults.PORTS  # each new connection took the place of an old one


def test_a_listener_that_loses_events_is_named() -> None:
    with gateway() as scene:
        seen = look(scene, faults.lost_events)
        [found] = examine(seen, ["events-lost"])
        [lost] = [each for each in seen.listeners if each.drops[1]]
    assert lost.pid == os.getpid()
    assert (found.severity, found.value) == ("warn", lost.drops[1])
    assert f"pid {os.getpid()}" in found.evidence[0]
    assert f"has lost {lost.drops[1]:,} events" in found.evidence[0]


def test_a_race_of_two_packets_of_a_new_flow_is_healthy() -> None:
    if (os.cpu_count() or 1) < 2:
        pytest.skip("two packets at once need two cores")
    with gateway() as scene:
        seen = look(scene, faults.racing_packets)
        findings = examine(seen)
    [clashes] = [each for each in findings if each.code == "clash-resolve"]
    assert seen.change("clash_resolve") == clashes.value
    assert clashes.value
    assert "healthy" in clashes.evidence[0]
    assert bad(findings) == {}


@pytest.mark.soak
def test_the_forecast_of_a_full_table_comes_true_and_the_full_table_is_named() -> None:
    with gateway() as scene, faults.Growth(start=0.9, each_second=3000) as growth:
        with Conntrack() as ct:
            seen = snapshot(ct, 2)
        looked_until = seen.taken_at / 1e9 + seen.seconds
        [forecast] = examine(seen, ["table-full"])
        full_at = growth.full()
        full = look(scene, faults.no_room)
    assert forecast.severity == "crit"
    assert seen.growth is not None
    left = (seen.maximum - seen.counts[1]) / seen.growth
    assert f"full in about {left:,.0f} s" in forecast.evidence[0]
    assert abs(left - (full_at - looked_until)) <= 0.2 * (full_at - looked_until)
    assert bad(examine(full)) == {"table-full": "crit"}
    assert full.change("drop") == 50
    [finding] = examine(full, ["table-full"])
    assert "50 packets dropped" in "\n".join(finding.evidence)


@pytest.mark.soak
def test_entries_give_way_in_a_full_table_and_only_the_table_is_blamed() -> None:
    with gateway() as scene:
        full = look(scene, faults.room_for_a_while)
    assert full.change("early_drop")
    assert {code for code, severity in bad(examine(full)).items()} == {"table-full", "unanswered"}


@pytest.mark.soak
def test_a_chain_that_is_too_long_is_told_apart_from_used_up_ports() -> None:
    with gateway() as scene:
        seen = look(scene, faults.long_chains)
        findings = examine(seen)
    assert scene.failed
    assert seen.change("chain_toolong") == seen.change("insert_failed") == scene.failed
    assert seen.change("drop") == 0
    assert bad(findings) == {"chain-too-long": "crit"}
    [found] = examine(seen, ["chain-too-long"])
    assert found.value == scene.failed
