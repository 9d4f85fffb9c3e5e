"""Faults of the C tool that we do not copy (acceptance/README.md), a test each."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from support import CASES
from support.ctool import Result, environment, ours, ours_argv
from support.netns import Namespace
from support.traffic import track

TABLE = (CASES / "table.txt").read_text(encoding="utf-8")


@pytest.fixture
def table(netns: Namespace) -> None:
    """The entries of cases/table.txt, in a namespace of the test's own."""
    track()
    assert ours("-R", "-", stdin=TABLE).rc == 0


def done(*words: str) -> str:
    """Standard output of a command that succeeds."""
    result = ours(*words)
    assert result.rc == 0, result.err
    return result.out


def count(*words: str) -> int:
    return len(done("-L", *words).splitlines())


pytestmark = pytest.mark.usefixtures("table")


def test_only_the_unreplied_are_deleted() -> None:
    replied, unreplied = count("-u", "SEEN_REPLY"), count("-u", "UNREPLIED")
    assert replied
    assert len(done("-D", "-u", "UNREPLIED").splitlines()) == unreplied
    assert (count("-u", "UNREPLIED"), count()) == (0, replied)


def test_a_negated_status_filters_deletions() -> None:
    assured = count("-u", "ASSURED")
    done("-D", "-u", "!ASSURED")
    assert count() == count("-u", "ASSURED") == assured > 0


def test_an_update_reaches_all_zones() -> None:
    assert len(done("-U", "-s", "1.1.1.3", "-m", "4").splitlines()) == 3
    marked = done("-L", "-m", "4")
    assert all(word in marked for word in (" zone=7", "zone-orig=8", "zone-reply=9"))


def test_the_address_of_an_ipv6_nat_filter_counts() -> None:
    assert ours("-D", "-n", "2001:db8::77").rc == 1
    assert len(done("-D", "-n", "2001:db8::99").splitlines()) == 1


@pytest.mark.parametrize("option", ["-n3.3.3.3", "--src-nat=3.3.3.3", "--any-nat=3.3.3.3:1234"])
def test_an_attached_value_counts(option: str) -> None:
    assert "dst=3.3.3.3" in done("-L", option)
    assert count(option) == 1


def test_an_attached_table_counts() -> None:
    assert ours("--dump=expect").err.endswith("0 expectations have been shown.\n")


def test_all_labels_of_a_list_count() -> None:
    nft_label = "table inet l { chain c { type filter hook output priority 0; ct label set 5; }; }"
    subprocess.run(["nft", "-f", "-"], input=nft_label, text=True, check=True)
    flow = "-s 9.1.1.1 -d 9.1.1.2 -p udp --sport 1 --dport 2 -t 99 --label-add 3,7"
    done("-I", *flow.split())
    assert (count("-l", "3,7"), count("-l", "3,8"), count("-l", "7")) == (1, 0, 1)
    done("-U", "-s", "9.1.1.1", "--label-add", "9")
    assert count("-l", "3,7,9") == 1, "adding a label keeps the others"
    done("-U", "-s", "9.1.1.1", "--label-del=3,9")
    assert (count("-l", "7"), count("-l", "3"), count("-l", "9")) == (1, 0, 0)
    done("-U", "-s", "9.1.1.1", "--label-del")
    assert count("-l", "7") == 0


@pytest.mark.parametrize("lines", [1, 12000])
def test_adding_in_a_file_renews_what_exists(lines: int) -> None:
    flow = "-s 9.1.1.1 -d 9.1.1.2 -p udp --sport 1 --dport 2 -t 99"
    new = "\n".join(f"-A -s 9.2.{n >> 8}.{n & 255} -d 9.1.1.2 -p udp --sport 1 --dport 2 -t 99"
                    for n in range(lines))  # fmt: skip
    assert ours("-R", "-", stdin=f"{new}\n-A {flow} -m 3\n-A {flow} -m 4\n").rc == 0
    assert (count("-s", "9.1.1.1", "-m", "4"), count("-s", "9.2.0.0/16")) == (1, lines)
    refused = ours("-R", "-", stdin=f"{new}\n-A {flow}\n-I {flow}\n")
    assert (refused.rc, refused.err.count("line ")) == (1, 1)
    assert f"line {lines + 2}:" in refused.err
    assert count("-s", "9.1.1.1", "-m", "4") == 1


def test_a_dry_run_shows_the_labels_that_an_update_leaves() -> None:
    nft_label = "table inet l { chain c { type filter hook output priority 0; ct label set 5; }; }"
    subprocess.run(["nft", "-f", "-"], input=nft_label, text=True, check=True)
    flow = "-s 9.1.1.1 -d 9.1.1.2 -p udp --sport 1 --dport 2 -t 99 --label-add 3,70"
    done("-I", *flow.split())

    def labels(*words: str) -> list[int] | None:
        flow = json.loads(done(*words, "-s", "9.1.1.1", "-o", "ndjson"))
        found: list[int] | None = flow.get("labels")
        return found

    for change, left in (
        ("--label-add=3", [3, 70]), ("--label-add=127", [3, 70, 127]),
        ("--label-del=3", [70, 127]), ("--label-del", None),
    ):  # fmt: skip
        assert labels("-U", change, "--dry-run") == left
        assert labels("-U", change) == left
        assert labels("-L") == left


def test_each_line_of_a_file_has_its_own_mark() -> None:
    lines = "-U -s 1.1.1.9 -m 21\n-U -s 1.1.2.2 -m 22\n-D -p udplite\n"
    assert ours("-R", "-", stdin=lines).rc == 0
    assert "mark=21" in done("-L", "-s", "1.1.1.9")
    assert "mark=22" in done("-L", "-s", "1.1.2.2")
    assert count("-p", "udplite") == 0


def test_errors_of_a_file_name_the_line() -> None:
    lines = TABLE.splitlines()[1] + "\n# fine\n-I -s 1.1.1.1 -p nosuch\n"
    result = ours("-R", "-", stdin=lines)
    assert result.rc == 2
    assert "line 3: " in result.err
    twice = TABLE.splitlines()[1]
    result = ours("-R", "-", stdin=f"\n{twice}\n")
    assert (result.rc, "line 2: " in result.err) == (1, True)


def run_with(stdout: int, *words: str) -> Result:
    finished = subprocess.run(
        [*ours_argv(), *words], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False,
        env=environment(),
    )  # fmt: skip
    return Result(finished.returncode, "", finished.stderr)


@pytest.mark.parametrize(
    "words", [["-L"], ["-C"], ["-S"], ["-L", "-o", "xml"], ["-V"], ["-h"], ["-D", "-p", "gre"]],
    ids=" ".join,
)  # fmt: skip
def test_a_full_disk_is_an_error(words: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        result = run_with(full.fileno(), *words)
    assert result.rc == 1
    assert "writing standard output: No space left on device" in result.err


@pytest.mark.parametrize("words", [["-L"], ["-C"], ["-V"]], ids=" ".join)
def test_a_closed_standard_output_is_an_error(words: list[str]) -> None:
    result = subprocess.run(
        ["sh", "-c", '"$@" >&-', "sh", *ours_argv(), *words],
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    assert result.returncode == 1
    assert "writing standard output: Bad file descriptor" in result.stderr


def test_a_closed_pipe_is_quiet() -> None:
    read, write = os.pipe()
    os.close(read)
    result = run_with(write, "-L")
    os.close(write)
    assert result.rc != 0
    assert "rror" not in result.err


GET = shlex.split("-p tcp -s 1.1.1.1 -d 2.2.2.2 --sport 10 --dport 20")


@pytest.mark.parametrize(
    "words",
    [
        ["-L"], ["-L", "-z"], ["-L", "-p", "icmp"], ["-L", "-p", "sctp"], ["-L", "-f", "ipv6"],
        ["-G", *GET], ["-U", "-p", "tcp", "-m", "9"], ["-D", "-p", "udp"], ["-D"],
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("more", ["", ",id", ",extended,timestamp", ",labels,ktimestamp"])
def test_xml_is_well_formed(words: list[str], more: str) -> None:
    text = done(*words, "-o", f"xml{more}")
    root = ElementTree.fromstring(text)
    assert root.tag == "conntrack"
    assert len(root) == text.count("<flow")
    assert len(text.splitlines()) == len(root) + 3


def test_xml_names_what_the_protocol_has() -> None:
    icmp = ElementTree.fromstring(done("-L", "-p", "icmp", "-o", "xml"))
    assert [icmp.findtext(f".//{tag}") for tag in ("type", "code", "id")] == ["8", "0", "1226"]
    sctp = ElementTree.fromstring(done("-L", "-p", "sctp", "-f", "ipv4", "-o", "xml"))
    assert sctp.findtext(".//state") == "ESTABLISHED"


def test_nothing_matched_is_no_document() -> None:
    assert done("-L", "-s", "9.9.9.9", "-o", "xml") == ""


def test_a_save_line_keeps_the_mark() -> None:
    assert "-m 5 " in done("-L", "-m", "5", "-o", "save")


def test_the_default_zone_is_zone_0() -> None:
    assert count() == 23
    listed = done("-L", "-w", "0")
    assert (listed.count("\n"), "zone" in listed) == (20, False)  # in one direction or both
    assert "zone-orig" not in done("-L", "--orig-zone", "0")


def test_an_icmp_entry_needs_no_id() -> None:
    done("-I", *shlex.split("-s 5.5.5.5 -d 6.6.6.6 -p icmp --icmp-type 8 --icmp-code 0 -t 9"))
    words = shlex.split("-s 5.5.5.5 -d 6.6.6.6 -p icmp --icmp-type 8 --icmp-code 0")
    assert "id=0" in done("-G", *words)


def test_an_entry_added_twice_is_renewed() -> None:
    again = ours("-A", *GET, "--state", "ESTABLISHED", "-t", "5", "-m", "77")
    assert (again.rc, again.err.split(": ")[1]) == (0, "1 flow entries have been added.\n")
    assert "mark=77 " in done("-G", *GET)


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("-U -p tcp -t abc", "abc"), ("-U -p tcp -t -1", "-1"), ("-U -p tcp -t 4294967296", "t"),
        ("-L -m 0x1ffffffff", "0x1ffffffff"), ("-L -m 1/x", "x"), ("-L -w 65536", "65536"),
        ("-L --orig-zone x", "x"), ("-L -p tcp --sport 65536", "65536"),
        ("-L -p tcp --sport htp", "htp"), ("-L -p icmp --icmp-type 256", "256"),
        ("-L -p icmp --icmp-id x", "x"), ("-L -p gre --srckey 65536", "65536"),
        ("-L -p 256", "256"), ("-L -p tcpx", "tcpx"), ("-L -c x", "x"), ("-L -i x", "x"),
        ("-E -b x", "x"), ("-L -o xmq", "xmq"), ("-L -u ASSUX", "ASSUX"), ("-E -e NEX", "NEX"),
        ("-L -s 1.1.1.1/33", "netmask"), ("-L -s 1.1.1.1x", "1.1.1.1x"), ("-L -n 1.1.1.1:x", "x"),
        ("-L -n 1.1.1.1:65536", "65536"), ("-L -f ipv", "ipv"), ("-L -p tcp --state EST", "EST"),
        ("-L -l nosuch", "nosuch"), ("-U --label-add 128", "128"), ("-L -L", "Invalid"),
        ("-L -t 5", "--timeout"), ("-C -p tcp", "--protonum"), ("-L --helper ftp", "--helper"),
        ("-I -s 1.1.1.1", "--protonum"), ("-L -s", "argument"), ("-E -b", "argument"),
        ("-L -s 1.1.1.1 -d ::1", "family"), ("-L extra more", "extra"), ("-L -p", "argument"),
        ("-I -p udp -s 1.1.1.1 -d 1.1.1.2 --sport 1 --dport 1,2 -t 9", "single"),
    ],
)  # fmt: skip
def test_bad_input_is_named(line: str, word: str) -> None:
    result = ours(*line.split())
    assert result.rc in (1, 2)
    assert word in result.err
    assert result.out == ""


@pytest.mark.parametrize(
    "line", ["-L -s 9.9.9.9 -s 1.1.1.9", "-L -m 1 -m 0 -s 1.1.1.9", "-L -p udp -p tcp -s 1.1.1.9"]
)
def test_of_a_doubled_option_the_last_counts(line: str) -> None:
    assert "src=1.1.1.9" in done(*line.split())
    assert len(done(*line.split()).splitlines()) == 1
