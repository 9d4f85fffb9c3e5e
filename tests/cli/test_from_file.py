"""``--from-file``: many filters in one pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.ctool import ours
from support.entries import count, fill

pytestmark = pytest.mark.usefixtures("netns")


def test_from_file_deletes_what_any_line_matches(tmp_path: Path) -> None:
    fill(200)
    file = tmp_path / "filters"
    file.write_text(
        "# comment\n-p udp --dport 53\n\n-s 10.0.0.0/28\n-s 10.0.0.2\n--dport 443,444\n"
        "-D -s 99.9.9.9\n"
    )
    dry = ours("-D", "--from-file", str(file), "--dry-run")
    assert count() == 200
    done = ours("-D", "--from-file", str(file))
    counts = dict(line.removeprefix("line ").split(": ") for line in done.err.splitlines()
                  if line.startswith("line"))  # fmt: skip
    assert counts == {"2": "53 deleted", "4": "14 deleted", "5": "1 deleted", "6": "47 deleted",
                      "7": "0 deleted"}  # fmt: skip
    deleted = done.out.count("\n")
    assert f"{deleted} flow entries have been deleted." in done.err
    assert f"{deleted} flow entries would be deleted" in dry.err
    assert count() == 200 - deleted


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("-s 1.2.3.999", "line 2: Invalid IP address `1.2.3.999'"),
        ("-p tcp --dport 99999", "line 2: Invalid port"),
        ("--undo x", "line 2: `--undo' belongs on the command line"),
        ("-o xml", "line 2: only filters can stand in the file"),
        ("-D", "line 2: a filter is expected"),
        ("-s 1.1.1.1 -d ::1", "line 2: mismatched address family"),
        ('"', "line 2: a double quote"),
    ],
)
def test_a_wrong_line_stops_before_anything_is_deleted(
    line: str, said: str, tmp_path: Path
) -> None:
    fill(10)
    file = tmp_path / "filters"
    file.write_text(f"-s 10.0.0.0/8\n{line}\n")
    done = ours("-D", "--from-file", str(file))
    assert done.rc == 2
    assert done.err.count("\n") == 1
    assert said in done.err
    assert count() == 10
