"""The pages that mkdocs makes while it builds: the man pages as HTML, and the JSON Schema."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

ROOT = Path(__file__).resolve().parent.parent
#: page -> the man page that it shows
MAN_PAGES = {"man.md": "conntrack", "doctor/man.md": "conntrack-doctor"}
_HEADING = re.compile(r'<h([12]) class="S[hs]"[^>]*>(.*?)</h\1>', re.S)


def man_page(name: str) -> str:
    """Return a man page as Markdown: headings, and between them the HTML that mandoc renders."""
    if shutil.which("mandoc") is None:
        raise PluginError(
            "Missing: mandoc, which renders the man page. On Debian: apt install mandoc"
        )
    done = subprocess.run(
        ["mandoc", "-Thtml", "-Ofragment", str(ROOT / f"share/man/man8/{name}.8")],
        capture_output=True, check=True, encoding="utf-8",
    )  # fmt: skip
    text = done.stdout.partition('<div class="manual-text">')[2].rpartition("</div>\n<table")[0]
    text = re.sub(r'</?section[^>]*>|<p class="Pp">\s*</p>', "", text)
    # Headings become Markdown, so that they are in the table of contents.
    parts = _HEADING.split(text)
    page = [f"# {name}(8)"]
    for level, title, body in zip(*(parts[i::3] for i in range(1, 4)), strict=True):
        words = " ".join(re.sub(r"<[^>]*>", "", title).split())
        page += [f"#{'#' * int(level)} {words}", f'<div class="man">{body}</div>']
    return "\n\n".join(page) + "\n"


def on_files(files: Any, config: Any) -> Any:
    """Add the pages."""
    from mkdocs.structure.files import File

    schema = (ROOT / "src/pyconntrack/schema.json").read_text(encoding="utf-8")
    for page, name in MAN_PAGES.items():
        files.append(File.generated(config, page, content=man_page(name)))
    files.append(File.generated(config, "schema.json", content=schema))
    return files


def on_post_build(config: Any) -> None:
    """Refuse pages that would fetch something from elsewhere."""
    fetching = re.compile(
        r'<(?:script|img|iframe)[^>]* src="https?:|<link(?![^>]*canonical)[^>]* href="https?:'
    )
    for page in Path(config.site_dir).rglob("*.html"):
        if found := fetching.search(page.read_text(encoding="utf-8")):
            raise PluginError(f"{page.name} fetches from elsewhere: {found[0]}")
