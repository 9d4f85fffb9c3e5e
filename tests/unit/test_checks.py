"""The checks of a snapshot, each on both sides of its threshold; snapshots are made by hand."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyconntrack import FlowTable, RequestError
from pyconntrack.doctor import CHECKS, Finding, Listener, NatRange, Snapshot, examine
from support.messages import batch
from support.tables import flow_table

COUNTERS = (
    "insert_failed", "drop", "early_drop", "chain_toolong", "invalid", "error", "clash_resolve",
)  # fmt: skip
SYSCTLS = {
    "nf_conntrack_acct": 1, "nf_conntrack_timestamp": 1, "nf_conntrack_events": 2,
    "nf_conntrack_checksum": 1, "nf_conntrack_tcp_be_liberal": 0, "nf_conntrack_tcp_loose": 1,
    "nf_conntrack_log_invalid": 0, "nf_conntrack_tcp_timeout_established": 432_000,
}  # fmt: skip
MOST = 10_000
SEEN, SRC_NAT, OFFLOAD = 0x2, 0x10, 0x4000
TCP, UDP, ESTABLISHED, TIME_WAIT = 6, 17, 3, 7
RANGE = (NatRange("203.0.113.7/32", None, (5000, 5049)),)


def flows(count: int, **more: Any) -> FlowTable:
    """Healthy flows: of many clients to many services, answered, in use."""
    return flow_table(
        count,
        **{
            "orig_proto": UDP, "orig_src": [f"10.1.{n % 50}.7" for n in range(count)],
            "orig_dst": [f"192.0.2.{n % 50}" for n in range(count)], "orig_dport": 53,
            "status": SEEN, "timeout": 20, **more,
        },
    )  # fmt: skip


def translated(count: int, server: str = "198.51.100.9", **more: Any) -> FlowTable:
    """Connections of 10.1.7.3 that have ports from 5000 on."""
    return flow_table(
        count,
        **{
            "orig_proto": TCP, "orig_src": "10.1.7.3", "orig_dst": server, "orig_dport": 443,
            "reply_src": server, "reply_sport": 443, "reply_dst": "203.0.113.7",
            "reply_dport": range(5000, 5000 + count), "status": SEEN | SRC_NAT,
            "tcp_state": ESTABLISHED, "timeout": 431_000, **more,
        },
    )  # fmt: skip


def look(
    *, moved: dict[str, int] | None = None, sysctls: dict[str, int] | None = None,
    flows: list[FlowTable] | FlowTable | None = None, **fields: Any,
) -> Snapshot:  # fmt: skip
    """A healthy look, but for what is given; ``moved``: by how much counters grew."""
    table = FlowTable.concat(flows) if isinstance(flows, list) else flows
    table = flow_table(0) if table is None else table
    before = dict.fromkeys(COUNTERS, 5)
    after = {name: 5 + (moved or {}).get(name, 0) for name in COUNTERS}
    return Snapshot(
        **{
            "kernel": "6.18.1", "seconds": 5.0, "sysctls": SYSCTLS | (sysctls or {}),
            "counters": (({"cpu": 0, **before},), ({"cpu": 0, **after},)), "flows": table,
            "counts": (len(table), len(table)), "maximum": MOST, "buckets": MOST,
            "expect_maximum": 100, "modules": ("nf_conntrack",), **fields,
        }
    )  # fmt: skip


def of(code: str, snapshot: Snapshot) -> Finding:
    """The finding of one check."""
    (finding,) = examine(snapshot, [code])
    assert finding.code == code
    return finding


def bad(snapshot: Snapshot) -> dict[str, str]:
    """The codes and severities of what is not well."""
    return {f.code: f.severity for f in examine(snapshot) if f.severity != "ok"}


def heard(drops: int) -> tuple[Listener, ...]:
    return (Listener(812, "ulogd", ("new", "destroy"), (0, drops)),)


#: check, a look on the good side of a threshold, one on the other side, and what it is there
SIDES: list[tuple[str, Snapshot, Snapshot, str]] = [
    ("table-full", look(counts=(7999, 7999)), look(counts=(8000, 8000)), "warn"),
    ("table-full", look(counts=(8000, 8000)), look(counts=(9500, 9500)), "crit"),
    # 61 and 60 seconds to go: at 64 a second
    ("table-full", look(counts=(5700, 6020)), look(counts=(5860, 6180)), "crit"),
    ("table-full", look(counts=(4399, 4999)), look(counts=(4400, 5000)), "crit"),
    ("table-full", look(counts=(2942, 3000)), look(counts=(2941, 3000)), "warn"),
    ("table-full", look(counts=(2399, 2499)), look(counts=(2400, 2500)), "warn"),
    ("gc-late", look(counts=(1999, 1999)), look(counts=(2000, 2000)), "warn"),
    ("buckets", look(counts=(399, 399), buckets=100, maximum=1199),
     look(counts=(400, 400), buckets=100, maximum=1199), "warn"),
    ("buckets", look(buckets=100, maximum=1199), look(buckets=100, maximum=1200), "warn"),
    ("buckets", look(counts=(1199, 1199), buckets=100), look(counts=(1200, 1200), buckets=100),
     "crit"),
    ("nat-ports", look(flows=translated(39), nat=RANGE), look(flows=translated(40), nat=RANGE),
     "warn"),
    ("nat-ports", look(flows=translated(49), nat=RANGE), look(flows=translated(50), nat=RANGE),
     "crit"),
    ("insert-failed", look(), look(moved={"insert_failed": 1, "drop": 1}), "warn"),
    ("insert-failed", look(moved={"insert_failed": 4, "drop": 4}),
     look(moved={"insert_failed": 5, "drop": 5}), "crit"),
    ("chain-too-long", look(), look(moved={"insert_failed": 1, "chain_toolong": 1}), "warn"),
    ("chain-too-long", look(moved={"insert_failed": 4, "chain_toolong": 4}),
     look(moved={"insert_failed": 5, "chain_toolong": 5}), "crit"),
    ("drop", look(), look(moved={"drop": 1}), "warn"),
    ("drop", look(moved={"drop": 4}), look(moved={"drop": 5}), "crit"),
    ("early-drop", look(), look(moved={"early_drop": 1}), "warn"),
    ("early-drop", look(moved={"early_drop": 499}), look(moved={"early_drop": 500}), "crit"),
    ("error", look(moved={"error": 49}), look(moved={"error": 50}), "warn"),
    ("invalid", look(moved={"invalid": 49}), look(moved={"invalid": 50}), "warn"),
    ("unanswered", look(flows=[flows(999, status=0)]), look(flows=[flows(1000, status=0)]), "warn"),
    ("unanswered", look(flows=[flows(1000, status=0), flows(1001)]),
     look(flows=[flows(1000, status=0), flows(1000)]), "warn"),
    ("one-client", look(flows=flows(2499, orig_src="10.1.7.3")),
     look(flows=flows(2500, orig_src="10.1.7.3")), "warn"),
    ("one-destination", look(flows=flows(4999, orig_dst="192.0.2.1")),
     look(flows=flows(5000, orig_dst="192.0.2.1")), "warn"),
    ("idle-timeouts",
     look(flows=flows(2000, tcp_state=ESTABLISHED, timeout=432_000 - 7439)),
     look(flows=flows(2000, tcp_state=ESTABLISHED, timeout=432_000 - 7440)), "warn"),
    ("idle-timeouts", look(flows=flows(1999, tcp_state=ESTABLISHED, timeout=1)),
     look(flows=flows(2000, tcp_state=ESTABLISHED, timeout=1)), "warn"),
    ("accounting", look(), look(sysctls={"nf_conntrack_acct": 0}), "warn"),
    ("events", look(sysctls={"nf_conntrack_events": 0}),
     look(sysctls={"nf_conntrack_events": 0}, listeners=heard(0)), "warn"),
    ("checksum", look(), look(sysctls={"nf_conntrack_checksum": 0}), "warn"),
    ("be-liberal", look(), look(sysctls={"nf_conntrack_tcp_be_liberal": 1}), "warn"),
    ("loose", look(sysctls={"nf_conntrack_tcp_loose": 0}, moved={"invalid": 49}),
     look(sysctls={"nf_conntrack_tcp_loose": 0}, moved={"invalid": 50}), "warn"),
    ("log-invalid", look(sysctls={"nf_conntrack_log_invalid": 6}, moved={"invalid": 49}),
     look(sysctls={"nf_conntrack_log_invalid": 6}, moved={"invalid": 50}), "warn"),
    ("events-lost", look(listeners=heard(0)), look(listeners=heard(1)), "warn"),
    ("expectations-full", look(expectations={"ftp": 79}), look(expectations={"ftp": 79, "sip": 1}),
     "warn"),
    ("expectations-full", look(expectations={"ftp": 94}), look(expectations={"ftp": 95}), "crit"),
    ("helpers", look(flows=flows(3, helper="ftp")), look(sysctls={"nf_conntrack_helper": 1}),
     "warn"),
    ("zones", look(flows=[flows(4999, zone=5), flows(1)]),
     look(flows=[flows(5000, zone=5), flows(1)]), "warn"),
    ("no-module", look(), look(sysctls=None, modules=(), maximum=0)._replace(sysctls={}), "warn"),
    ("no-rules", look(needed_by=(), counts=(0, 1)), look(needed_by=(), counts=(0, 0)), "warn"),
    ("permission", look(unknown={"nat": "nft: it is not installed"}),
     look(unknown={"flows": "no permission: it needs CAP_NET_ADMIN"}), "unknown"),
]  # fmt: skip
#: the checks that state what is there, and find nothing wrong with it
STATING = {"clash-resolve", "timestamps", "offload"}


@pytest.mark.parametrize(
    ("code", "good", "worse", "severity"), SIDES,
    ids=[f"{code}-{severity}-{n}" for n, (code, _, _, severity) in enumerate(SIDES)],
)  # fmt: skip
def test_a_check_changes_its_mind_at_its_threshold(
    code: str, good: Snapshot, worse: Snapshot, severity: str
) -> None:
    before, after = of(code, good), of(code, worse)
    assert before.severity != severity
    assert after.severity == severity
    assert after.advice
    assert before.evidence
    assert after.evidence


def test_each_check_is_tried_on_both_sides() -> None:
    assert {code for code, *_ in SIDES} == {check.code for check in CHECKS} - STATING


def test_a_healthy_namespace_is_well() -> None:
    assert bad(look()) == {}
    assert bad(look(flows=flows(3000), listeners=heard(0), expectations={"ftp": 3})) == {}


FAULTS: dict[str, dict[str, Any]] = {
    "nat-ports": {"flows": [translated(50)], "nat": RANGE,
                  "moved": {"insert_failed": 30, "drop": 30}},
    "chain-too-long": {"moved": {"insert_failed": 9, "chain_toolong": 9}},
    "early-drop": {"moved": {"early_drop": 3}},
    "error": {"moved": {"error": 500}},
    "invalid": {"moved": {"invalid": 500}},
    "unanswered": {"flows": [flows(2600, status=0)]},
    "one-client": {"flows": [flows(2500, orig_src="10.9.9.9")]},
    "idle-timeouts": {"flows": [flows(2000, tcp_state=ESTABLISHED, timeout=9)]},
    "accounting": {"sysctls": {"nf_conntrack_acct": 0}},
    "checksum": {"sysctls": {"nf_conntrack_checksum": 0}},
    "be-liberal": {"sysctls": {"nf_conntrack_tcp_be_liberal": 1}},
    "events-lost": {"listeners": heard(18_220)},
    "expectations-full": {"expectations": {"sip": 90}},
    "helpers": {"sysctls": {"nf_conntrack_helper": 1}},
    "buckets": {"buckets": 800},
}  # fmt: skip


def merged(*faults: dict[str, Any]) -> Snapshot:
    whole: dict[str, Any] = {}
    for fault in faults:
        for name, value in fault.items():
            if name == "moved":
                own = whole.setdefault("moved", {})
                whole["moved"] = {key: own.get(key, 0) + value.get(key, 0) for key in own | value}
            elif name in whole and isinstance(value, (dict, list)):
                whole[name] = (
                    whole[name] | value if isinstance(value, dict) else whole[name] + value
                )
            else:
                whole[name] = value
    return look(**whole)


@pytest.mark.parametrize("code", FAULTS)
def test_a_fault_is_found_as_what_it_is_and_no_other(code: str) -> None:
    assert set(bad(merged(FAULTS[code]))) == {code}


def test_faults_in_pairs_are_told_apart() -> None:
    for pair in combinations(FAULTS, 2):
        assert set(bad(merged(*(FAULTS[code] for code in pair)))) == set(pair)


def test_failures_are_named_by_the_pair_that_alone_is_at_its_limit() -> None:
    failed = {"insert_failed": 60, "drop": 60}
    finding = of("nat-ports", look(flows=translated(50), nat=RANGE, moved=failed))
    assert finding.subject == "203.0.113.7 -> 198.51.100.9:443/tcp"
    assert (finding.value, finding.limit) == (50, 50)
    assert finding.evidence == (
        "holds 50 of 50 ports (100 %)",
        "60 new connections failed in 5.0 s; 100 % of the ports belong to 10.1.7.3",
    )
    assert finding.advice == "Let the rule translate to more ports than 5000-5049"


def test_a_rule_that_pins_one_port_is_an_alarm_only_if_connections_fail() -> None:
    pinned = (NatRange("203.0.113.7/32", None, (5000, 5000)),)
    assert bad(look(flows=translated(1), nat=pinned)) == {}
    failed = {"insert_failed": 5, "drop": 5}
    assert bad(look(flows=translated(1), nat=pinned, moved=failed)) == {"nat-ports": "crit"}
    assert bad(look(flows=translated(2), nat=(NatRange("203.0.113.7/32", None, (5000, 5001)),)))


def test_failures_of_two_pairs_are_said_to_be_of_both() -> None:
    two = look(
        flows=[translated(50), translated(50, "198.51.100.10")], nat=RANGE,
        moved={"insert_failed": 60, "drop": 60},
    )  # fmt: skip
    findings = examine(two, ["nat-ports"])
    assert [finding.severity for finding in findings] == ["crit", "crit"]
    for finding in findings:
        assert "60 new connections failed in 5.0 s in all 2 such ranges" in finding.evidence[1]
    assert bad(two) == {"nat-ports": "crit"}


def test_failures_below_a_limit_name_what_is_held_most_of_the_ports_of_several_rules() -> None:
    rules = (*RANGE, NatRange("203.0.113.7/32", None, (5040, 5099)))
    failed = look(flows=translated(50), nat=rules, moved={"insert_failed": 10, "drop": 10})
    assert bad(failed) == {"insert-failed": "crit"}
    assert of("insert-failed", failed).evidence[1] == (
        "Most of a range: 203.0.113.7 -> 198.51.100.9:443/tcp holds 50 of 100 ports (50 %) of all"
        " its rules"
    )
    assert len(of("insert-failed", failed._replace(flows=translated(24))).evidence) == 1


def test_a_capacity_that_no_rule_shows_is_assumed_and_only_failures_make_it_serious() -> None:
    hidden = translated(62_102, reply_dport=range(1024, 1024 + 62_102))
    calm = look(flows=hidden, nat=(NatRange(source="xt"),), maximum=1 << 20, buckets=1 << 20)
    finding = of("nat-ports", calm)
    assert finding.severity == "ok"
    assert finding.evidence[-1] == "Capacity assumed: no rule that nft shows names its ports"
    failing = calm._replace(
        counters=look(moved={"insert_failed": 7, "drop": 7}).counters,
        unknown={"nat": "nft: it is not installed"},
    )
    finding = of("nat-ports", failing)
    assert finding.severity == "crit"
    assert finding.evidence[-1] == "Capacity assumed: nft: it is not installed"
    assert finding.advice.startswith("Let 10.1.7.3 keep connections open and use them again")
    sources = ["10.1.7.3" if n % 100 < 61 else f"10.1.7.{n % 100}" for n in range(62_102)]
    several = translated(62_102, reply_dport=range(1024, 1024 + 62_102), orig_src=sources)
    finding = of("nat-ports", failing._replace(flows=several))
    assert "61 % of the ports belong to 10.1.7.3" in finding.evidence[1]
    assert finding.advice == (
        "Translate 10.1.7.0/24 to several addresses: it helps many clients, not one"
    )
    assert "nat-ports" not in bad(calm._replace(nat=RANGE))  # ports outside: another rule is there


def test_a_range_full_of_connections_that_end_is_well() -> None:
    ending = look(flows=translated(50, tcp_state=TIME_WAIT), nat=RANGE)
    assert bad(ending) == {}
    assert of("nat-ports", ending).evidence == (
        "holds 0 of 50 ports (0 %)",
        "50 more are of ended connections, which give way to new ones",
    )


def test_a_clash_that_was_resolved_is_healthy() -> None:
    finding = of("clash-resolve", look(moved={"clash_resolve": 700}))
    assert finding.severity == "ok"
    assert "healthy" in finding.evidence[0]
    assert bad(look(moved={"clash_resolve": 700})) == {}


def test_what_a_full_table_does_is_said_of_the_table_alone() -> None:
    full = look(counts=(9990, 10_000), moved={"drop": 412, "early_drop": 7}, flows=flows(9000))
    assert bad(full) == {"table-full": "crit"}
    assert of("table-full", full).evidence == (
        "100.0 % full",
        "9,000 live, 1,000 expired and not yet removed",
        "412 packets dropped and 7 entries removed early in 5.0 s",
    )
    assert "see table-full" in of("drop", full).evidence[0]


def test_the_forecast_is_what_is_left_by_the_growth() -> None:
    finding = of("table-full", look(counts=(9000 - 6560, 9000)))
    assert finding.evidence[0] == "90.0 % full, +1,312/s: full in about 1 s"
    assert "full in" not in of("table-full", look(counts=(9000, 9031))).evidence[0]  # by chance


def test_what_is_one_for_all_namespaces_is_set_in_the_first() -> None:
    full = look(counts=(9900, 9900))
    command = (
        "sysctl -w net.netfilter.nf_conntrack_max=20000 net.netfilter.nf_conntrack_buckets=20000"
    )
    assert of("table-full", full._replace(netns="init")).advice == command
    assert of("table-full", full._replace(netns="pod")).advice == (
        f"{command} in the initial namespace"
    )


def test_live_and_expired_entries_are_told_apart_with_their_doubt() -> None:
    late = look(counts=(4000, 5000), flows=flows(2000), dump_seconds=1.0)
    assert of("table-full", late).evidence[1] == (
        "2,000 live, 3,000 expired and not yet removed (give or take 200)"
    )
    assert of("gc-late", late).severity == "warn"
    assert of("gc-late", late._replace(dump_seconds=10.0)).severity == "ok"
    once = late._replace(seconds=0.0)
    assert of("gc-late", once).severity == "unknown"
    assert "or they went during the dump" in of("table-full", once).evidence[1]


def test_without_a_maximum_a_table_is_never_full() -> None:
    endless = look(counts=(50_000, 90_000), maximum=0, buckets=1 << 20, flows=flows(3000))
    assert bad(endless) == {}


def test_one_reading_leaves_rates_unknown() -> None:
    once = look(seconds=0.0, counters=((), look().counters[1]))
    unknown = {code for code, severity in bad(once).items() if severity == "unknown"}
    assert unknown == {
        "insert-failed", "chain-too-long", "drop", "early-drop", "error", "invalid",
        "clash-resolve",
    }  # fmt: skip
    assert "--for" in of("drop", once).evidence[0]


@pytest.mark.parametrize("field", ["counts", "counters", "flows", "sysctls", "listeners",
                                   "expectations"])  # fmt: skip
def test_what_could_not_be_read_is_unknown_with_the_reason(field: str) -> None:
    blind = look(unknown={field: "the moon is full"})
    needing = {check.code for check in CHECKS if field in check.needs}
    assert needing
    assert bad(blind) == dict.fromkeys(needing, "unknown")
    for code in needing:
        assert of(code, blind).evidence == ("the moon is full",)


@pytest.mark.parametrize("name", flows(1).columns)
def test_a_table_without_a_column_is_unknown(name: str) -> None:
    table = flows(3)
    less = look(flows=table.select(*(each for each in table.columns if each != name)))
    reason = f"the table was read without the column {name}"
    assert {f.evidence for f in examine(less) if f.severity != "ok"} <= {(reason,)}


def test_a_setting_that_the_kernel_lacks_is_unknown() -> None:
    snapshot = look()
    kept = {k: v for k, v in SYSCTLS.items() if k != "nf_conntrack_timestamp"}
    assert bad(snapshot._replace(sysctls=kept)) == {"timestamps": "unknown"}


def test_counters_may_wrap() -> None:
    wrapped = look(counters=(
        ({"cpu": 0, **dict.fromkeys(COUNTERS, 2**32 - 2)},),
        ({"cpu": 0, **dict.fromkeys(COUNTERS, 1)},),
    ))  # fmt: skip
    assert wrapped.change("drop") == 3


def test_a_listener_that_lost_events_is_named() -> None:
    assert of("events-lost", look(listeners=heard(18_220))).evidence == (
        "a listener (pid 812, ulogd) has lost 18,220 events, 18,220 of them in 5.0 s",
    )


def test_offloaded_entries_are_counted() -> None:
    finding = of("offload", look(flows=flows(3, status=SEEN | OFFLOAD)))
    assert finding.value == 3
    assert "counters stand still" in finding.evidence[0]


def test_a_check_that_there_is_none_of_is_refused() -> None:
    with pytest.raises(RequestError, match="table-full"):
        examine(look(), ["table-ful"])


@settings(max_examples=100)
@given(st.builds(batch, st.integers(0, 2**32), st.integers(1, 8), st.integers(1, 60)))
def test_a_healthy_table_made_at_random_is_never_critical(messages: list[bytes]) -> None:
    data = b"".join(messages)
    table = FlowTable.from_batches([(data, len(data))])
    assert "crit" not in bad(look(flows=table)).values()


NUMBERS = st.integers(0, 2**33)


@settings(max_examples=50)
@given(
    counts=st.tuples(NUMBERS, NUMBERS), maximum=NUMBERS, buckets=NUMBERS,
    seconds=st.sampled_from([0.0, 5e-324, 5.0]), dump_seconds=st.floats(0, 9),
    moved=st.dictionaries(st.sampled_from(COUNTERS), NUMBERS),
    sysctls=st.dictionaries(st.sampled_from([*SYSCTLS]), NUMBERS), rows=st.integers(0, 60),
    expectations=st.dictionaries(st.sampled_from(["", "ftp"]), NUMBERS),
    unknown=st.dictionaries(st.sampled_from(["flows", "counts", "nat"]), st.just("why")),
    kernel=st.text(max_size=8),
)  # fmt: skip
def test_any_snapshot_gives_findings_of_each_check(rows: int, **fields: Any) -> None:
    strange = flow_table(rows, status=SRC_NAT, family=[2, None, *[10] * 58][:rows])
    snapshot = look(flows=[translated(rows), flows(rows), strange], nat=RANGE, **fields)
    findings = examine(snapshot)
    assert list(dict.fromkeys(f.code for f in findings)) == [check.code for check in CHECKS]
    for finding in findings:
        assert finding.severity in ("ok", "warn", "crit", "unknown")
        assert finding.evidence
        assert finding.severity in ("ok", "unknown") or finding.advice
    assert examine(snapshot) == findings
