"""What does not print is escaped, wherever it comes from and whatever it goes to."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconntrack.cli.commands import events
from pyconntrack.cli.main import main
from pyconntrack.columnar.render import Bulk
from pyconntrack.ctnetlink.constants import (
    ct_msg,
    exp_msg,
)
from pyconntrack.ctnetlink.encode import encode
from pyconntrack.ctnetlink.layout import find
from pyconntrack.ctnetlink.schema import CONNTRACK, EXPECT
from pyconntrack.errors import kernel_error
from pyconntrack.escape import LONGEST, message, printable
from pyconntrack.formats.registry import Writer
from pyconntrack.formats.segments import compile_line
from pyconntrack.model import Expect, Flow, Tuple
from pyconntrack.netlink.messages import message as frame
from pyconntrack.netlink.socket import Transport
from pyconntrack.where.fields import FIELDS
from support.batches import formatted
from support.ctool import environment, ours

#: a terminal's commands, C1, DEL, a change of direction, a line's end, XML's own characters
WILD = "\x1b[31mred\x07\x9b\x7f\u202e\n<a & b>\ufffe\"',"
RAW = st.binary(max_size=40).map(lambda raw: raw.replace(b"\0", b""))
LABELS = {0: WILD, 1: "plain"}


@given(st.text())
def test_what_is_printable_stays_and_all_becomes_so(text: str) -> None:
    found = printable(text)
    assert found.isprintable()
    assert printable(found) == found
    if text.isprintable():
        assert found == text


def test_escapes() -> None:
    assert printable("a\x1bb\x9f\u202e\U000e0001\udcff\n") == (
        r"a\x1bb\x9f\u202e\U000e0001\xff\x0a"
    )


@pytest.mark.parametrize("text", ["\x1b", "a", "ü", "\udcff"])
def test_a_long_message_keeps_its_ends(text: str) -> None:
    found = message("`" + text * 10**6 + "': a number is wanted")
    assert found.endswith("': a number is wanted")
    assert found.startswith(printable("`" + text * 100))
    assert len(found) <= 4 * LONGEST + 100


def flow(helper: bytes) -> Flow:
    ends = Tuple("10.0.0.1", "10.0.0.2", "tcp", 1, 2)
    made = Flow(ends, ends.inverted(), status=0, labels=[0, 1])
    raw = {**made._values(), "helper": helper, "secctx": helper}
    return Flow.from_message(frame(ct_msg(0), 0, 0, 2, encode(CONNTRACK, raw, 2)))


def expectation(helper: bytes) -> Expect:
    raw = {"tuple_proto": 6, "helper": helper, "fn": helper}
    return Expect.from_message(frame(exp_msg(0), 0, 0, 2, encode(EXPECT, raw, 2)))


OPTIONS = [(), ("extended", "id"), ("save",), ("xml",), ("json",), ("ndjson",), ("csv",)]


@given(st.sampled_from(OPTIONS), st.sampled_from(["", "new"]), RAW | st.just(WILD.encode()))
def test_strings_of_the_kernel(options: tuple[str, ...], event: str, raw: bytes) -> None:
    for entry in (flow(raw + b"\0"), expectation(raw + b"\0")):
        expect = isinstance(entry, Expect)
        writer = Writer(options, LABELS, expect=expect, events=bool(event))
        layout = find(entry.message)
        line = compile_line(writer.pieces(layout, event), layout)(layout.unpack(entry.message))
        assert line.isprintable()
        bulk = Bulk(lambda layout, writer=writer: writer.pieces(layout, event))  # type: ignore[misc]
        many = formatted(bulk, entry.message * 20)
        text = many[0].decode().splitlines()
        assert len(text) == 20
        if event != "new" or options not in (("json",), ("ndjson",), ("csv",)):  # they have a time
            assert set(text) == {line}
        if options == ("xml",):
            found = ElementTree.fromstring(line).find(".//helper-name" if expect else "helper")
            want = printable(raw.decode("utf-8", "backslashreplace"))
            assert found is not None
            assert (found.text or "") == want
        if options == ("ndjson",):
            assert json.loads(line)["helper"] == raw.decode("utf-8", "backslashreplace")
        if options == ("csv",):
            (cells,) = csv.reader(io.StringIO(line))
            assert printable(raw.decode("utf-8", "backslashreplace")) in cells


def test_values_as_text() -> None:
    for entry in (flow(WILD.encode() + b"\0"), expectation(WILD.encode() + b"\0")):
        assert str(entry).isprintable()
        assert repr(entry).isprintable()
        assert entry.helper == WILD


def test_words_of_the_kernel() -> None:
    assert str(kernel_error(22, "adding", "no\x1b[2Jroom")).endswith(r"no\x1b[2Jroom")


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize("word", [WILD.encode(), b"\xff\xfe", b"~" * 100_000, b"\x85\xc2\x85"])
@pytest.mark.parametrize(
    "words", ["-L {}", "-L -p {}", "-D -s {}", "-{}", "--{}", "-L -m {}", "-L --where {}",
              "-L -o {}", "-L --state {}", "-R {}", "-L --from-file {}", "{}", "-I {}",
              "-L -l {}", "-L -f {}", "-U -u {}", "-E -e {}", "-L --mark={}"]
)  # fmt: skip
def test_words_of_the_command_line(
    words: str, word: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = [part.replace("{}", os.fsdecode(word)) for part in words.split(" ")]
    code = main(arguments)
    out, err = capfd.readouterr()
    assert out == ""
    assert code in (1, 2)  # as conntrack(8) has it
    lines = err.split("\n")
    assert lines.pop() == ""
    assert 1 <= len(lines) <= 3
    assert all(line.isprintable() and len(line) <= 4 * LONGEST for line in lines), lines


def test_arguments_that_are_no_text() -> None:
    argv = [sys.executable.encode(), b"-m", b"pyconntrack", b"-L", b"-p", b"\xff\x1b"]
    done = subprocess.run(argv, capture_output=True, env=environment(), timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert rb"`\xff\x1b'" in done.stderr


@pytest.mark.usefixtures("netns")
def test_words_of_a_file() -> None:
    done = ours("-R", "-", stdin=f"-I -s {WILD!s}".replace("\n", "") + "\n")
    assert (done.rc, done.out) == (2, "")
    assert done.err.replace("\n", "").isprintable()
    done = ours("-R", "-", stdin="-I -p tcp --state " + "x" * 1_000_000 + "\n")
    assert (done.rc, done.out) == (2, "")
    assert len(done.err) < 2 * LONGEST


@pytest.mark.usefixtures("netns")
def test_names_of_processes() -> None:
    with open("/proc/self/comm", "rb+", buffering=0) as comm:
        before = comm.read()
        comm.write(b"\x1b[2J\xff\n\x9b")
        try:
            link = Transport()
            port = next(
                int(row.split()[2])
                for row in Path("/proc/net/netlink").read_text().splitlines()[1:]
                if row.split()[9] == os.readlink(f"/proc/self/fd/{link.fileno()}")[8:-1]
            )
            assert events._program(port) == r"\x1b[2J\xff\x0a\x9b"
            link.close()
        finally:
            comm.write(before)


@pytest.mark.parametrize("csv", [True, False])
def test_strings_in_a_table_of_columns(csv: bool) -> None:
    entry = flow(b"\x1b[2J,\r\n\t\0")
    layout = find(entry.message)
    columns = [(name, FIELDS[name]) for name in ("helper", "family")]
    writer = Writer(["csv" if csv else "table"], None, columns=columns)
    pieces = writer.table.cells if writer.table is not None else writer.pieces
    line = compile_line(pieces(layout), layout)(layout.unpack(entry.message))
    assert line.replace("\t", "", 0 if csv else 1).isprintable()
    assert line.endswith(",ipv4" if csv else "\tipv4")
