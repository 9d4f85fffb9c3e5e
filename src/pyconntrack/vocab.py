"""Words for numbers: protocols, states, status and expectation flags, in the kernel's spelling."""

from .wire.consts import AF_INET, AF_INET6

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
    0x1: "EXPECTED",
    0x2: "SEEN_REPLY",
    0x4: "ASSURED",
    0x8: "CONFIRMED",
    0x10: "SRC_NAT",
    0x20: "DST_NAT",
    0x40: "SEQ_ADJUST",
    0x80: "SRC_NAT_DONE",
    0x100: "DST_NAT_DONE",
    0x200: "DYING",
    0x400: "FIXED_TIMEOUT",
    0x800: "TEMPLATE",
    0x1000: "UNTRACKED",
    0x2000: "HELPER",
    0x4000: "OFFLOAD",
    0x8000: "HW_OFFLOAD",
}

#: ``UNSET`` of conntrack(8): none of the bits that ``-o save`` of it names
UNSET = 0x1 | 0x2 | 0x4 | 0x400

#: enum tcp_conntrack
TCP_STATE = {
    0: "NONE",
    1: "SYN_SENT",
    2: "SYN_RECV",
    3: "ESTABLISHED",
    4: "FIN_WAIT",
    5: "CLOSE_WAIT",
    6: "LAST_ACK",
    7: "TIME_WAIT",
    8: "CLOSE",
    9: "SYN_SENT2",
}

#: enum sctp_conntrack
SCTP_STATE = {
    0: "NONE",
    1: "CLOSED",
    2: "COOKIE_WAIT",
    3: "COOKIE_ECHOED",
    4: "ESTABLISHED",
    5: "SHUTDOWN_SENT",
    6: "SHUTDOWN_RECD",
    7: "SHUTDOWN_ACK_SENT",
    8: "HEARTBEAT_SENT",
    9: "HEARTBEAT_ACKED",
}

#: enum ct_dccp_states
DCCP_STATE = {
    0: "NONE",
    1: "REQUEST",
    2: "RESPOND",
    3: "PARTOPEN",
    4: "OPEN",
    5: "CLOSEREQ",
    6: "CLOSING",
    7: "TIMEWAIT",
    8: "IGNORE",
    9: "INVALID",
}
DCCP_ROLE = {0: "CLIENT", 1: "SERVER"}

#: field -> its vocabulary, of the protocols that have a state
STATES = {"tcp_state": TCP_STATE, "sctp_state": SCTP_STATE, "dccp_state": DCCP_STATE}

#: NF_CT_EXPECT_*
EXPECT_FLAGS = {0x1: "PERMANENT", 0x2: "INACTIVE", 0x4: "USERSPACE"}
