"""Record which option of conntrack(8) each beginning of a long option means.

Run it as root in a fresh network namespace (``unshare -n``), from the root of the project; it needs
a C compiler, for the function that is put before the program's getopt_long(3):

    python -m scripts.abbreviations conntrack > tests/cases/abbreviations.txt

tests/cases/abbreviations.txt is the record of conntrack-tools 1.4.9.  Each line has a protocol that
stands before the option (``-``: none), the option that is meant (``-``: none or several), and the
beginnings that mean it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from pyconntrack.cli import options

CASES = Path(__file__).parent.parent / "tests/cases/abbreviations.txt"
#: writes the name of each long option that is found
_HOOK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <getopt.h>
#include <stdio.h>
int getopt_long(int argc, char *const argv[], const char *letters,
                const struct option *table, int *place)
{
    int found = -1;
    int (*next)(int, char *const *, const char *, const struct option *, int *);
    next = dlsym(RTLD_NEXT, "getopt_long");
    int result = next(argc, argv, letters, table, &found);
    if (found >= 0 && result != '?' && result != ':')
        fprintf(stderr, "LONG OPTION %s\\n", table[found].name);
    if (place)
        *place = found;
    return result;
}
"""
_SAYS = "LONG OPTION "


def contexts() -> list[str]:
    """Return the protocols that may stand before an option, and ``-`` for none."""
    return ["-", *(protocol.name for protocol in options.PROTOCOLS)]


def beginnings() -> list[str]:
    """Return every beginning of every long option of conntrack(8)."""
    rows: list[options.Option | options.Verb] = [*options.OPTIONS, *options.VERBS]
    rows += [row for protocol in options.PROTOCOLS for row in protocol.options]
    spelt = {long for row in rows for long in row.long}
    return sorted({long[:length] for long in spelt for length in range(1, len(long) + 1)})


def record(program: str) -> Iterator[str]:
    """Yield the lines of the record of ``program``."""
    with TemporaryDirectory() as place:
        source, hook = Path(place, "hook.c"), Path(place, "hook.so")
        source.write_text(_HOOK)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", hook, source, "-ldl"], check=True)
        for context in contexts():
            meant: dict[str, list[str]] = defaultdict(list)
            for beginning in beginnings():
                words = [] if context == "-" else ["-p", context]
                done = subprocess.run(
                    [program, *words, f"--{beginning}", "x"],
                    env={**os.environ, "LD_PRELOAD": str(hook)},
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
                )  # fmt: skip
                lines = [line for line in done.stderr.splitlines() if line.startswith(_SAYS)]
                name = lines[-1].removeprefix(_SAYS) if lines else "-"
                meant[name].append(beginning)
            for name, found in sorted(meant.items()):
                yield f"{context} {name}: {' '.join(found)}"


def read(text: str) -> dict[tuple[str, str], str]:
    """Return (protocol, beginning) -> option from the lines of a record."""
    found = {}
    for line in text.splitlines():
        head, _, words = line.partition(": ")
        context, name = head.split()
        found.update({(context, word): name for word in words.split()})
    return found


if __name__ == "__main__":
    for line in record(sys.argv[1]):
        print(line)
