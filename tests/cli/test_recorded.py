"""Thousands of command lines: ours does what conntrack-tools 1.4.9 did, or the list says why not.

tests/cases/wide_net.txt holds what 1.4.9 did (scripts/wide_net.py recorded it); so the test needs
no C tool. Each difference belongs to an entry of docs/differences.md, by the rules below.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections import Counter

import pytest
from scripts import differences, wide_net
from scripts.wide_net import Outcome

from support import ROOT
from support.netns import fresh_netns, unavailable, why_not

PARTS = 4
_NO_NUMBER = (
    r"(-1|''|abc|1a|' 5'|'5 '|\+5|1\.5|a|x|'20 '|\+20|echo-request|9{20}|42949672(96|16)"
    r"|4294967316)( |$)"
)

#: what ours does where it differs
REFUSE, EARLIER, ACCEPT, OTHER = "refuses", "says first", "accepts", "does otherwise"
#: the name of an entry, what ours does, in which lines (a value apart from its option), and what
#: all rows of output and table are like in which the two differ
RULES = [
    ("numbers", REFUSE, rf"-([tmwcb]|zone|[sd]port|type|code|id|port-src|\w+key) {_NO_NUMBER}", ""),
    ("numbers", REFUSE, r"-(type|code) (256|6553[56]|4294967295)( |$)", ""),
    ("numbers", REFUSE, r"-(\wport|id|\w*key) (65536|4294967295|0x14)( |$)", ""),
    ("numbers", REFUSE, r"-m (5/|1/4294967296)( |$)", ""),
    ("numbers", OTHER, r"(--icmp-code|-t) 0x10( |$)", ""),
    ("values-checked", EARLIER, r"^-(S|I) expect .*-[mw] (\+5|' 5')( |$)", ""),
    ("empty-prefix", REFUSE, r"^-[DU] .*-s 1.1.1.1/$", ""),
    ("addresses-whole", REFUSE, r"-s '1.1.1.1 '|-f 'ipv4 '", ""),
    ("full-prefix", ACCEPT, r"-r 1.1.1.1/32", ""),
    ("words-any-case", ACCEPT, r"-f I|-u (unreplied|UNR)( |$)", ""),
    ("words-unclear", REFUSE, r"-u (S|UN)( |$)", ""),
    ("words-unclear", OTHER, r"-o s( |$)|-e D( |$)", ""),
    ("id-filter", ACCEPT, r"(-i|--id) \d", ""),
    ("label-numbers", ACCEPT, r"(-l|--label) [15]( |$)", ""),
    ("labelmap-create", ACCEPT, r"^-[GIA] .*--labelmap", ""),
    ("gre-keys", OTHER, r"-p (gre|47) .*key", "gre|47"),
    ("sctp-states", REFUSE, r"-p sctp .*--state (X|'')", ""),
    ("save-complete", OTHER, r"-o save", "^-|^\\["),
    ("xml-closed", OTHER, r"(?=.*-o [xX]).*(^| )-[GDU]( |$)", "conntrack>|^<.xml|icmp|sctp"),
    ("xml-icmp", OTHER, r"(?=.*-o [xX]).*(^| )-[LE]( |$)", "icmp|sctp"),
    ("services", OTHER, r"[sd]port ssh( |$)", ""),
    ("lists", ACCEPT, r"-s 1.1.1.1,2.2.2.2|-p tcp,udp|--state ESTABLISHED,TIME_WAIT", ""),
    ("ports-anywhere", ACCEPT, r"--[sd]port .*-p ", ""),
    ("reply-ports", OTHER, r"^-[IA] .*-[rq] ", ""),
    ("add-nat", OTHER, r"^-A -m 3 .*-[ng] ", ""),
    ("mark-0", OTHER, r"^-E -m 0/0$", r"\[DESTROY\]"),
    ("zone-0", OTHER, r"(-w|-zone) 0", "zone"),
    ("status-nat", REFUSE, r"-u '!UNSET'", ""),
    ("status-nat", OTHER, r"-u '?!?(SRC_NAT|DST_NAT|UNSET)", ""),
    ("status-not", OTHER, r"-u .*(!|UNREPLIED)", ""),
    ("masks-joined", OTHER, r"(?=.*-s 1.1.1.0/24).*--mask-src", ""),
    ("masks-own", OTHER, r"-s 1.1.0.0/16 -s 1.1.1.1$", r"=1\.1\.[12]\."),
    ("masks-own", ACCEPT, r"^-A .*-s 1.1.0.0/16 -s 1.1.1.9$", ""),
    ("mask-alone", REFUSE, r"^-L (dying|unconfirmed) .*--mask", ""),
    ("timeout-alone", REFUSE, r"^-[FDU].* -a |^-D -t", ""),
    ("stray-words", REFUSE, r"^(conntrack|expect) |(?<!-[A-Z]) (conntrack|expect)( |$)", ""),
    ("flush-family", OTHER, r"(?=.*-F)(^|.* )-f ", ""),
    ("nat-updated", OTHER, r"^-U .*-[ng] ", "dst=2.2.2.9"),
    ("sctp-updated", OTHER, r"^-U .*-p sctp --(state|\w+-vtag) ", "sctp"),
    ("update-goes-on", OTHER, r"^-U .*-t (\d|0x10)", ""),
    ("zones-updated", OTHER, r"^-U ", "zone"),
    ("attached-values", OTHER, r"^-L (-[nj]|--src-nat) \d", ""),
]  # fmt: skip


def reason(line: str, theirs: Outcome, ours: Outcome, fresh: str) -> str:
    """Return the name of the entry that a difference belongs to, or nothing.

    ``fresh`` is the table before the command.
    """
    refused = ours.status != 0 and not ours.out and not ours.table
    does = {
        REFUSE: refused and theirs.status != 2,
        EARLIER: refused and theirs.status == 2,
        ACCEPT: theirs.status == 2 and ours.status in (0, 1),
        OTHER: theirs.status in (0, 1) and ours.status in (0, 1),
    }
    words = []
    for word in shlex.split(line):
        if word.startswith("--"):
            words += word.split("=", 1)
        elif word.startswith("-") and word[2:]:
            words += [word[:2], word[2:]]
        else:
            words.append(word)
    line = shlex.join(words)
    rows = {
        row
        for one, two in ((theirs.out, ours.out), (theirs.table or fresh, ours.table or fresh))
        for row in set(one.split("\n")) ^ set(two.split("\n"))
        if row and not row.startswith("(")  # the count of the summary
    }
    for name, what, pattern, differing in RULES:
        if (
            does[what]
            and re.search(pattern, line)
            and all(re.search(differing, row) for row in rows)
        ):
            return name
    return ""


@pytest.fixture(scope="module")
def recorded() -> dict[str, Outcome]:
    return wide_net.read((wide_net.CASES / "wide_net.txt").read_text(encoding="utf-8"))


def test_the_file_holds_the_lines_of_the_script(recorded: dict[str, Outcome]) -> None:
    assert list(recorded) == wide_net.lines(), "record them anew with scripts/wide_net.py"


def test_each_rule_has_a_line_and_an_entry(recorded: dict[str, Outcome]) -> None:
    for name, _, pattern, _ in RULES:
        assert name in differences.entries()
        assert any(re.search(pattern, line) for line in recorded), pattern


@pytest.mark.parametrize("part", range(PARTS))
def test_each_line_does_what_1_4_9_did(recorded: dict[str, Outcome], part: int) -> None:
    if problem := why_not():
        unavailable(problem)
    lines = list(recorded)[part::PARTS]
    with fresh_netns():
        run = subprocess.run(
            [sys.executable, "-m", "scripts.wide_net", "run"],
            input="\n".join(lines), stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True,
        )  # fmt: skip
    ours = wide_net.read(run.stdout)
    assert list(ours) == lines
    fresh = recorded["-L -o extended"].out.rpartition("\n")[0]
    named: Counter[str] = Counter()
    unexplained = {}
    for line in lines:
        theirs = recorded[line]
        if ours[line] != theirs:
            name = reason(line, theirs, ours[line], fresh)
            named[name] += 1
            if not name:
                unexplained[line] = (theirs, ours[line])
    print(f"{len(lines)} lines compared, differences: {dict(named)}")
    assert unexplained == {}
