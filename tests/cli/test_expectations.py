"""The expectation table, beside real FTP and TFTP control connections with helpers."""

from __future__ import annotations

import json
import shlex
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from support.ctool import Stream, normalise, ours, ours_argv, theirs
from support.netns import Namespace, sysctl
from support.traffic import Flows


@pytest.fixture(params=["ftp", "ftp6", "tftp"])
def where(request: pytest.FixtureRequest, flows: Flows) -> list[str]:
    """The words that name the one expectation of a real control connection."""
    sysctl("nf_conntrack_udp_timeout", 600)
    if request.param == "tftp":
        port = flows.tftp().sport
        proto, src, dst = "udp", flows.peer4, flows.here4
    elif request.param == "ftp":
        port = flows.ftp().active()
        proto, src, dst = "tcp", flows.peer4, flows.here4
    else:
        port = flows.ftp(6).passive()
        proto, src, dst = "tcp", flows.here6, flows.peer6
    # conntrack(8) wants the ports of the reply too, and makes no use of them
    return ["-p", proto, "-s", src, "-d", dst, "--reply-port-src", "0", "--reply-port-dst", "0",
            "--sport", "0", "--dport", str(port)]  # fmt: skip


def family(where: list[str]) -> list[str]:
    return ["-f", "ipv6" if ":" in where[3] else "ipv4"]


@pytest.mark.parametrize("output", [[], ["-o", "xml"], ["-o", "timestamp"]], ids=" ".join)
def test_listing(where: list[str], output: list[str]) -> None:
    mine = ours("-L", "expect", *family(where), *output)
    other = theirs("-L", "expect", *family(where), *output)
    assert mine.rc == other.rc == 0
    assert mine.err.partition(": ")[2] == other.err.partition(": ")[2]
    left, right = normalise(mine.out), normalise(other.out)
    if "timestamp" in output:
        left, right = left.partition("\t")[2], right.partition("\t")[2]
    assert left.split(" ")[1:] == right.split(" ")[1:]


def test_listing_of_both_families(flows: Flows) -> None:
    flows.ftp().active()
    flows.ftp(6, port=2121).passive()
    text = ours("-L", "expect", "-o", "xml").out
    root = ElementTree.fromstring(text)
    assert (root.tag, len(root)) == ("expect", 2)
    assert ours("-C", "expect").out == "2\n"


def test_get(where: list[str]) -> None:
    mine = ours("-G", "expect", *where)
    assert mine.rc == 0, mine.err
    assert mine.out.split()[1:] == ours("-L", "expect", *family(where)).out.split()[1:]
    assert mine.err.endswith("1 expectations have been shown.\n")
    wrong = [*where[:-1], "9"]
    assert ours("-G", "expect", *wrong).rc == 1


def test_delete(where: list[str]) -> None:
    mine = ours("-D", "expect", *where)
    assert (mine.rc, mine.err.partition(": ")[2]) == (0, "1 expectations have been deleted.\n")
    assert ours("-C", "expect").out == "0\n"
    again = ours("-D", "expect", *where)
    assert again.rc == 1
    assert "Operation failed" in again.err


def test_flush(where: list[str]) -> None:
    mine = ours("-F", "expect")
    assert (mine.rc, mine.out) == (0, "")
    assert mine.err.endswith("expectation table has been emptied.\n")
    assert ours("-L", "expect").out == ""


MASTER = shlex.split("-s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 10 --dport 21")
CREATE = [
    *("-I", "expect", *MASTER, "-t", "100"),
    *shlex.split("--tuple-src 4.4.4.4 --tuple-dst 5.5.5.5 --mask-src 255.255.255.0"),
    *shlex.split("--mask-dst 255.255.255.255 --tuple-port-src 10 --tuple-port-dst 2000"),
    *shlex.split("--mask-port-src 10 --mask-port-dst 300"),
]


def test_create(flows: Flows) -> None:
    """Without its master there is nothing to expect for, and with it there is.

    (The C tool 1.4.7 creates one of a wrong protocol, 7 or so.)
    """
    assert ours(*CREATE).rc == 1
    master = ours("-I", *MASTER, "--state", "ESTABLISHED", "-t", "99", "-u", "SEEN_REPLY",
                  "--helper", "ftp")  # fmt: skip
    assert master.rc == 0, master.err
    made = ours(*CREATE)
    assert (made.rc, made.out) == (0, ""), made.err
    # of the ports, the kernel keeps a mask of the source's alone
    assert normalise(theirs("-L", "expect").out) == (
        "T proto=6 src=4.4.4.4 dst=5.5.5.5 sport=10 dport=2000 mask-src=255.255.255.0 "
        "mask-dst=255.255.255.255 sport=10 dport=65535 master-src=1.1.1.1 master-dst=2.2.2.2 "
        "sport=10 dport=21 class=0 helper=ftp\n"
    )
    assert ours(*CREATE).rc in (0, 1)


def test_events(flows: Flows) -> None:
    with Stream([*ours_argv(), "-E", "expect"]) as stream:
        flows.ftp().active()
        assert ours("-F", "expect").rc == 0
        new, gone = stream.line(), stream.line()
    assert new.startswith("    [NEW] ")
    assert gone.startswith("[DESTROY] ")
    assert new.endswith("class=0 helper=ftp")


def test_errors_name_what_is_wrong_with_an_expectation(netns: Namespace) -> None:
    ends = "--orig-src 192.0.2.1 --orig-dst 198.51.100.1 -p tcp --sport 1 --dport 21"
    new = f"{ends} --tuple-src 192.0.2.9 --tuple-dst 198.51.100.9 -t 60 " + " ".join((
        "--mask-src 255.255.255.255 --mask-dst 255.255.255.255 --mask-port-src 1",
        "--mask-port-dst 2 --tuple-port-src 5 --tuple-port-dst 6",
    ))  # fmt: skip
    one = f"{ends} --reply-port-src 1 --reply-port-dst 2"
    for words, text in (
        (f"-I expect {new}", "master conntrack not found"),
        (f"-G expect {one}", "No such file or directory"),
        (f"-D expect {one}", "No such file or directory"),
    ):
        done = ours(*words.split())
        assert (done.rc, done.err.partition(": ")[2]) == (1, f"Operation failed: {text}\n")
    master = "-s 192.0.2.1 -d 198.51.100.1 -p tcp --sport 1 --dport 21 --state ESTABLISHED -t 99"
    assert ours(*f"-I {master} --helper ftp".split()).rc == 0
    assert ours(*f"-I expect {new}".split()).rc == 0
    again = ours(*f"-I expect {new}".split())
    assert (again.rc, again.err.partition(": ")[2]) == (1, "Operation failed: File exists\n")


def test_statistics_have_the_names_of_conntrack(netns: Namespace) -> None:
    first = ours("-S", "expect").out.splitlines()[0]
    assert first.split()[1:] == ["expect_new=0", "expect_create=0", "expect_delete=0"]
    row = json.loads(ours("-S", "expect", "-o", "ndjson").out.splitlines()[0])
    assert row == {"cpu": 0, "expect_new": 0, "expect_create": 0, "expect_delete": 0}


def test_a_whole_document_stands_before_the_summary(netns: Namespace) -> None:
    command = "-I -s 192.0.2.1 -d 198.51.100.1 -p udp --sport 1 --dport 21 -t 99"
    assert ours(*command.split()).rc == 0
    for form, last in (("xml", True), ("json", True), ("extended", False)):
        argv = [*ours_argv(), "-L", "-o", form]
        both = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
        lines = both.stdout.decode().splitlines()
        assert ("have been shown" in lines[-1]) is last
        assert ("have been shown" in lines[0]) is not last
