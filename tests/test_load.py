"""-R: what is read, what is sent for it, and what is reported."""

from __future__ import annotations

import io
import random
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconntrack.cli import checked as module
from pyconntrack.cli.build import flow_values
from pyconntrack.cli.checked import BadLine, Checked, words
from pyconntrack.cli.parse import UsageError, parse
from pyconntrack.errors import ConntrackError
from pyconntrack.request import add, create
from pyconntrack.session import BATCH_MESSAGES
from pyconntrack.wire.consts import NLM_F_ACK, NLM_F_REQUEST
from pyconntrack.wire.frame import message, split
from support.ctool import normalise, ours, theirs
from support.netns import Namespace, fresh_netns

Steps = list[tuple[int, list[str] | bytes]]


def by_parser(data: bytes) -> Steps:
    """What a file means, by the parser alone: (line, message or words)."""
    out: Steps = []
    for number, raw in enumerate(data.split(b"\n"), 1):
        line = raw.decode("utf-8", "surrogateescape").rstrip("\r\n").lstrip(" \t")
        if not line or line[0] == "#":
            continue
        try:
            command = parse(words(line), in_file=True)
            if command.verb not in ("create", "add"):
                out.append((number, words(line)))
                continue
            values, family = flow_values(command)
            request = (create if command.verb == "create" else add)(values, family)
        except (UsageError, ConntrackError):
            return [(number, b"bad")]
        flags = request.flags | NLM_F_REQUEST
        out.append((number, message(request.kind, flags, number, family, request.payload)))
    return out


def by_load(data: bytes, block: int) -> Steps:
    """The same by the module; checks the frame of each batch on the way."""
    before = module._BLOCK
    module._BLOCK = block
    try:
        with Checked() as checked:
            checked.read(io.BytesIO(data))
            return kept(checked)
    except BadLine as bad:
        return [(bad.number, b"bad")]
    finally:
        module._BLOCK = before


def kept(checked: Checked) -> Steps:
    """The messages and commands of a checked file, the acknowledgements taken back."""
    out: Steps = []
    creations = 0
    for number, what in checked.steps():
        if isinstance(what, list):
            out.append((number, what))
            continue
        parts = list(split(what))
        assert len(parts) <= BATCH_MESSAGES
        assert parts[-1][4] == number
        for at, (pos, length, _, flags, line) in enumerate(parts):
            assert bool(flags & NLM_F_ACK) == (at == len(parts) - 1)
            single = bytearray(what[pos : pos + length])
            single[6:8] = (flags & ~NLM_F_ACK).to_bytes(2, sys.byteorder)
            out.append((line, bytes(single)))
            creations += 1
    assert creations == checked.creations
    return out


def four(rng: random.Random) -> str:
    return ".".join(str(rng.choice((0, 1, 10, 99, 100, 255, rng.randrange(256)))) for _ in "1234")


def six(rng: random.Random) -> str:
    return rng.choice((f"2001:db8::{rng.randrange(65536):x}", "::1", "fe80::1:2", "::ffff:1.2.3.4"))


def port(rng: random.Random) -> str:
    return str(rng.choice((0, 1, 80, 65535, rng.randrange(65536))))


ODD_NUMBERS = (
    "", "00", "08", "010", "0x10", "+5", "-5", "1_0", "65536", "4294967295", "4294967296",
    "99999999", "100000000", "0000000080", "12345678901", "5/0xff", "5 ", "1.5", "٣", "1\r", ":5",
)  # fmt: skip
ODD_ADDRESSES = (
    "1.1.1", "1.1.1.256", "01.1.1.1", "0x1.1.1.1", "1.1.1.1.1", "1.1.1.1/24", "1.1.1.1/32", "1",
    "1..1.1", "1.1.1.", ".1.1.1", "1.1.1.1.", "1.1.1.1x", '"1.1.1.1 x"', "::", "::1", "1::2::3",
    "::1%lo", "1.1.1.0001", "1.1 1.1",
)  # fmt: skip


def flow_line(rng: random.Random) -> str:
    """A line that creates a flow, of any protocol."""
    address = rng.choice((four, four, six))
    shape = rng.choice(("tcp", "udp", "icmp", "gre", "sctp", "dccp", "udplite", "99", "icmpv6"))
    ports = f"--sport {port(rng)} --dport {port(rng)}"
    own = {
        "tcp": f"{ports} --state {rng.choice(('ESTABLISHED', 'TIME_WAIT'))}",
        "icmp": f"--icmp-type 8 --icmp-code 0 --icmp-id {port(rng)}",
        "icmpv6": f"--icmpv6-type 128 --icmpv6-code 0 --icmpv6-id {port(rng)}",
        "gre": f"--srckey {port(rng)} --dstkey {port(rng)}",
        "sctp": f"{ports} --state ESTABLISHED --orig-vtag 5 --reply-vtag 6",
        "dccp": f"{ports} --state OPEN --role client",
        "99": "",
    }.get(shape, ports)
    parts = [
        rng.choice(("-A", "-I", "-A", "-I", "--add", "--create")),
        f"{rng.choice(('-s', '--src', '--orig-src'))} {address(rng)} -d {address(rng)}",
        f"-p {shape} {own} -t {rng.choice((0, 10, 10000, 4294967295))}",
    ]
    extras = (
        f"-m {rng.choice((0, 7, 305419896, 4294967295))}",
        f"-w {port(rng)}",
        f"--orig-zone {rng.randrange(3)}",
        f"-u {rng.choice(('ASSURED', 'SEEN_REPLY,ASSURED', 'SEEN_REPLY'))}",
        f"-n {four(rng)}:80",
        f"-r {address(rng)} -q {address(rng)}",
        f"--reply-port-src {port(rng)} --reply-port-dst {port(rng)}",
        f"--timeout {port(rng)}",
        f"--time {port(rng)}",
    )
    parts += rng.sample(extras, rng.choice((0, 0, 0, 1, 2)))
    return " ".join(parts)


def good(line: str) -> bool:
    return by_parser(line.encode()) != [(1, b"bad")]


def vary(rng: random.Random, line: str) -> str:
    """Another line of the same shape."""
    out = line.split(" ")
    for at in range(1, len(out)):
        if out[at].isdigit() and out[at - 1] not in ("-p", "--icmp-type", "--icmpv6-type"):
            out[at] = port(rng)
        elif out[at].count(".") == 3 and ":" not in out[at]:
            out[at] = four(rng)
        elif "::" in out[at] and "." not in out[at]:
            out[at] = f"2001:db8::{rng.randrange(65536):x}"
    return " ".join(out)


def spoil(rng: random.Random, line: str) -> str:
    """The line written otherwise, or wrong."""
    parts = line.split(" ")
    at = rng.randrange(len(parts))
    kind = rng.randrange(6)
    if kind == 0:
        places = [n for n, part in enumerate(parts) if part.isdigit()]
        if places:
            parts[rng.choice(places)] = rng.choice(ODD_NUMBERS)
    elif kind == 1:
        places = [n for n, part in enumerate(parts) if "." in part or "::" in part]
        parts[rng.choice(places)] = rng.choice(ODD_ADDRESSES)
    elif kind == 2:
        parts[at] = f'"{parts[at]}"'
    elif kind == 3:
        parts[at] = rng.choice((" ", "\t", "\r", "\x0b")) + parts[at]
    elif kind == 4:
        parts[at] += rng.choice((" ", "\t", "\r", "é", "\0", "."))
    else:
        del parts[at]
    return " ".join(parts)


def mixed_file(seed: int, *, spoilt: bool) -> bytes:
    rng = random.Random(seed)
    shapes: list[str] = []
    while len(shapes) < 6:
        line = flow_line(rng)
        if good(line):
            shapes.append(line)
    out = []
    for _ in range(400):
        line = vary(rng, rng.choice(shapes))
        if not good(line):
            line = rng.choice(shapes)
        if rng.random() < 0.03:
            line = rng.choice(("", "# 1.2.3.4", "-F", "-D -s 1.2.3.4", "-U -m 5 -p tcp", "  "))
        if spoilt and rng.random() < 0.05:
            odd = spoil(rng, line) if line.startswith(("-A", "-I")) else line
            # a file with an error ends there: most are to go on
            line = odd if good(odd) or rng.random() < 0.02 else line
        out.append(line)
    end = rng.choice(("\n", "\r\n"))
    return (end.join(out) + rng.choice(("", end))).encode()


@given(st.integers(0, 1 << 32), st.booleans(), st.sampled_from([300, 5000, 20000]))
def test_blocks_encode_as_the_parser_does(seed: int, spoilt: bool, block: int) -> None:
    data = mixed_file(seed, spoilt=spoilt)
    assert by_load(data, block) == by_parser(data)


@given(st.integers(0, 1 << 32))
def test_shapes_encode_as_the_parser_does(seed: int) -> None:
    data = mixed_file(seed, spoilt=True)
    assert by_load(data, 1 << 30) == by_parser(data)


TEMPLATE = "-A -s {} -d 10.0.0.2 -p tcp --sport {} --dport 443 --state ESTABLISHED -t {} -m {}"


@pytest.mark.parametrize("block", [2000, 1 << 30])
@pytest.mark.parametrize(
    ("field", "odd"),
    [(0, odd) for odd in ODD_ADDRESSES] + [(n, odd) for n in (1, 2, 3) for odd in ODD_NUMBERS],
)
def test_odd_value_is_the_parsers(field: int, odd: str, block: int) -> None:
    lines = []
    for n in range(60):
        values = [f"10.0.0.{n}", str(1000 + n), str(n), str(n)]
        if n == 50:
            values[field] = odd
        lines.append(TEMPLATE.format(*values))
    data = ("\n".join(lines) + "\n").encode()
    assert by_load(data, block) == by_parser(data)


def plain_lines(count: int) -> list[str]:
    return [TEMPLATE.format(f"10.1.{n >> 8}.{n & 255}", n, 600, n) for n in range(count)]


@pytest.mark.parametrize("block", [4000, 1 << 30])
def test_error_names_its_line(block: int) -> None:
    lines = plain_lines(300)
    lines[222] = "-A -s nonsense"
    with pytest.MonkeyPatch.context() as patch, Checked() as checked:
        patch.setattr(module, "_BLOCK", block)
        with pytest.raises(BadLine) as caught:
            checked.read(io.BytesIO("\n".join(lines).encode()))
    assert caught.value.number == 223
    assert "nonsense" in caught.value.error.message


def test_a_spool_on_disk_keeps_what_one_in_memory_does(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = plain_lines(2000)
    lines[1000:1000] = ["-D -s 10.1.0.1", "-U -m 7"]
    data = "\n".join(lines).encode()
    kept = []
    for room in (1 << 30, 5000):
        monkeypatch.setattr(module, "_SPOOL", room)
        with Checked() as checked:
            checked.read(io.BytesIO(data))
            assert isinstance(checked.spool, io.BytesIO) == (room > 5000)
            kept.append(list(checked.steps()))
    assert kept[0] == kept[1]
    assert len(kept[0]) > 2000 // BATCH_MESSAGES


def test_most_lines_of_a_large_file_do_not_reach_the_parser(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen = []
    encode = Checked._encode

    def counted(self: Checked, number: int, raw: bytes) -> bytes | list[str] | None:
        seen.append(number)
        return encode(self, number, raw)

    monkeypatch.setattr(Checked, "_encode", counted)
    assert len(by_load("\n".join(plain_lines(2000)).encode(), 20000)) == 2000
    assert len(seen) < 50


@pytest.mark.parametrize("block", [4000, 1 << 30])
def test_warning_is_printed_once(block: int, capfd: pytest.CaptureFixture[str]) -> None:
    lines = [line + " -u SRC_NAT" for line in plain_lines(100)]
    assert len(by_load("\n".join(lines).encode(), block)) == 100
    assert capfd.readouterr().err == "WARNING: ignoring SRC_NAT, use --src-nat instead\n"


def test_failing_lines_are_reported_and_the_others_loaded(
    netns: Namespace, tmp_path: Path
) -> None:
    lines = [line.replace("-A", "-I", 1) for line in plain_lines(12000)]
    lines[10500] = lines[7]
    lines.insert(11000, "-D -p tcp --sport 5 -s 10.1.0.5")
    file = tmp_path / "flows"
    file.write_text("\n".join(lines) + "\n")
    done = ours("-R", str(file))
    assert done.rc == 1
    (error,) = done.err.splitlines()
    assert "line 10501: Operation failed: Such conntrack exists" in error
    assert ours("-C").out.strip() == str(12000 - 2)


def test_error_loads_nothing(netns: Namespace, tmp_path: Path) -> None:
    file = tmp_path / "flows"
    file.write_text("\n".join([*plain_lines(12000), "-A -s x"]) + "\n")
    done = ours("-R", str(file))
    assert done.rc == 2
    assert "line 12001: " in done.err
    assert ours("-C").out.strip() == "0"


def test_table_is_that_of_the_c_tool(tmp_path: Path, netns: Namespace) -> None:
    rng = random.Random(7)
    shapes: list[str] = []
    while len(shapes) < 40:
        line = flow_line(rng).replace(" --time ", " -t ")
        # of a reply direction given in part the tools make different things
        if good(line) and " -r " not in line and "--reply-port" not in line:
            shapes.append(line)
    lines = [vary(rng, rng.choice(shapes)) for _ in range(12000)]
    file = tmp_path / "flows"
    # no entry is to end before it is listed
    lines = [re.sub(r"(-t|--timeout) \d+", r"\1 10000", line) for line in lines if good(line)]
    file.write_text("\n".join(lines) + "\n")
    with fresh_netns():
        # what the kernel refuses ends the C tool's run: it is left out
        refused = {int(n) - 1 for n in re.findall(r"line (\d+): ", ours("-R", str(file)).err)}
    lines = [line for n, line in enumerate(lines) if n not in refused]
    file.write_text("\n".join(lines) + "\n")
    assert len(lines) > 8000
    tables = []
    for tool in (ours, theirs):
        with fresh_netns():
            done = tool("-R", str(file))
            assert done.rc == 0, done.err[-500:]
            tables.append(normalise(theirs("-L", "-o", "extended").out))
    assert tables[0].count("\n") == len(lines)
    assert tables[0] == tables[1]
