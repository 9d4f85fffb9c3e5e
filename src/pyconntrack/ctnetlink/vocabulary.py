"""Words for numbers: protocols, states, status and expectation flags, in the kernel's spelling."""

from __future__ import annotations

from .constants import (
    AF_INET,
    AF_INET6,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .literals import EventKind

FAMILY = {AF_INET: "ipv4", AF_INET6: "ipv6"}

PROTO = {
    1: "icmp",
    6: "tcp",
    17: "udp",
    33: "dccp",
    47: "gre",
    58: "icmpv6",
    132: "sctp",
    136: "udplite",
}

#: enum ip_conntrack_status, bit value -> word
STATUS = {
    0x1: "EXPECTED", 0x2: "SEEN_REPLY", 0x4: "ASSURED", 0x8: "CONFIRMED",
    0x10: "SRC_NAT", 0x20: "DST_NAT", 0x40: "SEQ_ADJUST", 0x80: "SRC_NAT_DONE",
    0x100: "DST_NAT_DONE", 0x200: "DYING", 0x400: "FIXED_TIMEOUT", 0x800: "TEMPLATE",
    0x1000: "UNTRACKED", 0x2000: "HELPER", 0x4000: "OFFLOAD", 0x8000: "HW_OFFLOAD",
}  # fmt: skip

#: ``UNSET`` of conntrack(8): none of the bits that its ``-o save`` names
UNSET = 0x1 | 0x2 | 0x4 | 0x400

#: enum tcp_conntrack
TCP_STATE: dict[int, str] = dict(enumerate((
    "NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK",
    "TIME_WAIT", "CLOSE", "SYN_SENT2",
)))  # fmt: skip

#: enum sctp_conntrack
SCTP_STATE: dict[int, str] = dict(enumerate((
    "NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT",
    "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT", "HEARTBEAT_ACKED",
)))  # fmt: skip

#: enum ct_dccp_states
DCCP_STATE: dict[int, str] = dict(enumerate((
    "NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT", "IGNORE",
    "INVALID",
)))  # fmt: skip
DCCP_ROLE = {0: "CLIENT", 1: "SERVER"}

#: state field -> its vocabulary, for each protocol with states
STATES = {"tcp_state": TCP_STATE, "sctp_state": SCTP_STATE, "dccp_state": DCCP_STATE}

#: NF_CT_EXPECT_*
EXPECT_FLAGS = {0x1: "PERMANENT", 0x2: "INACTIVE", 0x4: "USERSPACE"}

#: the vocabularies of bit fields
FLAGS = (STATUS, EXPECT_FLAGS)
#: name of a vocabulary -> its words
VOCABULARIES = {
    "family": FAMILY, "proto": PROTO, "status": STATUS, "tcp_state": TCP_STATE,
    "sctp_state": SCTP_STATE, "dccp_state": DCCP_STATE, "dccp_role": DCCP_ROLE,
    "expect_flags": EXPECT_FLAGS,
}  # fmt: skip

#: what an event reports, and the groups of events of flows
EVENT_KINDS: tuple[EventKind, ...] = ("new", "update", "destroy")
