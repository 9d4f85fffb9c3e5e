"""What the doctor prints: text for people, JSON, and the line of a monitoring plugin."""

from __future__ import annotations

import json

import pytest

from pyconntrack.doctor import Finding, Severity, Snapshot
from pyconntrack.doctor.report import as_json, plugin, text

SEEN = Snapshot(
    host="gw1",
    kernel="6.18.0",
    netns="init",
    taken_at=1_764_000_000_000_000_000,
    seconds=5.0,
    counters=(({"cpu": 0, "drop": 2**32 - 2},), ({"cpu": 0, "drop": 8},)),
    counts=(1_043_000, 1_043_117),
    maximum=1_048_576,
    expect_maximum=4096,
)
PORTS = Finding(
    "nat-ports",
    "crit",
    "203.0.113.7 -> 198.51.100.9:443/tcp",
    62_102,
    64_512,
    ("holds 62,102 of 64,512 ports (96 %)", "412 new connections failed in 5.0 s"),
    "Translate 10.1.7.0/24 to several addresses: it helps many clients, not one",
)
ACCOUNTING = Finding(
    "accounting",
    "warn",
    evidence=("nf_conntrack_acct=0: no bytes in any listing",),
    advice="sysctl -w x=1",
)
WELL = Finding("drop", "ok", evidence=("no packet was dropped",))


def blind(code: str, reason: str = "no permission: it needs CAP_NET_ADMIN") -> Finding:
    return Finding(code, "unknown", evidence=(reason,))


def test_the_worst_stands_first_and_what_is_well_is_counted() -> None:
    assert (
        text(SEEN, [WELL, ACCOUNTING, PORTS, WELL._replace(code="zones")])
        == """\
gw1, Linux 6.18.0, namespace init: 1,043,117 entries of 1,048,576, looked at for 5.0 s
CRIT  nat-ports   203.0.113.7 -> 198.51.100.9:443/tcp holds 62,102 of 64,512 ports (96 %)
                  412 new connections failed in 5.0 s
                  Translate 10.1.7.0/24 to several addresses: it helps many clients, not one
WARN  accounting  nf_conntrack_acct=0: no bytes in any listing.  sysctl -w x=1
ok    2 checks (--all shows them)
"""
    )


def test_everything_is_shown_line_by_line() -> None:
    findings = [WELL, blind("offload"), blind("helpers")]
    assert text(SEEN, findings, everything=True).splitlines()[1:] == [
        "unknown  offload  no permission: it needs CAP_NET_ADMIN",
        "unknown  helpers  no permission: it needs CAP_NET_ADMIN",
        "ok       drop     no packet was dropped",
    ]


def test_checks_that_could_not_look_for_one_reason_are_one() -> None:
    findings = [
        blind("offload"),
        blind("no-rules", "nft: it is not installed"),
        blind("one-client"),
    ]
    assert text(SEEN, [WELL, *findings]).splitlines()[1:] == [
        "unknown  2 checks  no permission: it needs CAP_NET_ADMIN",
        "                   offload, one-client",
        "unknown  no-rules  nft: it is not installed",
        "ok       1 check (--all shows it)",
    ]


def test_a_check_with_a_good_and_a_bad_finding_is_not_well() -> None:
    assert "\nok " not in text(SEEN, [PORTS, PORTS._replace(severity="ok")])


def test_what_is_unknown_of_the_namespace_is_said_as_unknown() -> None:
    blind_look = SEEN._replace(unknown={"counts": "no permission"}, seconds=0.0, netns="")
    head = "gw1, Linux 6.18.0, namespace unknown: number of entries unknown, looked at once"
    assert text(blind_look, []).splitlines() == [head]
    assert json.loads(as_json(blind_look, []))["doctor"]["entries"] is None
    assert "entries=" not in plugin(blind_look, [WELL])[0]


def test_names_that_others_chose_are_escaped() -> None:
    finding = ACCOUNTING._replace(evidence=("pid 1, \x1b[31m\n|",))
    assert "pid 1, \\x1b[31m\\x0a|.  sysctl" in text(SEEN, [finding])
    line, _ = plugin(SEEN, [finding])
    assert "pid 1, \\x1b[31m\\x0a/ | entries=" in line
    assert json.loads(as_json(SEEN, [finding]))["findings"][0]["evidence"] == ["pid 1, \x1b[31m\n|"]


@pytest.mark.parametrize(
    ("severities", "word", "code"),
    [
        ([], "OK", 0),
        (["ok"], "OK", 0),
        (["ok", "unknown"], "UNKNOWN", 3),
        (["unknown", "warn", "ok"], "WARNING", 1),
        (["unknown", "crit", "warn"], "CRITICAL", 2),
    ],
)
def test_the_worst_finding_decides_what_a_plugin_says(
    severities: list[Severity], word: str, code: int
) -> None:
    findings = [WELL._replace(severity=severity) for severity in severities]
    line, found = plugin(SEEN, findings)
    assert (line.split(" - ")[0], found) == (f"CONNTRACK {word}", code)
    assert line.endswith(
        " | entries=1043117;;;0;1048576 expectations=0;;;0;4096 drop_per_second=2.00;;;0;\n"
    )
    assert line.count("\n") == line.count("|") == 1
