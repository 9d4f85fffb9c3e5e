"""Record the outcomes of thousands of conntrack(8) command lines, for tests/cli/test_recorded.py.

Run each as root in a fresh network namespace (``unshare -n``), from the root of the project:

    python -m scripts.wide_net lines | python -m scripts.wide_net run conntrack > OUTCOMES
    python -m scripts.wide_net lines | python -m scripts.wide_net run > OURS

tests/cases/wide_net.txt is the record of conntrack-tools 1.4.9. An outcome is the exit status,
standard output with the count of the summary, and the table afterwards if it was changed. Timeouts
are rounded up to 20 seconds, lines are sorted, and values that differ from run to run (ids, use
counts, times, process ids, counters) are replaced.
"""

from __future__ import annotations

import errno
import importlib
import os
import pkgutil
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

import pyconntrack.cli
from pyconntrack.cli.attributes import flow_tuple, flow_values
from pyconntrack.cli.main import run
from pyconntrack.cli.parser import parse
from pyconntrack.cli.selection import Formatter, of_messages
from pyconntrack.ctnetlink import requests as request
from pyconntrack.formats.registry import Writer
from pyconntrack.netlink.conversation import batch
from pyconntrack.netlink.driver import call
from pyconntrack.netlink.socket import Transport

_T = TypeVar("_T")
CASES = Path(__file__).parent.parent / "tests/cases"
#: seconds after which a command that does not end is stopped
PATIENCE = 10.0


class Outcome(NamedTuple):
    """The outcome of a command line."""

    status: int
    out: str
    table: str


# -- the command lines ---------------------------------------------------------------------

_NUMBERS = ["0", "7", "-1", "", "abc", "1a", "0x10", "010", "255", "256", "65535", "65536",
            "4294967295", "4294967296", "9" * 20, " 5", "5 ", "+5", "1.5"]  # fmt: skip
_FEW = ["0", "7", "-1", "", "abc", "65535", "65536", "4294967295", "4294967296"]
_ADDRESSES = [
    "1.1.1.1", "1.1.1", "1", "0.0.0.0", "255.255.255.255", "256.1.1.1", "1.1.1.1/0", "1.1.1.1/32",
    "1.1.1.1/33", "1.1.1.1/", "1.1.1.1/24/8", "1.1.1.1/-1", "1.1.1.1/255.0.0.0", "::",
    "2001:db8::1", "2001:DB8::1", "2001:db8::1/128", "2001:db8::1/129", "2001:db8::/32",
    "::ffff:1.1.1.1", "fe80::1%lo", "", "localhost", "1.1.1.1 ", "0x01010101", "1.1.1.1,2.2.2.2",
    "/24",
]  # fmt: skip
_NATS = ["", "1.1.1.1", "3.3.3.3", "3.3.3.3:1234", "1.1.1.1:80", "1.1.1.1:", "1.1.1.1:0",
         "1.1.1.1:65535", "1.1.1.1:65536", "1.1.1.1:000000000999999", "1.1.1.1:00080",
         "1.1.1.1:ab", "2001:db8::99", "[2001:db8::99]:80", "[2001:db8::99]", "[2001:db8::99",
         "[]:80", "1.1.1.1/24", "abc", ":80"]  # fmt: skip
_STATUS = [
    "ASSURED", "assured", "A", "SEEN_REPLY", "seen_Reply", "SEEN", "UNREPLIED", "unreplied", "UNR",
    "EXPECTED", "E", "SRC_NAT", "DST_NAT", "FIXED_TIMEOUT", "F", "UNSET", "OFFLOAD", "HW_OFFLOAD",
    "!ASSURED", "!UNREPLIED", "!SRC_NAT", "!UNSET", "ASSURED,SEEN_REPLY", "ASSURED,", "", ",", "!",
    "ASSURED,!SEEN_REPLY", "CONFIRMED", "ASSURED ", "1", "S", "UN", "ASSUREDX",
]  # fmt: skip
_OUTPUT = [
    "extended", "ext", "EXTENDED", "e", "id", "ID", "i", "xml", "x", "XML", "save", "s", "labels",
    "l", "timestamp", "t", "ktimestamp", "k", "userspace", "u", "id,extended", "xml,id", "save,id",
    "", ",", "foo", "id,", "xml,xml", "xml,extended",
]  # fmt: skip
_PROTOCOLS = [
    "tcp", "TCP", "t", "udp", "6", "0", "255", "256", "-1", "", "abc", "ip", "icmp", "ICMPv6",
    "icmpv6", "58", "gre", "sctp", "dccp", "udplite", "UDPLite", "igmp", "tcp,udp", "0x6", "06",
]  # fmt: skip
#: values of each option; None stands for an option without one
_VALUES: dict[str, list[str | None]] = {
    "-s": [*_ADDRESSES], "-d": ["2.2.2.2", "2.2.0.0/16", "::", "", "1"],
    "-r": [*_ADDRESSES[:10], "2.2.2.2/24"], "-q": ["1.1.1.1", "1.1.1.1/8", ""],
    "-p": [*_PROTOCOLS], "-t": [*_NUMBERS],
    "-m": [*_NUMBERS, "5/1", "5/", "/1", "1/0", "0/0", "0x1/0xff", "2/1", "1/abc", "1/4294967296",
           "a/b", "1/1/1"],
    "-u": [*_STATUS], "-o": [*_OUTPUT], "-z": [None],
    "-e": ["ALL", "NEW", "new", "N", "UPDATES", "UPDATE", "DESTROY", "D", "NEW,DESTROY", "NEW,",
           "", "X", "A"],
    "-f": ["ipv4", "ipv6", "IPv4", "IPV6", "inet", "4", "", "ipv", "ipv4 ", "i"],
    "-i": ["0", "7", "", "abc", "4294967296"], "-c": [*_FEW], "-w": [*_NUMBERS],
    "--orig-zone": [*_FEW, "8"], "--reply-zone": [*_FEW, "9"],
    "-n": [*_NATS], "-g": ["", "4.4.4.4", "4.4.4.4:80", "9.9.9.9", "[::1]"],
    "-j": ["", "3.3.3.3", "4.4.4.4:80", "5.5.5.5"], "-b": [*_FEW, "1000000"],
    "-l": ["a", "", "1", "a,b"], "--label-add": ["a", ""], "--label-del": ["a", "", None],
    "-a": ["x", ""], "--mask-src": ["255.255.255.0", "0.0.0.0", "255.0.255.0", "24", "", "::"],
    "--mask-dst": ["255.255.0.0", ""], "--tuple-src": ["1.1.1.1", "", "::"],
    "--tuple-dst": ["2.2.2.2"], "--labelmap": ["connlabel.conf", "nowhere.conf", ""],
}  # fmt: skip
_PORTS = ["20", "0", "65535", "65536", "", "ssh", "-1", "0x14", "020", "4294967316", "20 ", "+20"]
_STATES = ["ESTABLISHED", "E", "NONE", "LISTEN", "SYN_SENT", "SYN_SENT2", "", "X", "TIME_WAIT",
           "ESTABLISHED,TIME_WAIT", "SYN"]  # fmt: skip
#: the same for the options of each protocol
_OWN: dict[str, dict[str, list[str]]] = {
    "tcp": {"--sport": _PORTS, "--dport": _PORTS, "--state": _STATES, "--orig-port-src": ["10"],
            "--reply-port-src": ["20", "a"], "--reply-port-dst": ["10"], "--mask-port-src": ["5"],
            "--tuple-port-src": ["5"], "--icmp-type": ["8"], "--srckey": ["5"]},
    "udp": {"--sport": ["13", "x", "65536"], "--dport": ["53"], "--state": ["ESTABLISHED"]},
    "udplite": {"--sport": ["15", "x"], "--state": ["ESTABLISHED"]},
    "icmp": {"--icmp-type": [*_NUMBERS, "8", "echo-request"], "--icmp-code": _NUMBERS,
             "--icmp-id": [*_NUMBERS, "1226"], "--sport": ["5"]},
    "icmpv6": {"--icmpv6-type": ["128", "x", "256"], "--icmpv6-code": ["0", "256"],
               "--icmpv6-id": ["77", "x", "65536"]},
    "gre": {"--srckey": [*_NUMBERS, "0x1234"], "--dstkey": ["0x4321", "x", "65536"],
            "--reply-key-src": ["5"], "--sport": ["5"]},
    "sctp": {"--state": ["ESTABLISHED", "COOKIE_WAIT", "NONE", "X", ""],
             "--orig-vtag": ["1234", "x", "4294967295", "4294967296", ""],
             "--reply-vtag": ["5678"], "--sport": ["17"]},
    "dccp": {"--state": ["OPEN", "REQUEST", "NONE", "X", ""],
             "--role": ["client", "server", "CLIENT", "c", ""]},
    "47": {"--srckey": ["5"]}, "200": {"--sport": ["5"]},
}  # fmt: skip
_NEW = "-p udp -s 7.1.1.1 -d 7.2.2.2 --sport 1 --dport 2 -t 500"
_ADDED = shlex.split(f"-I {_NEW}")
_OLD = "-p udp -s 1.1.1.1 -d 2.2.2.3 --sport 13 --dport 53"
_EXPECTED = ("-p tcp -s 1.1.1.1 -d 2.2.2.2 --sport 10 --dport 20 --tuple-src 4.4.4.4 "
             "--tuple-dst 5.5.5.5 --mask-src 255.255.255.255 --mask-dst 255.255.255.255 "
             "--tuple-port-src 30 --tuple-port-dst 40 --mask-port-src 50 --mask-port-dst 60 "
             "-t 500")  # fmt: skip
_MISSING = "-p tcp -s 1.1.1.1 -d 2.2.2.2 --sport 10 --dport 20"
#: commands and the words that they require
_COMMANDS = {
    "-L": "", "-D": "", "-U -m 77": "-s 1.1.1.1", "-E": "", "-G": _OLD,
    "-I -u SEEN_REPLY": _NEW, "-A": _NEW,
    "-A -m 3": f"{_OLD} -t 500", "-C": "", "-S": "", "-F": "",
    "-L expect": "", "-E expect": "", "-G expect": _MISSING, "-D expect": _MISSING,
    "-I expect": _EXPECTED, "-C expect": "", "-S expect": "", "-F expect": "",
    "-U expect": "-m 5", "-A expect": _EXPECTED,
    "-L dying": "", "-L unconfirmed": "", "-D dying": "", "-F dying": "", "-C unconfirmed": "",
    "-E dying": "", "-S unconfirmed": "", "-G dying": _OLD, "-I dying": _NEW, "-U -m 7": "",
}  # fmt: skip
#: for these, every n-th value of each option; for the others, one
_STRIDES = {"-L": 1, "-I -u SEEN_REPLY": 3, "-D": 4, "-U -m 77": 4, "-E": 5, "-G": 6, "-A": 6,
            "-A -m 3": 8, "-I expect": 8}  # fmt: skip
#: commands without such a table: every third option
_STRAY = {"-U expect", "-A expect", "-D dying", "-F dying", "-C unconfirmed", "-E dying",
          "-S unconfirmed", "-G dying", "-I dying"}  # fmt: skip
_LONG = (
    "src", "orig-src", "dst", "orig-dst", "reply-src", "reply-dst", "protonum", "proto", "timeout",
    "status", "zero", "event-mask", "tuple-src", "tuple-dst", "mask-src", "mask-dst", "nat-range",
    "mark", "secmark", "id", "family", "src-nat", "dst-nat", "any-nat", "output", "buffer-size",
    "zone", "orig-zone", "reply-zone", "label", "label-add", "label-del", "labelmap",
    "dump", "create", "delete", "update", "flush", "get", "event", "counter", "stats", "load-file",
    "version", "help", "add", "sport", "dport", "orig-port-src", "reply-port-src", "state",
)  # fmt: skip
#: words to be tried in every order
_ORDERS = [
    ["-L", "-p tcp", "--dport 20", "-s 1.1.1.1"], ["-D", "-p tcp", "--dport 20", "-s 1.1.1.1"],
    ["-U", "-m 9", "-s 1.1.1.1", "-p tcp"], ["-L", "conntrack", "-p udp", "-o extended"],
    ["-L", "-s 1.1.1.0/24", "--mask-src 255.255.0.0"], ["-D", "-f ipv6", "-p tcp"],
    ["-L", "-f ipv6", "-s 1.1.1.1"], ["-D", "expect", _MISSING],
    ["-L", "-u ASSURED", "-u !ASSURED"],
    ["-I", _NEW, "-n 9.9.9.9", "-u ASSURED"], ["-A", _OLD, "-t 500", "-m 9"],
    ["-G", _OLD, "-o xml"],
    ["-L", "--labelmap connlabel.conf", "-l a"], ["-L", "-o id", "-o extended", "-o xml"],
    ["-F", "conntrack", "-f ipv6"], ["-L", "-p tcp", "-p udp", "--dport 53"],
    ["-L", "-n", "-p tcp"], ["-D", "-g", "-p udp"], ["-C", "conntrack"], ["-L", "-C"],
    ["-E", "-p tcp", "--dport 20", "-e NEW"], ["-E", "-o id", "-b 70000"],
]  # fmt: skip
#: cases from the list of differences that are missing above
_MORE = (
    "-D -s 1.1.1.1/", "-U -m 77 -s 1.1.1.1/", "-L -s 1.1.0.0/16 -s 1.1.1.1",
    "-D -s 1.1.0.0/16 -s 1.1.1.1", "-U -t 700 -p udp -s 1.1.1.1 -d 2.2.2.3",
    "-U -m 77 -p tcp --dport 20 -d 2.2.2.9", "-U -p sctp --state SHUTDOWN_SENT -d 2.2.2.5",
    "-U -m 77 -s 1.1.1.3", "-L -n3.3.3.3", "-L --src-nat=3.3.3.3", "-L -j5.5.5.5",
    "-L expect --dump=conntrack",
)  # fmt: skip
_TWICE: dict[str, list[str | None]] = {
    "-s": ["1.1.1.1", "1.1.1.9", "1.1.0.0/16", "::1"], "-d": ["2.2.2.2", "2.2.2.3"],
    "-r": ["2.2.2.2", "2.2.2.3"], "-p": ["tcp", "udp"], "-m": ["5", "0x15", "0x10/0x10"],
    "-u": ["ASSURED", "SEEN_REPLY", "UNREPLIED", "!ASSURED", "FIXED_TIMEOUT"],
    "-f": ["ipv4", "ipv6"], "-w": ["0", "7"], "--orig-zone": ["8", "0"],
    "-n": ["3.3.3.3", "5.5.5.5"], "-g": ["4.4.4.4", "9.9.9.9"], "-j": ["3.3.3.3", "4.4.4.4"],
    "-o": ["extended", "id", "xml", "save"],
    "-t": ["500", "700"], "-i": ["0", "7"], "-e": ["NEW", "DESTROY"], "-b": ["70000", "80000"],
    "--mask-src": ["255.0.0.0", "255.255.255.255"], "-l": ["a", "b"], "-a": ["x", "y"],
    "--labelmap": ["connlabel.conf", "nowhere.conf"], "-c": ["0", "7"], "-z": [None],
    "--label-add": ["a"], "--label-del": ["a"],
}  # fmt: skip


def _joined(*parts: list[str]) -> str:
    return shlex.join([word for part in parts for word in part])


def _without(words: list[str], option: str) -> list[str]:
    if option not in words:
        return words
    index = words.index(option)
    return words[:index] + words[index + 2 :]


def _some(values: list[_T], command: int, stride: int) -> list[_T]:
    """Return every ``stride``-th value, starting at another for each command."""
    return values[command % min(stride, len(values)) :: stride]


def lines() -> list[str]:
    """Return the command lines, each once."""
    found: list[str] = []
    for number, (head, more) in enumerate(_COMMANDS.items()):
        verb, base = head.split(), more.split()
        found.append(_joined(verb, base))
        stride = _STRIDES.get(head, 1000)
        for option, values in _some(list(_VALUES.items()), number, 3 if head in _STRAY else 1):
            rest = _without(base, option)
            for value in _some(values, number, stride):
                found.append(_joined(verb, rest, [option] if value is None else [option, value]))
            if head == "-L" and values[0] is not None:
                found.append(_joined(verb, [option + "=" * option.startswith("--") + values[0]]))
        ends = ["-s", "7.1.1.1", "-d", "7.2.2.2", "-t", "500"]
        addresses = {"-I": ends, "-A": ends, "-G": ends[:4]}.get(verb[0], [])
        own = [(protocol, *each) for protocol, all in _OWN.items() for each in all.items()]
        for protocol, option, texts in _some(own, number, 1 if stride < 5 else 6):
            for text in _some(texts, number, stride):
                found.append(_joined(verb, ["-p", protocol], addresses, [option, text]))
    for number, head in enumerate(("-L", "-D", "-U -m 77", "-A", "-E")):
        verb, base = head.split(), _COMMANDS[head].split()
        for option, twice in _TWICE.items():
            pairs = [(one, two) for one in twice for two in twice]
            for one, two in _some(pairs[1:] or pairs, number, 5):
                both = [word for word in (option, one, option, two) if word is not None]
                found.append(_joined(verb, _without(base, option), both))
    for parts in _ORDERS:
        found += [_joined(*map(str.split, order)) for order in _permuted(parts)]
    for number, name in enumerate(_LONG):
        found += [f"-L -p tcp --{name[:length]} 5" for length in {1 + number % 4, len(name)}]
    return list(dict.fromkeys([*found, *_MORE]))


def _permuted(parts: list[str]) -> Iterator[list[str]]:
    if len(parts) < 2:
        yield parts
    for index, part in enumerate(parts):
        for rest in _permuted(parts[:index] + parts[index + 1 :]) if len(parts) > 1 else ():
            yield [part, *rest]


# -- the stage -----------------------------------------------------------------------------

_CHANGING = [
    (re.compile(r"\buse=\d+"), "use=N"),
    (re.compile(r"(?<=[a-z]=)\d+(?=.*clash_resolve=|.*expect_delete=| chaintoolong=)"), "N"),
    (re.compile(r"(?<!code=\d )\bid=\d+(?=[ \n]|$)"), "id=N"),
    (re.compile(r"portid=\d+( progname=\S+)?"), "portid=N"),
    (re.compile(r"\[\d{9,}\.\d+\s*\]"), "[TIME]"),
    (re.compile(r"<(use|when)>.*?</\1>"), r"<\1/>"),
    (re.compile(r"<id>\d+</id>(?=</meta>|<)"), "<id/>"),
]
_TIMEOUT = re.compile(
    r"(?m)(^(?:\[TIME\]\t)?(?:\s*\[[A-Z]+\] )?(?:ipv[46]\s+\d+ )?[a-z]\S*\s+\d+ |<timeout>|^-\w -t "
    r"|^\d+(?= (?:l3proto = \d+ )?proto=))(\d+)"
)
_READING = re.compile(r"-[LGCS]\b|-E\b.*-[LGCS]\b")  # commands that change nothing
_COUNT = re.compile(r"\d+ (?:flow|expectation).*")


def _plain(text: str) -> str:
    """Return the sorted lines of ``text``; values that differ from run to run are replaced."""
    for pattern, instead in _CHANGING:
        text = pattern.sub(instead, text)
    text = _TIMEOUT.sub(lambda match: f"{match[1]}{-(-int(match[2]) // 20) * 20}", text)
    return "\n".join(sorted(filter(None, text.splitlines())))


class Stage:
    """A table that is restored before each command that runs on it."""

    def __init__(self, start: Callable[[list[str]], None]) -> None:
        self._start = start
        self._transport = Transport()
        rows = (CASES / "table.txt").read_text(encoding="utf-8").splitlines()
        flows = [parse(row.split()) for row in rows if not row.startswith("#")]
        for flow in flows:  # the middle of 20 seconds, as seconds may pass
            flow.opts["timeout"] += 10 - flow.opts["timeout"] % 20
        self._make = [request.create(*flow_values(flow)) for flow in flows]
        self._change = [
            request.update({**flow_tuple(flow)[0], "mark": 99}, flow_tuple(flow)[1])
            for flow in flows[3:7]
        ]
        self._format = Formatter(Writer(["extended"], None).pieces)
        self._look = [request.get(*flow_tuple(flow)) for flow in (*flows, parse(_ADDED))]
        self._delete = [request.delete(*flow_tuple(flow)) for flow in flows]
        self._out = os.memfd_create("out")
        self._err = os.memfd_create("err")
        self._fill()
        self._fresh = self._table()

    def _send(self, requests: list[request.Request]) -> bool:
        """Send ``requests``; return whether all succeeded, or failed with ENOENT."""
        failures = call(self._transport, batch(requests))[0]
        return all(failure.errno == errno.ENOENT for failure in failures)

    def _fill(self) -> None:
        """Restore the table entry by entry (a flush walks all buckets)."""
        if not self._send([*self._delete, *self._make]) or _count() != len(self._make):
            self._send([request.flush(), request.expect_flush()])
            if not self._send(self._make) or _count() != len(self._make):
                raise RuntimeError("the table cannot be made")

        self._made = time.monotonic()

    def _table(self) -> str:
        """Return the entries; dump (which walks all buckets) only if one is new."""
        answers = call(self._transport, batch(self._look))[1]
        found = self._format(of_messages([message for _, message in answers])).decode()
        if len(answers) != _count():
            self._wait(self._fork(["-L", "-o", "extended"], _ours))
            found = _content(self._out)
        self._wait(self._fork(["-L", "expect"], _ours))
        return _plain(found + _content(self._out))

    def outcome(self, line: str) -> Outcome:
        """Run a command line on the fresh table."""
        words = shlex.split(line)
        events = "-E" in words or "--event" in words
        if events:
            self._send(self._delete)  # whether these cause events depends on the past
        status = self._wait(self._fork(words, self._start), events)
        printed, told = _content(self._out), _content(self._err)
        printed = _plain(printed)
        if count := _COUNT.search(told):
            printed += f"\n({count[0]})"
        table = ""
        if _count() != len(self._make) or (status != 2 and not _READING.match(line)):
            table = self._table()
            self._made = 0.0
        if time.monotonic() > self._made + 3:  # so that rounded timeouts stay the same
            self._fill()
        if " expect" in line:
            self._send([request.expect_flush()])
        return Outcome(status, printed, "" if table == self._fresh else table)

    def _fork(self, words: list[str], start: Callable[[list[str]], None]) -> int:
        os.ftruncate(self._out, 0)
        os.ftruncate(self._err, 0)
        child = os.fork()
        if child:
            return child
        code = 111
        try:
            os.lseek(self._out, 0, os.SEEK_SET)
            os.lseek(self._err, 0, os.SEEK_SET)
            nothing = os.open("/dev/null", os.O_RDONLY)
            for number, file in enumerate((nothing, self._out, self._err)):
                os.dup2(file, number)
            os.chdir(CASES)
            start(words)
        except BaseException as error:
            os.write(2, repr(error).encode())
        finally:
            os._exit(code)

    def _wait(self, child: int, events: bool = False) -> int:
        end, told, step = time.monotonic() + PATIENCE, False, 0.0005
        while not (done := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() > end:
                os.kill(child, signal.SIGKILL)
            elif events and not told and (groups := _subscribed()):
                time.sleep(0.01)
                if _subscribed() != groups:
                    continue  # groups are joined one after the other
                self._send([*self._make, *self._change, *self._delete])
                while any(waiting for _, waiting in _subscribed()):
                    time.sleep(step)
                time.sleep(0.01)  # received events are printed
                os.kill(child, signal.SIGINT)
                told = True
            time.sleep(step)
        return os.waitstatus_to_exitcode(done[1])


def _count() -> int:
    path = Path("/proc/sys/net/netfilter/nf_conntrack_count")
    return int(path.read_text(encoding="ascii"))


def _subscribed() -> list[tuple[int, int]]:
    """Return the groups of each netfilter event socket, and the bytes that wait there."""
    text = Path("/proc/self/net/netlink").read_text(encoding="ascii")
    rows = [row.split() for row in text.splitlines()[1:]]
    found = [(int(row[3], 16), int(row[4])) for row in rows if row[1] == "12"]
    return [(groups, waiting) for groups, waiting in found if groups]


def _content(file: int) -> str:
    data = os.pread(file, os.fstat(file).st_size, 0)
    return data.decode(errors="backslashreplace")


def _ours(words: list[str]) -> None:
    os._exit(run(words, None))


# -- the file ------------------------------------------------------------------------------


def read(text: str) -> dict[str, Outcome]:
    """Return the outcome of each command line of a file that :func:`write` wrote."""
    lines, numbers, rows = (part.split("\n") for part in text.split("\f\n"))
    texts = ["\n".join(rows[int(number)] for number in each.split()) for each in numbers]
    found = {}
    for row in filter(None, lines):
        status, out, table, line = row.split(" ", 3)
        found[line] = Outcome(int(status), texts[int(out)], texts[int(table)])
    return found


def write(outcomes: dict[str, Outcome]) -> str:
    """Return the outcomes as text of three parts.

    A line for each command: status, numbers of output and table, the command; for each of these
    texts, by its number, the numbers of its rows; each distinct row once.
    """
    texts: dict[str, int] = {}
    rows: dict[str, int] = {}
    lines = []
    for line, (status, out, table) in outcomes.items():
        numbers = [texts.setdefault(text, len(texts)) for text in (out, table)]
        lines.append(f"{status} {numbers[0]} {numbers[1]} {line}\n")
    composed = [
        " ".join([str(rows.setdefault(row, len(rows))) for row in text.split("\n")])
        for text in texts
    ]
    return "\f\n".join(["".join(lines), "\n".join(composed), "\n".join(rows)])


def main(arguments: list[str]) -> None:
    """Print the command lines, or the outcomes of those on standard input."""
    if arguments == ["lines"]:
        print("\n".join(lines()))
        return
    os.environ.update(LC_ALL="C.UTF-8", TZ="UTC", OPENBLAS_NUM_THREADS="1")
    if arguments == ["run"]:
        for module in pkgutil.iter_modules(pyconntrack.cli.__path__):
            importlib.import_module(f"pyconntrack.cli.{module.name}")
        stage = Stage(_ours)
    else:
        stage = Stage(lambda words: os.execvp(arguments[1], ["conntrack", *words]))
    sys.stdout.write(write({line: stage.outcome(line) for line in sys.stdin.read().splitlines()}))


if __name__ == "__main__":
    main(sys.argv[1:])
