"""The command line as data: one row per command, option and protocol.

The engine (:mod:`.parser`), the help and the shell completions are derived from these rows.
"""

from __future__ import annotations

from ..ctnetlink import vocabulary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

LABELMAP: Final = "/etc/xtables/connlabel.conf"

#: each table, and what it holds
TABLES: Final = {
    "conntrack": "the flows: each connection that is known",
    "expect": "the connections that helpers expect, as the data of FTP",
    "dying": "entries that have ended and are still in use",
    "unconfirmed": "entries whose first packet is still on its way",
}
CONNTRACK, EXPECT = [*TABLES][:2]


class Verb:
    """A command: its letter in the rule columns, its spellings and what it takes (``arg``).

    ``group``: its section of the help.
    """

    __slots__ = ("arg", "group", "help", "letter", "long", "name", "short")

    def __init__(self, letter: str, names: str, long: str, arg: str, text: str, group: str) -> None:
        self.short, self.name = names.split()
        self.letter, self.long, self.arg, self.help = letter, [long], arg, text
        self.group = group


VERBS: Final = (
    Verb("L", "L list", "dump", "[TABLE]", "list the entries of a table", "see"),
    Verb("G", "G get", "get", "[TABLE]", "show one entry, found by its tuple", "see"),
    Verb("I", "I create", "create", "[TABLE]", "create an entry; fail if it exists", "change"),
    Verb("A", "A add", "add", "[TABLE]", "create an entry; an existing one is fine", "change"),
    Verb("U", "U update", "update", "[TABLE]", "change the entries that match", "change"),
    Verb("D", "D delete", "delete", "[TABLE]", "delete the entries that match", "change"),
    Verb("E", "E event", "event", "[TABLE]", "show events as they happen", "see"),
    Verb("F", "F flush", "flush", "[TABLE]", "empty a table", "change"),
    Verb("C", "C count", "counter", "[TABLE]", "show how many entries a table holds", "see"),
    Verb("S", "S stats", "stats", "[TABLE]", "show statistics, a line per CPU", "see"),
    Verb("R", "R load", "load-file", "FILE", "run the commands of a file, - is standard input",
         "change"),
    Verb("V", "V version", "version", "", "show the version", "more"),
    Verb("H", "h help", "help", "", "show this help, or beside a command its own", "more"),
)  # fmt: skip


HELP: Final = next(verb for verb in VERBS if verb.name == "help")


class Option:
    """An option: spellings, destination, kind of value, and the rule per command.

    ``names``: the short letter (or ``-``), the name used in messages, other spellings.
    ``on`` and ``expect``: the commands (letters of VERBS) that take the option, for flow
    tables and for the expectation table. A lower-case letter: the command requires it.
    ``detail``: data for the kind, such as a limit or a vocabulary.
    """

    def __init__(
        self, names: str, field: str, kind: str, arg: str, on: str, expect: str, text: str, *,
        group: str = "", detail: Any = None,
    ) -> None:  # fmt: skip
        short, *self.long = names.split()
        self.short = "" if short == "-" else short
        self.name = self.long[0]
        self.field, self.kind, self.arg, self.detail = field, kind, arg, detail
        self.on, self.expect, self.help, self.group = on, expect, text, group


U8, U16, U32 = 0xFF, 0xFFFF, 0xFFFFFFFF

_BITS: Final = {word: bit for bit, word in vocabulary.STATUS.items()}
#: words of -u: the bits that must be set, or are to be, and those that must not
STATUS: Final = {
    word: (_BITS.get(word, 0), 0)
    for word in ("EXPECTED", "SEEN_REPLY", "UNREPLIED", "ASSURED", "SRC_NAT", "DST_NAT",
                 "FIXED_TIMEOUT", "OFFLOAD", "HW_OFFLOAD")
} | {"UNREPLIED": (0, _BITS["SEEN_REPLY"]), "UNSET": (0, vocabulary.UNSET)}  # fmt: skip
#: bits that only the kernel sets: words that select, and set nothing
NAT_STATUS: Final = ("SRC_NAT", "DST_NAT")

EVENTS: Final = {
    "ALL": ("NEW", "UPDATE", "DESTROY"),
    "NEW": ("NEW",),
    "UPDATES": ("UPDATE",),
    "DESTROY": ("DESTROY",),
}

FAMILIES: Final = {word: number for number, word in vocabulary.FAMILY.items()}
#: the words of conntrack(8) for -o, which may be abbreviated to an unambiguous prefix
CLASSIC_OUTPUT: Final = {
    "extended": "the layer 3 protocol, too",
    "id": "the kernel's number of each entry, which -i takes",
    "labels": "the names of the labels",
    "timestamp": "the time of each event",
    "ktimestamp": "when each entry began, and ended",
    "userspace": "which program caused each event",
    "xml": "a document of XML",
    "save": "a line for -R: what brings the entry back",
}
#: the words that -C and -S take
COUNTED: Final = {
    "json": "one document of JSON",
    "ndjson": "an object of JSON on each line; -R reads it, too",
}
#: each word of -o, and what it means
OUTPUT: Final = {
    **CLASSIC_OUTPUT,
    **COUNTED,
    "csv": "a line of values for each entry, for tables",
    "table": "aligned columns for people, as wide as the terminal",
}

_ALL = "LGIAUDEFCSRVH"

# The order is the order in which violations are reported.
OPTIONS: Final = (
    Option("s src orig-src", "orig_src", "addresses", "ADDR[/LEN][,...]", "LGIAUDE", "gid",
           "source address, original direction", group="select", detail="mask_src"),
    Option("d dst orig-dst", "orig_dst", "addresses", "ADDR[/LEN][,...]", "LGIAUDE", "gid",
           "destination address, original direction", group="select", detail="mask_dst"),
    Option("r reply-src", "reply_src", "addresses", "ADDR[,...]", "LGIAUDE", "GID",
           "source address, reply direction", group="select"),
    Option("q reply-dst", "reply_dst", "addresses", "ADDR[,...]", "LGIAUDE", "GID",
           "destination address, reply direction", group="select"),
    Option("p protonum proto", "proto", "proto", "PROTO[,...]", "LgiaUDEH", "gid",
           "layer 4 protocol: tcp, udp, icmp ... or a number", group="select"),
    Option("t timeout", "timeout", "seconds", "SECONDS", "iaUD", "i",
           "time until the entry ends, in seconds or as in 1h30m", group="set", detail=U32),
    Option("u status", "status", "status", "STATUS[,...]", "LIAUD", "I",
           "status bits, such as ASSURED; !ASSURED selects those without",
           group="both", detail=STATUS),
    Option("z zero", "zero", "flag", "", "L", "",
           "set the counters to zero while listing", group="show"),
    Option("e event-mask", "event_mask", "events", "TYPE[,...]", "E", "",
           "which events: ALL, NEW, UPDATES, DESTROY", group="show", detail=EVENTS),
    Option("- tuple-src", "tuple_src", "address", "ADDR[/LEN]", "", "i",
           "source address of the expected flow", group="expect", detail="mask_src"),
    Option("- tuple-dst", "tuple_dst", "address", "ADDR[/LEN]", "", "i",
           "destination address of the expected flow", group="expect", detail="mask_dst"),
    Option("- mask-src", "mask_src", "address", "MASK", "LUDE", "i",
           "netmask for the source address", group="select"),
    Option("- mask-dst", "mask_dst", "address", "MASK", "LUDE", "i",
           "netmask for the destination address", group="select"),
    Option("a nat-range", "", "deprecated", "RANGE", _ALL, _ALL, "ignored"),
    Option("m mark", "mark", "mark", "MARK[/MASK]", "LIAUDE", "",
           "connection mark; the mask says which bits count", group="both"),
    Option("c secmark", "secmark", "number", "NUMBER", "LE", "",
           "security mark (SELinux)", group="select", detail=U32),
    Option("i id", "id", "number", "ID", "LGUDE", "",
           "the kernel's number of the entry (-o id)", group="select", detail=U32),
    Option("f family", "family", "family", "FAMILY", "LUDEF", "L",
           "layer 3 protocol: ipv4 or ipv6", group="select"),
    Option("n src-nat", "src_nat", "nat", "[ADDR[:PORT]]", "LIAUDE", "",
           "source NAT; [ADDR]:PORT for IPv6", group="both"),
    Option("g dst-nat", "dst_nat", "nat", "[ADDR[:PORT]]", "LIAUDE", "",
           "destination NAT", group="both"),
    Option("j any-nat", "any_nat", "nat", "[ADDR[:PORT]]", "LE", "",
           "source or destination NAT", group="select"),
    Option("o output", "", "output", "FORMAT[,...]", "LGUDECS", "LECS",
           ", ".join(OUTPUT),
           group="show", detail=OUTPUT),
    Option("b buffer-size", "buffer_size", "number", "BYTES", "E", "",
           "receive buffer of the event socket", group="show", detail=U32 >> 1),
    Option("w zone", "zone", "number", "ZONE", "LIADE", "",
           "zone, both directions", group="both", detail=U16),
    Option("- orig-zone", "orig_zone", "number", "ZONE", "LIADE", "",
           "zone, original direction", group="both", detail=U16),
    Option("- reply-zone", "reply_zone", "number", "ZONE", "LIADE", "",
           "zone, reply direction", group="both", detail=U16),
    Option("l label", "labels", "labels", "LABEL[,...]", "LGUDE", "",
           "labels that must all be set", group="select"),
    Option("- label-add", "label_add", "labels", "LABEL[,...]", "IAU", "",
           "labels to set", group="set"),
    Option("- label-del", "label_del", "labels?", "[LABEL[,...]]", "U", "",
           "labels to clear; without a name, all", group="set"),
    Option("- labelmap", "labelmap", "text", "FILE", "LGIADUE", "",
           "the names of labels, instead of those of connlabel.conf", group="show"),
)  # fmt: skip

# Options that conntrack(8) lacks: long spellings, which count in full only, so that none changes
# what an abbreviation means.
EXTENSIONS: Final = (
    Option("- helper", "helper", "text", "NAME", "IA", "",
           "the helper of a new entry: ftp, tftp, sip ...", group="set"),
    Option("- where", "where", "text", "EXPR", "LUDE", "",
           "an expression that the entry must satisfy", group="select"),
    Option("- explain", "explain", "flag", "", "LUDEF", "",
           "say what would be asked of the kernel, and do nothing", group="run"),
    Option("- dry-run", "dry_run", "flag", "", "UDFR", "",
           "show what would change, and change nothing", group="run"),
    Option("- undo", "undo", "text", "FILE", "UDF", "",
           "write a file for -R that brings the old entries back", group="run"),
    Option("- from-file", "from_file", "text", "FILE", "D", "",
           "delete the entries that a file lists", group="select"),
    Option("- progress", "progress", "flag", "", "UDR", "",
           "report progress on standard error", group="run"),
    Option("- count-by", "count_by", "names", "FIELD[,...]", "L", "L",
           "count the entries with equal values of these fields; src/24: of networks",
           group="show"),
    Option("- sum", "sum", "names", "FIELD[,...]", "L", "L",
           "with --count-by: add up these counters, bytes or packets", group="show"),
    Option("- sort", "sort", "sort", "FIELD[,-FIELD...]", "L", "L",
           "order by these fields; a minus: descending", group="show"),
    Option("- limit", "limit", "number", "N", "LE", "LE",
           "show at most so many entries or groups; with -E, end after so many events",
           group="show",
           detail=U32),
    Option("- for", "for", "seconds", "TIME", "E", "E",
           "end after this time, in seconds or as in 1h30m", group="run", detail=U32),
    Option("- iso", "iso", "flag", "", "LGUDE", "LE",
           "write the times of -o timestamp and -o ktimestamp as ISO 8601 has them", group="show"),
    Option("- netns", "netns", "text", "NAME", "LGIAUDEFCSR", "LGIDEFCS",
           "work in this network namespace: its name, a process in it, or a path", group="run"),
    Option("- columns", "columns", "names", "FIELD[,...]", "LGUDE", "",
           "show these fields only, as a table, csv, json or ndjson", group="show"),
)  # fmt: skip


def _ends(
    word: str, fields: tuple[str, str], kinds: tuple[str, ...], expect: tuple[str, ...],
    detail: Any = None,
) -> tuple[Option, ...]:  # fmt: skip
    """Return the options for the ports, or the keys of GRE, of the two ends of a flow."""
    sides = (
        ("orig", "LGIAUDE", "{} {}, original direction"),
        ("reply", "LGIAUDE", "{} {}, reply direction"),
        ("mask", "", "mask of the {} {}"),
        ("tuple", "", "{} {} of the expected flow"),
    )
    ends = ((fields[0], "src", "source"), (fields[1], "dst", "destination"))
    return tuple(
        Option(f"- {field if side == 'orig' else ''} {side}-{word}-{end}", f"{side}_{field}", kind,
               word.upper(), on, rule, text.format(name, word), detail=detail)
        for (side, on, text), kind, rule in zip(sides, kinds, expect, strict=True)
        for field, end, name in ends
    )  # fmt: skip


_PORTS = _ends("port", ("sport", "dport"), ("ports", "ports", "port", "port"),
               ("gid", "gd", "i", "i"))  # fmt: skip
_KEYS = _ends("key", ("srckey", "dstkey"), ("number",) * 4, ("gid", "gid", "I", "I"), U16)
PORTS: Final = _PORTS[:4]

#: the state of any protocol, where no -p says of which
STATE: Final = Option(
    "- state",
    "states",
    "any state",
    "STATE[,...]",
    "LDE",
    "",
    "state of the protocol: ESTABLISHED, ... Without -p it only selects",
)
#: options of protocols that need no -p
ANYWHERE: Final = (*PORTS, STATE)

TCP_STATES: Final = {word: number for number, word in vocabulary.TCP_STATE.items()} | {"LISTEN": 9}
SCTP_STATES: Final = {word: number for number, word in vocabulary.SCTP_STATE.items()}
DCCP_STATES: Final = {word: number for number, word in vocabulary.DCCP_STATE.items()}
DCCP_ROLES: Final = {word.lower(): number for number, word in vocabulary.DCCP_ROLE.items()}


def _state(label: str, states: dict[str, int], error: str) -> Option:
    return Option("- state", f"{label.lower()}_state", "states", "STATE[,...]", "LGiaUDE", "",
                  f"{label} state", detail=(states, error))  # fmt: skip


def _icmp(prefix: str) -> tuple[Option, ...]:
    rows = (("type", "LgiaUDE", U8), ("code", "LgiaUDE", U8), ("id", "LGIAUDE", U16))
    return tuple(
        Option(f"- {prefix}-{name}", f"orig_icmp_{name}", "number", name.upper(), on, "",
               f"{prefix} {name}, a number", detail=limit)
        for name, on, limit in rows
    )  # fmt: skip


_TCP = _state("TCP", TCP_STATES, "unknown TCP state")
_SCTP = _state("SCTP", SCTP_STATES, "unknown SCTP state")
_DCCP = _state("DCCP", DCCP_STATES, "Unknown DCCP state")


class Protocol:
    """A layer 4 protocol with options of its own.

    ``pair``: the fields that complete a tuple besides the addresses: those of one direction, then
    the names that conntrack(8) has for those of the other.
    """

    __slots__ = ("name", "number", "options", "pair")

    def __init__(
        self, name: str, number: int, options: tuple[Option, ...], pair: tuple[str, ...] = ()
    ) -> None:
        self.name, self.number, self.options, self.pair = name, number, options, pair


_PORT_PAIR = ("sport", "dport", "reply-src-port", "reply-dst-port")

PROTOCOLS: Final = (
    Protocol("tcp", 6, (*_PORTS[:6], _TCP, *_PORTS[6:]), _PORT_PAIR),
    Protocol("udp", 17, _PORTS, _PORT_PAIR),
    Protocol("udplite", 136, _PORTS, _PORT_PAIR),
    Protocol("sctp", 132, (
        *_PORTS[:6], _SCTP, *_PORTS[6:],
        Option("- orig-vtag", "sctp_vtag_orig", "number", "TAG", "GiaU", "i",
               "verification tag, original direction", detail=U32),
        Option("- reply-vtag", "sctp_vtag_reply", "number", "TAG", "GiaU", "i",
               "verification tag, reply direction", detail=U32),
    ), _PORT_PAIR),
    Protocol("dccp", 33, (
        *_PORTS[:6], _DCCP, *_PORTS[6:],
        Option("- role", "dccp_role", "choice", "ROLE", "ia", "I",
               "role of the original direction: client or server",
               detail=(DCCP_ROLES, "Unknown DCCP role")),
    ), ("sport", "dport", "reply-port-src", "report-port-dst")),
    Protocol("icmp", 1, _icmp("icmp")),
    Protocol("icmpv6", 58, _icmp("icmpv6")),
    Protocol("gre", 47, _KEYS, ("srckey", "dstkey", "reply-src-key", "reply-dst-key")),
)  # fmt: skip


def own(numbers: tuple[int, ...]) -> tuple[Option, ...]:
    """Return the options that the protocols ``numbers`` share; of no protocol: those without -p."""
    if not numbers:
        return ANYWHERE
    named = {protocol.number: protocol.options for protocol in PROTOCOLS}
    first, *others = [named.get(number, ()) for number in numbers]
    if not others:
        return first
    shared = tuple(row for row in first if all(row in rows for rows in others))
    stated = any(row.name == STATE.name for rows in (first, *others) for row in rows)
    return (*shared, STATE) if stated and STATE not in shared else shared


def together(verb: Verb, table: str, protocols: tuple[int, ...]) -> list[Option]:
    """Return the options that a command on a table takes, with those of the protocols of -p."""
    rows = (*OPTIONS, *EXTENSIONS, *own(protocols))
    return [row for row in rows if row.kind != "deprecated" and takes(verb, table, row)]


def takes(verb: Verb, table: str, row: Option) -> bool:
    """Return whether a command on a table may have the option ``row``."""
    return verb.letter in _rule(table, row).upper()


def needs(verb: Verb, table: str, row: Option) -> bool:
    """Return whether a command on a table must have the option ``row``."""
    return verb.letter.lower() in _rule(table, row)


def _rule(table: str, row: Option) -> str:
    return row.expect if table == EXPECT else row.on


#: kind of a value that may be a list where entries are selected -> what each item of it is
LISTED: Final = {"ports": "port", "states": "state", "addresses": "address", "proto": "protocol"}


def single(verb: Verb, table: str, row: Option) -> bool:
    """Return whether a command has to know the one value of ``row``, which others may list."""
    selecting = "LDE" if row.kind == "states" else "LUDE"
    return row.kind in LISTED and (table == EXPECT or verb.letter not in selecting)


def tables(verb: Verb) -> tuple[str, ...]:
    """Return the tables that a command works on."""
    if verb.arg != "[TABLE]":
        return ()
    if verb.letter in "UA":  # there is nothing in an expectation to change
        return (CONNTRACK,)
    return tuple(TABLES) if verb.letter == "L" else (CONNTRACK, EXPECT)


def formats(verb: Verb) -> tuple[str, ...]:
    """Return the words of -o that a command takes."""
    return tuple(COUNTED if verb.letter in "CS" else OUTPUT)
