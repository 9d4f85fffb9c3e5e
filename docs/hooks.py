"""The pages that mkdocs makes while it builds: the man page as text, and the JSON Schema."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def man_page() -> str:
    """Return the man page as text; groff renders it."""
    if shutil.which("groff") is None:
        return "Read it with `man 8 conntrack`. (groff was not there to show it here.)\n"
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-P-c", "-rLL=78n", str(ROOT / "share/man/man8/conntrack.8")],
        capture_output=True, check=True, encoding="utf-8",
    )  # fmt: skip
    text = re.sub(".\b", "", done.stdout)
    return f"```text\n{text.strip()}\n```\n"


def on_files(files: Any, config: Any) -> Any:
    """Add the pages."""
    from mkdocs.structure.files import File

    schema = (ROOT / "src/pyconntrack/schema.json").read_text(encoding="utf-8")
    files.append(File.generated(config, "man.md", content=f"# conntrack(8)\n\n{man_page()}"))
    files.append(File.generated(config, "schema.json", content=schema))
    return files
