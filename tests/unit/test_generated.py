"""What is derived from the schema is current, and a new attribute is one row of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scripts.generate import files
from scripts.sentences import sentences

from pyconntrack.ctnetlink.schema import (
    CONNTRACK,
    EXPECT,
    REPORT,
    STATS_CPU,
    STATS_EXP_CPU,
    STATS_GLOBAL,
    TUPLE,
    leaves,
    names,
)
from pyconntrack.model import flatten
from support import ROOT

#: what a program does with a field that one row declares; it fails where the field is missing
PROGRAM = """
from pyconntrack import Filter, Flow, Tuple
from pyconntrack.formats.segments import compile_line
from pyconntrack.formats.registry import Writer
from pyconntrack.columnar.flow_table import FlowTable

flow = Flow(Tuple("192.0.2.1", "192.0.2.2", "udp", 1, 2), test=7)
attribute = bytes([8, 0, 99, 0, 0, 0, 0, 7])
assert flow.message.endswith(attribute), flow.message
again = Flow.from_message(flow.message.replace(attribute, attribute[:-1] + bytes([8])))
assert (flow.test, again.test, again.unknown) == (7, 8, ())
assert again.to_dict()["test"] == 8
assert Flow.from_dict(again.to_dict()).same_as(again)
assert flow.differences(again) == {"test": (7, 8)}
assert flow.replace(test=None).test is None
for node in Filter(test=7), Filter(test=range(5, 8)), Filter.where("test == 7"):
    assert [node.matches(one) for one in (flow, again)] == [True, False], node
data = flow.message + again.message
assert FlowTable.from_batches([(data, len(data))])["test"].tolist() == [7, 8]
for form in "json", "ndjson", "csv":
    writer = Writer([form], None)
    line = compile_line(writer.pieces(flow._layout), flow._layout)
    print(line(flow._layout.unpack(flow.message)))
print(writer.head)
"""
#: the same for a checker
TYPED = """
from typing import assert_type

from pyconntrack import Filter, Flow, Tuple

assert_type(Flow(Tuple(), test=7).test, int | None)
Filter(test=range(5, 8))
Flow(Tuple(), test="7")  # type: ignore[arg-type]
"""


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(ROOT)))
def test_what_is_generated_is_current(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == files()[path], "run: make generate"


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree whose schema has one row more, with everything generated anew."""
    tree = tmp_path_factory.mktemp("grown")
    for part in ("src", "scripts", "docs", "share"):
        shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
    schema = tree / "src/pyconntrack/ctnetlink/schema.py"
    text = schema.read_text(encoding="utf-8")
    last = '    Attr(27, "CTA_TIMESTAMP_EVENT", "timestamp_event", U64, uses=REPORT),\n'
    assert last in text
    row = '    #: A field for tests [tests]\n    Attr(99, "CTA_TEST", "test", U32),\n'
    schema.write_text(text.replace(last, last + row), encoding="utf-8")
    run(tree, "-m", "scripts.generate")
    return tree


def run(tree: Path, *words: str) -> str:
    """Return what a Python program prints that sees the copy of the tree."""
    env = {**os.environ, "PYTHONPATH": f"{tree}:{tree / 'src'}", "MYPYPATH": str(tree / "src")}
    done = subprocess.run(
        [sys.executable, *words], cwd=tree, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_row_is_read_written_filtered_and_printed(grown: Path) -> None:
    printed = run(grown, "-c", PROGRAM)
    json, ndjson, csv, columns = printed.splitlines()
    assert '"test":7' in json
    assert '"test":7' in ndjson
    assert csv.endswith(",7")
    assert columns.endswith(",test\\n'")


def test_a_new_row_is_declared_and_documented(grown: Path) -> None:
    declarations = (grown / "src/pyconntrack/model/declarations.pyi").read_text(encoding="utf-8")
    assert (
        '    def test(self) -> int | None:\n        """A field for tests. [tests]"""\n'
        in declarations
    )
    arguments = (grown / "src/pyconntrack/model/arguments.py").read_text(encoding="utf-8")
    for kind in ('"test": int | None', '"test": Numbers'):
        assert kind in " ".join(arguments.split())
    assert "| `test` | `int` | A field for tests. | tests | `test` | `CTA_TEST` |" in (
        grown / "docs/fields.md"
    ).read_text(encoding="utf-8")
    assert '"test": {' in (grown / "src/pyconntrack/schema.json").read_text(encoding="utf-8")
    program = grown / "typed.py"
    program.write_text(TYPED, encoding="utf-8")
    cache = ROOT / ".mypy_cache/grown"
    run(grown, "-m", "mypy", "--config-file=", "--strict", f"--cache-dir={cache}", str(program))


def test_every_row_has_a_sentence_of_its_own() -> None:
    """And a new one without a sentence is refused."""
    for rows in (CONNTRACK, EXPECT, TUPLE, STATS_CPU, STATS_EXP_CPU, STATS_GLOBAL):
        said = {name: str(sentence) for name, sentence in sentences(rows).items()}
        assert said.keys() == flatten(rows).keys()
        assert len({*said.values()}) == len(said)
        for sentence in said.values():
            assert re.fullmatch(r"[A-Z].*[^.;,]\.", sentence), sentence
    with pytest.raises(ValueError, match="CTA_IP_V6_SRC: "):
        sentences({3: next(row for _, _, row in leaves(TUPLE) if row.cta == "CTA_IP_V6_SRC")})


def test_every_field_of_the_page_has_type_and_sentence() -> None:
    page = (ROOT / "docs/fields.md").read_text(encoding="utf-8")
    lines = [line for line in page.splitlines() if re.match(r"\| `\w+` \| `\w", line)]
    assert len(lines) == len(names(CONNTRACK, REPORT)) + len(names(EXPECT, REPORT))
    for line in lines:
        name, kind, sentence, _, json, path = [each.strip() for each in line.split("|")[1:-1]]
        assert all((name, kind, json, path))
        assert sentence.endswith(".")
