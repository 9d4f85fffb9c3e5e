"""-L -o save, loaded into an empty namespace, is the same table again."""

from __future__ import annotations

import re
from pathlib import Path

from support import CASES
from support.ctool import normalise, ours, theirs
from support.netns import Namespace, fresh_netns
from support.traffic import nft

TABLE = (CASES / "table.txt").read_text(encoding="utf-8")
#: what the C tool cannot create: labels, helpers, both NATs with ports
MORE = """\
-I -s 1.1.1.1 -d 2.2.2.2 -p tcp --sport 30 --dport 21 --state ESTABLISHED -u SEEN_REPLY -t 10020 --helper ftp
-I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 30 --dport 69 -t 10020 --helper tftp --label-add 3,77 -m 7 -w 4
-I -s 2001:db8::1 -d 2001:db8::2 -p udp --sport 31 --dport 69 -t 10020 --label-add 0,127
-I -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 31 --dport 53 -t 10021 -n 7.7.7.7:70 -g 8.8.8.8:80 -u SEEN_REPLY
-I -s 2001:db8::1 -d 2001:db8::2 -p tcp --sport 32 --dport 53 -t 10021 -n [2001:db8::7]:70 -g [2001:db8::8]:80 --state SYN_SENT
"""  # noqa: E501
LABELS = (
    "table inet t { chain c { type filter hook output priority 0;"
    " ct state new ct label set 5 accept; }; }"
)


def listing() -> str:
    return normalise(ours("-L", "-o", "extended,labels").out)


def test_a_saved_table_comes_back(netns: Namespace, tmp_path: Path) -> None:
    nft(LABELS)
    assert ours("-R", "-", stdin=TABLE + MORE).rc == 0
    before, seen_by_c = listing(), normalise(theirs("-L", "-o", "extended").out)
    saved = ours("-L", "-o", "save")
    assert saved.rc == 0
    assert len(saved.out.splitlines()) == len((TABLE + MORE).splitlines()) - 1  # a comment
    for words in ("--helper ftp", "--label-add 3,77", "-m 7", "-w 4", "--orig-zone 8"):
        assert words in saved.out
    path = tmp_path / "saved"
    path.write_text(saved.out)
    with fresh_netns():
        nft(LABELS)
        done = ours("-R", str(path))
        assert done.rc == 0, done.err
        assert listing() == before
        assert normalise(theirs("-L", "-o", "extended").out) == seen_by_c
        again = ours("-L", "-o", "save").out
    times = re.compile(r"-t \d+")
    assert sorted(times.sub("", again).splitlines()) == sorted(
        times.sub("", saved.out).splitlines()
    )


def test_deleted_entries_saved_as_deletions(netns: Namespace) -> None:
    nft(LABELS)
    line = "-s 1.1.1.1 -d 2.2.2.2 -p udp --sport 1 --dport 2"
    assert ours("-I", *line.split(), "-t", "99").rc == 0
    assert ours("-D", "-o", "save").out.startswith("-D ")
    assert ours("-C").out == "0\n"
