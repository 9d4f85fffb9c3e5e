"""All attributes of ctnetlink: one row each, from which everything else is derived.

Rows hold data only: no output order, texts, quirks or callables.

A field's public name joins the names on its path with ``_``; a nest with the name "" adds nothing.
Two rows of a nest may share a name if the kernel carries one thing in two ways (IPv4 and IPv6
addresses, 32 and 64 bit counters): the first that fits is sent.  ``only`` binds a row to a layer 3
family; ``uses``: the messages in which the kernel reports or accepts it (for a nest, with its
contents).  ``shape``: the value decides how the rest is read, so it is part of a message's shape
(:mod:`pyconntrack.ctnetlink.layout`).  Rows with the same number and ``protocols`` are the meanings
of one attribute, between which the tuple's protocol decides.

A ``#:`` comment above a row is its sentence in the documentation: ``#: WHAT; NOTE [UNIT]``; that of
a nest says of what its contents are, and stands between WHAT and NOTE.

Source: linux/netfilter/nfnetlink_conntrack.h; the policies in nf_conntrack_netlink.c.
"""

from __future__ import annotations

from . import vocabulary
from .constants import (
    AF_INET,
    AF_INET6,
    IPPROTO_DCCP,
    IPPROTO_GRE,
    IPPROTO_SCTP,
    IPPROTO_TCP,
    IPPROTO_UDP,
    IPPROTO_UDPLITE,
)
from .kinds import BYTES, HOST32, IPV4, IPV6, LABELS, TEXT, U8, U16, U32, U64

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .kinds import Kind


#: ``uses`` of a row: the kernel reports it, a creation may set it, an update may change it
REPORT, CREATE, CHANGE = 1, 2, 4


class Attr:
    """A leaf: ``number``, ``cta`` (kernel name), public ``name``, ``kind``, ``words`` for values.

    ``masked``: in a request the low byte of the value is the mask of its high byte.
    """

    __slots__ = (
        "cta", "kind", "masked", "name", "number", "only", "protocols", "shape", "uses", "words",
    )  # fmt: skip

    number: int
    name: str
    cta: str
    kind: Kind
    words: Mapping[int, str] | None
    only: int
    shape: bool
    protocols: tuple[int | None, ...]
    masked: bool
    uses: int

    def __init__(
        self, number: int, cta: str, name: str, kind: Kind,
        words: Mapping[int, str] | None = None, *, only: int = 0,
        protocols: tuple[int | None, ...] = (), shape: bool = False,
        uses: int = REPORT | CREATE | CHANGE, masked: bool = False,
    ) -> None:  # fmt: skip
        self.number, self.cta, self.name, self.kind = number, cta, name, kind
        self.words, self.only, self.protocols, self.shape = words, only, protocols, shape
        self.uses, self.masked = uses, masked


class Nest:
    """A nest: ``number``, ``cta`` (kernel name), ``name`` (prefix of its fields), ``rows``."""

    __slots__ = ("cta", "name", "number", "rows", "uses")

    number: int
    name: str
    cta: str
    rows: Rows
    uses: int

    def __init__(
        self, number: int, cta: str, name: str, rows: Rows, *, uses: int = REPORT | CREATE | CHANGE
    ) -> None:
        self.number, self.cta, self.name, self.rows, self.uses = number, cta, name, rows, uses


Row = Attr | Nest
#: by attribute number; a further meaning of a number by (number, its protocol)
Rows = dict[int | tuple[int, int | None], Row]


def _rows(*rows: Row) -> Rows:
    found: Rows = {}
    for row in rows:
        if row.number in found and isinstance(row, Attr):
            found[row.number, row.protocols[0]] = row
        else:
            found[row.number] = row
    return found


#: protocols whose tuples have ports (nf_ct_port_tuple_to_nlattr); None: no protocol is given
PORTS = (None, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_DCCP, IPPROTO_SCTP, IPPROTO_UDPLITE)
#: field of a tuple -> the field with its value in the inverse tuple
TURNED = {
    "src": "dst", "dst": "src", "sport": "dport", "dport": "sport",
    "srckey": "dstkey", "dstkey": "srckey",
}  # fmt: skip

TUPLE = _rows(
    Nest(1, "CTA_TUPLE_IP", "", _rows(
        #: Source address
        Attr(1, "CTA_IP_V4_SRC", "src", IPV4, only=AF_INET),
        #: Destination address
        Attr(2, "CTA_IP_V4_DST", "dst", IPV4, only=AF_INET),
        Attr(3, "CTA_IP_V6_SRC", "src", IPV6, only=AF_INET6),
        Attr(4, "CTA_IP_V6_DST", "dst", IPV6, only=AF_INET6),
    )),
    Nest(2, "CTA_TUPLE_PROTO", "", _rows(
        #: Layer 4 protocol
        Attr(1, "CTA_PROTO_NUM", "proto", U8, vocabulary.PROTO, shape=True),
        #: Source port; of protocols with ports
        Attr(2, "CTA_PROTO_SRC_PORT", "sport", U16, protocols=PORTS),
        #: Destination port; of protocols with ports
        Attr(3, "CTA_PROTO_DST_PORT", "dport", U16, protocols=PORTS),
        #: GRE key of the source; a call id of PPTP
        Attr(2, "CTA_PROTO_SRC_PORT", "srckey", U16, protocols=(IPPROTO_GRE,)),
        #: GRE key of the destination; a call id of PPTP
        Attr(3, "CTA_PROTO_DST_PORT", "dstkey", U16, protocols=(IPPROTO_GRE,)),
        #: ICMP identifier; of queries and their answers
        Attr(4, "CTA_PROTO_ICMP_ID", "icmp_id", U16, only=AF_INET),
        #: ICMP or ICMPv6 type
        Attr(5, "CTA_PROTO_ICMP_TYPE", "icmp_type", U8, only=AF_INET),
        #: ICMP or ICMPv6 code
        Attr(6, "CTA_PROTO_ICMP_CODE", "icmp_code", U8, only=AF_INET),
        Attr(7, "CTA_PROTO_ICMPV6_ID", "icmp_id", U16, only=AF_INET6),
        Attr(8, "CTA_PROTO_ICMPV6_TYPE", "icmp_type", U8, only=AF_INET6),
        Attr(9, "CTA_PROTO_ICMPV6_CODE", "icmp_code", U8, only=AF_INET6),
    )),
    #: Zone; of this direction alone
    Attr(3, "CTA_TUPLE_ZONE", "zone", U16),
)  # fmt: skip

COUNTERS = _rows(
    #: Packets; with nf_conntrack_acct=1 [packets]
    Attr(1, "CTA_COUNTERS_PACKETS", "packets", U64),
    #: Bytes; from the layer 3 header on, with nf_conntrack_acct=1 [bytes]
    Attr(2, "CTA_COUNTERS_BYTES", "bytes", U64),
    Attr(3, "CTA_COUNTERS32_PACKETS", "packets", U32),
    Attr(4, "CTA_COUNTERS32_BYTES", "bytes", U32),
)

SEQADJ = _rows(
    #: TCP sequence number at which the offset changes
    Attr(1, "CTA_SEQADJ_CORRECTION_POS", "correction_pos", U32),
    #: Offset of TCP sequence numbers before that position [bytes, signed]
    Attr(2, "CTA_SEQADJ_OFFSET_BEFORE", "offset_before", U32),
    #: Offset of TCP sequence numbers after that position [bytes, signed]
    Attr(3, "CTA_SEQADJ_OFFSET_AFTER", "offset_after", U32),
)

NAT = _rows(
    #: First address
    Attr(1, "CTA_NAT_V4_MINIP", "min_addr", IPV4, only=AF_INET),
    #: Last address
    Attr(2, "CTA_NAT_V4_MAXIP", "max_addr", IPV4, only=AF_INET),
    Nest(3, "CTA_NAT_PROTO", "", _rows(
        #: First port or ICMP identifier
        Attr(1, "CTA_PROTONAT_PORT_MIN", "min_port", U16),
        #: Last port or ICMP identifier
        Attr(2, "CTA_PROTONAT_PORT_MAX", "max_port", U16),
    )),
    Attr(4, "CTA_NAT_V6_MINIP", "min_addr", IPV6, only=AF_INET6),
    Attr(5, "CTA_NAT_V6_MAXIP", "max_addr", IPV6, only=AF_INET6),
)  # fmt: skip

CONNTRACK = _rows(
    #: in the original direction
    Nest(1, "CTA_TUPLE_ORIG", "orig", TUPLE, uses=REPORT | CREATE),
    #: in the reply direction
    Nest(2, "CTA_TUPLE_REPLY", "reply", TUPLE, uses=REPORT | CREATE),
    #: What the kernel noted about the connection
    Attr(3, "CTA_STATUS", "status", U32, vocabulary.STATUS),
    Nest(4, "CTA_PROTOINFO", "", _rows(
        Nest(1, "CTA_PROTOINFO_TCP", "tcp", _rows(
            #: State of the TCP connection
            Attr(1, "CTA_PROTOINFO_TCP_STATE", "state", U8, vocabulary.TCP_STATE),
            #: TCP window scale of the original direction [power of two]
            Attr(2, "CTA_PROTOINFO_TCP_WSCALE_ORIGINAL", "wscale_orig", U8),
            #: TCP window scale of the reply direction [power of two]
            Attr(3, "CTA_PROTOINFO_TCP_WSCALE_REPLY", "wscale_reply", U8),
            # struct nf_ct_tcp_flags: the flags in the high byte, their mask in the low one
            #: IP_CT_TCP_FLAG_* of the original direction, in the high byte [bits]
            Attr(4, "CTA_PROTOINFO_TCP_FLAGS_ORIGINAL", "flags_orig", U16, masked=True),
            #: IP_CT_TCP_FLAG_* of the reply direction, in the high byte [bits]
            Attr(5, "CTA_PROTOINFO_TCP_FLAGS_REPLY", "flags_reply", U16, masked=True),
        )),
        Nest(2, "CTA_PROTOINFO_DCCP", "dccp", _rows(
            #: State of the DCCP connection
            Attr(1, "CTA_PROTOINFO_DCCP_STATE", "state", U8, vocabulary.DCCP_STATE),
            #: Role of the side that began: whether it is the client
            Attr(2, "CTA_PROTOINFO_DCCP_ROLE", "role", U8, vocabulary.DCCP_ROLE),
            #: DCCP sequence number of the handshake
            Attr(3, "CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ", "handshake_seq", U64),
        )),
        Nest(3, "CTA_PROTOINFO_SCTP", "sctp", _rows(
            #: State of the SCTP association
            Attr(1, "CTA_PROTOINFO_SCTP_STATE", "state", U8, vocabulary.SCTP_STATE),
            #: SCTP verification tag of the original direction
            Attr(2, "CTA_PROTOINFO_SCTP_VTAG_ORIGINAL", "vtag_orig", U32),
            #: SCTP verification tag of the reply direction
            Attr(3, "CTA_PROTOINFO_SCTP_VTAG_REPLY", "vtag_reply", U32),
        )),
    )),
    Nest(5, "CTA_HELP", "", _rows(
        #: Name of the helper that follows the connection, such as ftp
        Attr(1, "CTA_HELP_NAME", "helper", TEXT),
        #: State of the helper, in a format of its own
        Attr(2, "CTA_HELP_INFO", "helper_info", BYTES),
    )),
    #: of the range to which a created flow's source is translated
    Nest(6, "CTA_NAT_SRC", "src_nat", NAT, uses=CREATE),
    #: Time until the entry is removed, if no packet comes before [seconds]
    Attr(7, "CTA_TIMEOUT", "timeout", U32),
    #: Mark that rules and programs set
    Attr(8, "CTA_MARK", "mark", U32),
    #: in the original direction
    Nest(9, "CTA_COUNTERS_ORIG", "orig", COUNTERS, uses=REPORT),
    #: in the reply direction
    Nest(10, "CTA_COUNTERS_REPLY", "reply", COUNTERS, uses=REPORT),
    #: References that the kernel holds to the entry [references]
    Attr(11, "CTA_USE", "use", U32, uses=REPORT),
    #: Identifier that distinguishes the entry from another with the same tuple
    Attr(12, "CTA_ID", "id", U32, uses=REPORT),
    #: of the range to which a created flow's destination is translated
    Nest(13, "CTA_NAT_DST", "dst_nat", NAT, uses=CREATE),
    #: of the master connection, in its original direction
    Nest(14, "CTA_TUPLE_MASTER", "master", TUPLE, uses=REPORT | CREATE),
    #: in the original direction
    Nest(15, "CTA_SEQ_ADJ_ORIG", "orig_seqadj", SEQADJ),
    #: in the reply direction
    Nest(16, "CTA_SEQ_ADJ_REPLY", "reply_seqadj", SEQADJ),
    #: Number of the security context; newer kernels report its text
    Attr(17, "CTA_SECMARK", "secmark", U32, uses=REPORT),
    #: Zone of both directions; absent in zone 0
    Attr(18, "CTA_ZONE", "zone", U16, uses=REPORT | CREATE),
    Nest(19, "CTA_SECCTX", "", _rows(
        #: Security context (SELinux)
        Attr(1, "CTA_SECCTX_NAME", "secctx", TEXT),
    ), uses=REPORT),
    Nest(20, "CTA_TIMESTAMP", "timestamp", _rows(
        #: When the entry was created, with nf_conntrack_timestamp=1 [ns since 1970]
        Attr(1, "CTA_TIMESTAMP_START", "start", U64),
        #: When the entry ended, on DESTROY events [ns since 1970]
        Attr(2, "CTA_TIMESTAMP_STOP", "stop", U64),
    ), uses=REPORT),
    #: Bits of the mark that an update changes, or a dump compares [bits]
    Attr(21, "CTA_MARK_MASK", "mark_mask", U32, uses=CHANGE),
    #: Numbers of the labels (connlabel) that are set
    Attr(22, "CTA_LABELS", "labels", LABELS),
    #: Numbers of the labels that an update changes
    Attr(23, "CTA_LABELS_MASK", "labels_mask", LABELS, uses=CHANGE),
    Nest(24, "CTA_SYNPROXY", "synproxy", _rows(
        #: Initial sequence number that SYNPROXY chose
        Attr(1, "CTA_SYNPROXY_ISN", "isn", U32),
        #: Initial TCP timestamp that SYNPROXY chose
        Attr(2, "CTA_SYNPROXY_ITS", "its", U32),
        #: What SYNPROXY adds to TCP timestamps
        Attr(3, "CTA_SYNPROXY_TSOFF", "tsoff", U32),
    )),
    Nest(25, "CTA_FILTER", "filter", _rows(
        #: Fields of the original tuple that a dump compares
        Attr(1, "CTA_FILTER_ORIG_FLAGS", "orig_flags", HOST32),
        #: Fields of the reply tuple that a dump compares
        Attr(2, "CTA_FILTER_REPLY_FLAGS", "reply_flags", HOST32),
    ), uses=0),
    #: Bits of the status that a dump compares [bits]
    Attr(26, "CTA_STATUS_MASK", "status_mask", U32, uses=0),
    #: When the event happened, with nf_conntrack_timestamp=1, Linux 6.14 [ns since 1970]
    Attr(27, "CTA_TIMESTAMP_EVENT", "timestamp_event", U64, uses=REPORT),
)  # fmt: skip

EXPECT = _rows(
    #: of the master connection, in its original direction
    Nest(1, "CTA_EXPECT_MASTER", "master", TUPLE),
    #: of the connection that is expected
    Nest(2, "CTA_EXPECT_TUPLE", "tuple", TUPLE),
    #: of the mask, whose bits must match
    Nest(3, "CTA_EXPECT_MASK", "mask", TUPLE),
    #: Time until the expectation is removed [seconds]
    Attr(4, "CTA_EXPECT_TIMEOUT", "timeout", U32),
    #: Identifier of the expectation
    Attr(5, "CTA_EXPECT_ID", "id", U32),
    #: Name of the helper that expects the connection
    Attr(6, "CTA_EXPECT_HELP_NAME", "helper", TEXT),
    #: Zone of the master connection; absent in zone 0
    Attr(7, "CTA_EXPECT_ZONE", "zone", U16),
    #: Properties of the expectation
    Attr(8, "CTA_EXPECT_FLAGS", "flags", U32, vocabulary.EXPECT_FLAGS),
    #: Number of the helper's class of expectations, 0 for the first
    Attr(9, "CTA_EXPECT_CLASS", "class", U32),
    Nest(10, "CTA_EXPECT_NAT", "nat", _rows(
        #: Direction relative to the master connection: 0 original, 1 reply
        Attr(1, "CTA_EXPECT_NAT_DIR", "dir", U32),
        #: that NAT gives the connection that is expected
        Nest(2, "CTA_EXPECT_NAT_TUPLE", "tuple", TUPLE),
    )),
    #: Function of the kernel that prepares the connection, such as nat-follow-master
    Attr(11, "CTA_EXPECT_FN", "fn", TEXT),
)  # fmt: skip

STATS_CPU = _rows(
    #: Lookups; older kernels only
    Attr(1, "CTA_STATS_SEARCHED", "searched", U32),
    #: Lookups that found an entry
    Attr(2, "CTA_STATS_FOUND", "found", U32),
    #: Entries created; older kernels only
    Attr(3, "CTA_STATS_NEW", "new", U32),
    #: Packets that fit no connection and cannot begin one, or are damaged
    Attr(4, "CTA_STATS_INVALID", "invalid", U32),
    #: Packets that needed no lookup; older kernels only
    Attr(5, "CTA_STATS_IGNORE", "ignore", U32),
    #: Entries removed; older kernels only
    Attr(6, "CTA_STATS_DELETE", "delete", U32),
    #: Entries put on the list of the dying; older kernels only
    Attr(7, "CTA_STATS_DELETE_LIST", "delete_list", U32),
    #: Entries inserted into the table
    Attr(8, "CTA_STATS_INSERT", "insert", U32),
    #: Entries not inserted: no free port for NAT, the tuple in use, or a long hash chain
    Attr(9, "CTA_STATS_INSERT_FAILED", "insert_failed", U32),
    #: Packets dropped, as the table was full or the entry could not be inserted
    Attr(10, "CTA_STATS_DROP", "drop", U32),
    #: Entries removed early, to make room in a full table
    Attr(11, "CTA_STATS_EARLY_DROP", "early_drop", U32),
    #: Packets of ICMP that are damaged, of an unknown type, or about no known connection
    Attr(12, "CTA_STATS_ERROR", "error", U32),
    #: Lookups repeated, as the table changed meanwhile
    Attr(13, "CTA_STATS_SEARCH_RESTART", "search_restart", U32),
    #: Clashes of packets of one new flow that were resolved without loss
    Attr(14, "CTA_STATS_CLASH_RESOLVE", "clash_resolve", U32),
    #: Entries not inserted, as the hash chain was too long
    Attr(15, "CTA_STATS_CHAIN_TOOLONG", "chain_toolong", U32),
)

STATS_GLOBAL = _rows(
    #: Flows in the table [flows]
    Attr(1, "CTA_STATS_GLOBAL_ENTRIES", "entries", U32),
    #: Limit of the table (nf_conntrack_max) [flows]
    Attr(2, "CTA_STATS_GLOBAL_MAX_ENTRIES", "max_entries", U32),
)

STATS_EXP_CPU = _rows(
    #: Connections that had been expected
    Attr(1, "CTA_STATS_EXP_NEW", "new", U32),
    #: Expectations created
    Attr(2, "CTA_STATS_EXP_CREATE", "create", U32),
    #: Expectations removed
    Attr(3, "CTA_STATS_EXP_DELETE", "delete", U32),
)


def leaves(rows: Rows, prefix: str = "", part: str = "") -> list[tuple[str, str, Attr]]:
    """Return (public name, tuple or counters that hold it or "", row) of each leaf, in order."""
    found: list[tuple[str, str, Attr]] = []
    for row in rows.values():
        if isinstance(row, Attr):
            found.append((prefix + row.name, part, row))
        else:
            name = prefix + row.name + "_" if row.name else prefix
            inner = name[:-1] if row.rows is TUPLE or row.rows is COUNTERS else part
            found += leaves(row.rows, name, inner)
    return found


def names(rows: Rows, uses: int) -> tuple[str, ...]:
    """Return the public names of the leaves whose outermost row has all of ``uses``, in order."""
    return tuple(dict.fromkeys(
        name
        for number, row in rows.items()
        if row.uses & uses == uses
        for name, _, _ in leaves({number: row})
    ))  # fmt: skip


def groups(rows: Rows, uses: int) -> Iterator[str]:
    """Yield the names of the nests that have all of ``uses``, outer nests first."""
    for row in rows.values():
        if isinstance(row, Nest) and row.uses & uses == uses:
            yield from [row.name] if row.name else groups(row.rows, uses)
