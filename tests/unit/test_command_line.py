"""The command line: data lines of command_lines.txt, and the values that come out."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pyconntrack.cli import option_values, options
from pyconntrack.cli.console import UsageError
from pyconntrack.cli.parser import Command, parse
from support import CASES

LINES = [
    line.rpartition(" ; ")[::2]
    for line in (CASES / "command_lines.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def opts(line: str) -> dict[str, Any]:
    return parse(shlex.split(line)).opts


@pytest.mark.parametrize(("line", "verdict"), LINES, ids=[line for line, _ in LINES])
def test_command_line(line: str, verdict: str) -> None:
    in_file = line.startswith("R:")
    words = shlex.split(line.removeprefix("R:"))
    if verdict == "OK":
        parse(words, in_file=in_file)
    else:
        with pytest.raises(UsageError) as error:
            parse(words, in_file=in_file)
        assert f"BAD {error.value.classic}" == verdict


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("-L -s 1.1.1.9/24", {"orig_src": b"\1\1\1\0", "orig_src_mask": b"\xff\xff\xff\0"}),
        ("-L -s 1.1.1.9/32", {"orig_src": b"\1\1\1\x09"}),
        ("-L -s 9.9.9.0/24 -s 1.1.1.9", {"orig_src": b"\1\1\1\x09"}),
        ("-L -d 2.2.2.2 --mask-dst 255.0.0.0",
         {"orig_dst": b"\2\0\0\0", "orig_dst_mask": b"\xff\0\0\0"}),
        ("-L -q ::1", {"reply_dst": bytes(15) + b"\1"}),
        ("-L --dport 80", {"orig_dport": 80}),
        ("-L --dport 80,8000-8100", {"orig_dport": ((80, 80), (8000, 8100))}),
        ("-L -p gre --srckey 0x10", {"orig_srckey": 16}),
        # conntrack(8) reads marks, zones, ids and keys as C does, all other numbers as decimal ones
        ("-L -p gre --srckey 010", {"orig_srckey": 8}),
        ("-L -w 010 -i 010", {"zone": 8, "id": 8}),
        ("-L -p icmp --icmp-type 010 --icmp-id 010", {"orig_icmp_type": 10, "orig_icmp_id": 10}),
        ("-D -s 1.1.1.1 -t 010", {"orig_src": b"\1\1\1\1", "timeout": 10}),
        ("-L -p icmpv6 --icmpv6-type 128", {"orig_icmp_type": 128}),
        ("-L -p tcp --state LISTEN", {"tcp_state": 9}),
        ("-L -p sctp --state CLOSED", {"sctp_state": 1}),
        ("-L -m 0x15/0xff", {"mark": (21, 255)}),
        ("-L -m 010", {"mark": (8, None)}),
        ("-D -u UNREPLIED,ASSURED", {"status": (4, 2)}),
        ("-D -u '!ASSURED'", {"status": (0, 4)}),
        ("-U -u ASSURED -u SEEN_REPLY", {"status": (6, 0)}),
        ("-L -u ASSURED -u SEEN_REPLY", {"status": (6, 4)}),
        ("-L -n", {"src_nat": (None, None)}),
        ("-L -n3.3.3.3", {"src_nat": (b"\3\3\3\3", None)}),
        ("-L --any-nat=[::1]:80", {"any_nat": (bytes(15) + b"\1", 80)}),
        ("-L -g 4.4.4.4:0 -p tcp", {"dst_nat": (b"\4\4\4\4", 0)}),
        ("-E -e new -e UPDATES", {"event_mask": {"NEW", "UPDATE"}}),
        ("-L --sort bytes,-packets", {"sort": [("bytes", False), ("packets", True)]}),
        ("-L --columns a,b", {"columns": ["a", "b"]}),
        ("-R -", {"load_file": "-"}),
        ("--load-file=f", {"load_file": "f"}),
    ],
)  # fmt: skip
def test_values(line: str, expected: dict[str, Any]) -> None:
    assert opts(line) == expected


def test_expectations_keep_masks_beside_the_tuple() -> None:
    found = opts(
        "-I expect -t 9 -s 1.1.1.1 -d 2.2.2.2 --tuple-src 4.4.4.4/24 --tuple-dst 5.5.5.5"
        " --mask-dst 255.255.255.255 -p tcp --sport 1 --dport 2"
        " --tuple-port-src 3 --tuple-port-dst 4 --mask-port-src 5 --mask-port-dst 6"
    )
    assert found["mask_src"] == b"\xff\xff\xff\0"
    assert found["tuple_src"] == b"\4\4\4\4"
    assert [found[f"{name}port"] for name in ("tuple_s", "tuple_d", "mask_s", "mask_d")] == [
        3, 4, 5, 6,
    ]  # fmt: skip


def test_family_is_given_or_inferred() -> None:
    inferred: Command = parse(["-L", "-s", "::1"])
    given = parse(["-L", "-f", "ipv4"])
    assert (inferred.family, inferred.family_given) == (10, False)
    assert (given.family, given.family_given) == (2, True)


def test_codes() -> None:
    for words, code, hint in (
        (["-L", "-m", "x"], 1, False),
        (["-L", "-i", "x"], 1, False),
        (["-L", "-o", "save,id"], 1, False),
        (["-L", "-Q"], 2, True),
    ):
        with pytest.raises(UsageError) as error:
            parse(words)
        assert (error.value.code, error.value.hint) == (code, hint)


def test_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "connlabel.conf"
    path.write_text("# bits\n0 zero\n1 one\n0x7f last\n128 far\n")
    monkeypatch.setattr(options, "LABELMAP", str(path))
    assert opts("-L -l one,zero -l last")["labels"] == [1, 0, 127]
    assert opts("-U --label-del")["label_del"] == []
    assert opts("-U --label-del=one")["label_del"] == [1]
    assert parse(["-L", "-o", "labels"]).labelmap == str(path)
    assert option_values.label_names(str(path)) == {0: "zero", 1: "one", 127: "last"}
    other = tmp_path / "other"
    other.write_text("5 one\n")
    for line in ("-L -l one -o labels --labelmap {}", "-L --labelmap {} -l one -o labels",
                 "--labelmap={} -o labels -l one -L"):  # fmt: skip
        command = parse(line.format(other).split())
        assert (command.opts["labels"], command.labelmap) == ([5], str(other)), line
    assert opts(f"-U --label-del --labelmap {other}")["label_del"] == []
    assert opts(f"-U --label-add one --labelmap {other}")["label_add"] == [5]
    with pytest.raises(UsageError, match="unknown label 'far'"):
        opts("-L -l one,far")
    with pytest.raises(UsageError, match="at the same time"):
        opts("-U --label-add one --label-del")


def test_a_missing_label_map_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "LABELMAP", str(tmp_path / "none"))
    warning = ["nfct_labelmap_new: No such file or directory"]
    command = parse(["-L", "-o", "labels"])
    assert (command.warnings, command.labelmap) == (warning, None)
    with pytest.raises(UsageError, match="unknown label 'one'") as error:
        parse(["-L", "-l", "one"])
    assert error.value.warnings == warning


def test_new_options_leave_old_abbreviations_alone() -> None:
    classic = [long for row in options.OPTIONS for long in row.long]
    classic += [verb.long[0] for verb in options.VERBS]
    ours = [row.name for row in options.EXTENSIONS]
    assert not set(classic) & set(ours)
    # --s is a prefix of --sort, and ambiguous without it
    with pytest.raises(UsageError, match="unknown option `--s'"):
        parse(["-L", "--s", "1.1.1.1"])


def test_rules_name_known_commands() -> None:
    letters = {verb.letter for verb in options.VERBS}
    rows = [*options.OPTIONS, *options.EXTENSIONS]
    rows += [row for protocol in options.PROTOCOLS for row in protocol.options]
    for row in rows:
        assert {*row.on.upper(), *row.expect.upper()} <= letters, row.name
        assert row.help, row.name


def test_start_up_imports_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import pyconntrack.cli.parser\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name for name in run.stdout.split() if not name.startswith("pyconntrack")}
    assert loaded <= {"__future__", "_socket", "errno"}  # errno: of the console, as in every run
