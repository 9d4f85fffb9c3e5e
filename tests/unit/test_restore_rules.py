"""What a request that makes or changes an entry carries, by table and on the real kernel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from pyconntrack import Conntrack, Flow, Tuple
from pyconntrack.ctnetlink import constants as c
from pyconntrack.ctnetlink.restore_rules import creation, inverse, masked_flags, renewal
from support.ctool import Result, ours_argv, run

if TYPE_CHECKING:
    from pathlib import Path

    from support.netns import Namespace

SEEN, ASSURED, CONFIRMED = c.IPS_SEEN_REPLY, c.IPS_ASSURED, c.IPS_CONFIRMED


def sysctl(name: str, otherwise: int) -> int:
    return {"nf_conntrack_udp_timeout_stream": 77}.get(name, otherwise)


def conntrack(*words: str) -> Result:
    return run([*ours_argv(), *words])


def entry(proto: int, **more: Any) -> dict[str, Any]:
    one = {
        "orig_src": b"\n\0\0\1", "orig_dst": b"\n\0\0\2", "orig_proto": proto, "timeout": 60,
        "reply_src": b"\n\0\0\2", "reply_dst": b"\n\0\0\1", "reply_proto": proto,
    }  # fmt: skip
    if proto in (c.IPPROTO_TCP, c.IPPROTO_UDP):
        one |= {"orig_sport": 1, "orig_dport": 2, "reply_sport": 2, "reply_dport": 1}
    return one | more


@pytest.mark.parametrize(
    ("reported", "wanted"),
    [
        (0x2300, 0x030F),  # MAXACK_SET goes, with numbers that cannot be restored
        (0x7F00, 0x0F0F),
        (0x0000, 0x000F),
        (0x0A0A, 0x0A0A),  # made for a request
        (0xFFFF, 0xFFFF),
    ],
)
def test_flags_come_back_without_those_of_lost_numbers(reported: int, wanted: int) -> None:
    assert masked_flags(reported) == wanted
    made = creation(entry(6, tcp_flags_orig=reported, tcp_flags_reply=reported), sysctl)
    assert (made["tcp_flags_orig"], made["tcp_flags_reply"]) == (wanted, wanted)


def test_what_only_the_kernel_writes_is_not_sent() -> None:
    reported = entry(17, id=1, use=2, orig_packets=3, reply_bytes=4, timestamp_start=5,
                     secmark=6, secctx="x", zone=7, helper="ftp", synproxy_isn=8)  # fmt: skip
    assert reported.keys() - creation(reported, sysctl).keys() == {
        "id", "use", "orig_packets", "reply_bytes", "timestamp_start", "secmark", "secctx",
    }  # fmt: skip


def test_status_keeps_only_what_a_request_may_set() -> None:
    made = creation(entry(17, status=0xFFFF & ~c.IPS_SRC_NAT & ~c.IPS_DST_NAT), sysctl)
    wanted = SEEN | ASSURED | CONFIRMED | c.IPS_FIXED_TIMEOUT | c.IPS_HELPER
    assert made["status"] == wanted


def test_a_translation_is_asked_for_with_its_port() -> None:
    far = b"\xc0\0\2\1"
    made = creation(entry(6, status=c.IPS_SRC_NAT, reply_dst=far, reply_dport=1), sysctl)
    assert (made["src_nat_min_addr"], made["src_nat_max_addr"]) == (far, far)
    assert (made["src_nat_min_port"], made["src_nat_max_port"]) == (1, 1)
    assert (made["reply_dst"], made["reply_dport"]) == (made["orig_src"], 1)


def test_the_id_of_a_translated_ping_is_asked_for() -> None:
    reported = entry(1, status=c.IPS_SRC_NAT | c.IPS_DST_NAT, orig_icmp_type=8, orig_icmp_code=0,
                     orig_icmp_id=7, reply_icmp_type=0, reply_icmp_code=0, reply_icmp_id=77,
                     reply_dst=b"\xc0\0\2\1", reply_src=b"\xc0\0\2\2")  # fmt: skip
    made = creation(reported, sysctl)
    assert made["src_nat_min_port"] == made["src_nat_max_port"] == 77
    assert made["dst_nat_min_port"] == made["dst_nat_max_port"] == made["reply_icmp_id"] == 7


@pytest.mark.parametrize(
    ("proto", "timeout", "state"), [(6, 432000, 3), (17, 77, None), (253, 600, None)]
)
def test_an_offloaded_entry_gets_the_timeout_of_its_protocol(
    proto: int, timeout: int, state: int | None
) -> None:
    reported = entry(proto, status=SEEN | ASSURED | CONFIRMED | c.IPS_OFFLOAD)
    del reported["timeout"]
    made = creation(reported, sysctl)
    assert (made["timeout"], made.get("tcp_state")) == (timeout, state)
    assert made.get("tcp_flags_orig") == (0x0A0A if proto == c.IPPROTO_TCP else None)


def test_the_answer_to_an_answer_is_the_question() -> None:
    for proto, kinds in ((1, range(20)), (58, range(126, 142))):
        for kind in kinds:
            asked = {"src": b"a", "dst": b"b", "proto": proto, "icmp_type": kind, "icmp_id": 9}
            assert inverse(inverse(asked)) == asked


STANDING = entry(6, status=SEEN | CONFIRMED | c.IPS_EXPECTED, mark=4, tcp_state=3)


@pytest.mark.parametrize(
    ("wanted", "changes"),
    [
        (STANDING, {}),
        ({**STANDING, "mark": 5, "timeout": 9}, {"mark": 5, "timeout": 9}),
        ({**STANDING, "status": ASSURED | CONFIRMED},
         {"status": SEEN | ASSURED | CONFIRMED | c.IPS_EXPECTED}),
        ({**STANDING, "status": CONFIRMED}, {}),
        ({**STANDING, "tcp_state": 7, "tcp_flags_orig": 0x0A0A, "tcp_wscale_orig": 7,
          "helper": "ftp", "src_nat_min_addr": b"\0\0\0\0", "master_src": b"\0\0\0\0",
          "orig_seqadj_correction_pos": 1}, {"tcp_state": 7}),
        ({**STANDING, "labels": b"\1" + b"\0" * 15}, {"labels": b"\1" + b"\0" * 15}),
        ({**STANDING, "labels": b"\0" * 16}, {}),
    ],
)  # fmt: skip
def test_of_a_standing_entry_only_what_differs_and_may_change_is_changed(
    wanted: dict[str, Any], changes: dict[str, Any]
) -> None:
    assert renewal(wanted, STANDING) == changes


def test_a_fixed_timeout_is_left_alone() -> None:
    standing = entry(17, status=CONFIRMED | c.IPS_FIXED_TIMEOUT)
    assert renewal({**standing, "timeout": 5}, standing) == {}


def test_a_state_of_sctp_brings_what_the_kernel_asks_with_it() -> None:
    standing = entry(132, sctp_state=3, sctp_vtag_orig=1, sctp_vtag_reply=2)
    changes = renewal({**standing, "sctp_state": 4}, standing)
    assert changes == {"sctp_state": 4, "sctp_vtag_orig": 1, "sctp_vtag_reply": 2}


# -- on the real kernel -------------------------------------------------------------------------

TCP = Tuple("192.0.2.1", "198.51.100.1", "tcp", 1, 2)
OPTIONS = ("-s", "192.0.2.1", "-d", "198.51.100.1", "-p", "tcp", "--sport", "1", "--dport", "2",
           "--state", "ESTABLISHED", "-u", "SEEN_REPLY,ASSURED", "-t", "50")  # fmt: skip


@pytest.mark.parametrize("way", ["-I", "-A", "-R", "json", "library"])
def test_a_new_tcp_entry_does_not_judge_windows(netns: Namespace, tmp_path: Path, way: str) -> None:
    file = tmp_path / "lines"
    with Conntrack() as tracker:
        if way == "library":
            tracker.create(Flow(TCP, timeout=50, tcp_state="ESTABLISHED"))
        elif way in ("-R", "json"):
            flow = Flow(TCP, timeout=50, tcp_state="ESTABLISHED").to_dict()
            file.write_text(json.dumps(flow) if way == "json" else " ".join(("-A", *OPTIONS)))
            assert conntrack("-R", str(file)).rc == 0
        else:
            assert conntrack(way, *OPTIONS).rc == 0
        [found] = tracker.dump()
    assert (found.tcp_flags_orig, found.tcp_flags_reply) == (0x0A00, 0x0A00)


def test_a_saved_object_brings_back_scales_flags_adjustment_and_ports(
    netns: Namespace, tmp_path: Path
) -> None:
    file = tmp_path / "objects"
    saved = Flow(
        TCP, Tuple("198.51.100.1", "203.0.113.5", "tcp", 2, 4000), zone=4, mark=5, timeout=100,
        status=["SEEN_REPLY", "ASSURED", "CONFIRMED", "SRC_NAT", "SEQ_ADJUST", "SRC_NAT_DONE",
                "DST_NAT_DONE"],
        tcp_state="ESTABLISHED", tcp_wscale_orig=7, tcp_wscale_reply=8, tcp_flags_orig=0x2300,
        tcp_flags_reply=0x0300, orig_seqadj_correction_pos=10, orig_seqadj_offset_before=1,
        orig_seqadj_offset_after=2,
    )  # fmt: skip
    file.write_text(json.dumps(saved.to_dict()))
    done = conntrack("-R", str(file))
    assert (done.rc, done.err) == (0, "")
    with Conntrack() as tracker:
        [found] = tracker.dump()
        differing = {
            name: values
            for name, values in saved.replace(tcp_flags_orig=0x0300).differences(found).items()
            if any(values) and name not in ("timeout", "id", "use")
        }
        assert differing == {}
        tracker.delete(found)
        tracker.create(found)
        [again] = tracker.dump()
        assert (again.reply, again.tcp_flags_orig) == (found.reply, 0x0300)
