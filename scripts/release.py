"""Build and check the files of a release, and print what to publish. Nothing is published.

``python scripts/release.py`` needs a clean tree whose CHANGELOG.md has a heading for the version;
it writes the source distribution and the wheel into dist/.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import venv
from collections.abc import Iterator
from email.parser import Parser
from hashlib import sha256
from pathlib import Path
from zipfile import ZipFile

from pyconntrack.version import VERSION

ROOT = Path(__file__).parent.parent
PENDING = "(not yet released)"  # in the heading until it has a date


def run(*argv: str | Path, cwd: Path = ROOT) -> str:
    """Return the output of a program; raise SystemExit with its message if it fails."""
    done = subprocess.run([*map(str, argv)], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, argv))}\n{done.stdout}{done.stderr}".rstrip())
    return done.stdout


def heading(changelog: str, version: str) -> str | None:
    """Return the heading of ``version`` in the text of a CHANGELOG, or None."""
    match = re.search(rf"^## {re.escape(version)}(?: .*)?$", changelog, re.MULTILINE)
    return match and match[0]


def obstacles(root: Path, version: str) -> Iterator[str]:
    """Yield each reason why the tree at ``root`` cannot be released as ``version``."""
    if changed := run("git", "status", "--porcelain", cwd=root):
        yield "the tree is not clean (commit or remove):\n" + changed.rstrip()
    if heading((root / "CHANGELOG.md").read_text(encoding="utf-8"), version) is None:
        yield f"CHANGELOG.md has no heading `## {version}'"
    if run("git", "tag", "--list", f"v{version}", cwd=root):
        yield f"the tag v{version} exists: raise VERSION in src/pyconntrack/version.py"


def faults(sdist: Path, wheel: Path, tracked: list[str]) -> Iterator[str]:
    """Yield each fault of the two files; ``tracked`` are the paths of the tree's files."""
    with tarfile.open(sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    yield from (f"{sdist.name} lacks {name}" for name in tracked if name not in inside)
    with ZipFile(wheel) as archive:
        if damaged := archive.testzip():
            yield f"{wheel.name}: {damaged} is damaged"
        names = archive.namelist()
        info = f"pyconntrack-{VERSION}.dist-info"
        metadata = Parser().parsestr(archive.read(f"{info}/METADATA").decode())
    data = f"pyconntrack-{VERSION}.data"
    with (ROOT / "pyproject.toml").open("rb") as file:
        built = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]
    shared = built["shared-data"].values()
    package = [name.removeprefix("src/") for name in tracked if name.startswith("src/")]
    wanted = [*package, f"{data}/scripts/conntrack", f"{data}/scripts/pyconntrack",
              *(f"{data}/data/{path}" for path in shared), f"{info}/licenses/LICENSE"]  # fmt: skip
    yield from (f"{wheel.name} lacks {name}" for name in wanted if name not in names)
    for name in names:
        if not name.startswith((f"{info}/", f"{data}/")) and name not in package:
            yield f"{wheel.name} has {name}, which the tree has not"
    if metadata["Name"] != "pyconntrack" or metadata["Version"] != VERSION:
        yield f"{wheel.name} calls itself {metadata['Name']} {metadata['Version']}"


def installed(wheel: Path, folder: Path) -> Iterator[str]:
    """Yield each fault of the wheel when it is installed into a new environment."""
    venv.create(folder, with_pip=True)
    run(folder / "bin/python", "-m", "pip", "install", "-q", wheel)
    for name, first in (("conntrack", "conntrack v"), ("pyconntrack", f"pyconntrack {VERSION}")):
        said = run(folder / "bin" / name, "-V", cwd=folder)
        if not said.startswith(first) or VERSION not in said:
            yield f"the installed {name} -V prints {said!r}"
    exported = "import pyconntrack as p; [getattr(p, name) for name in p.__all__]"
    run(folder / "bin/python", "-c", exported, cwd=folder)


def main() -> None:
    """Build, check, and print what to publish."""
    if found := [*obstacles(ROOT, VERSION)]:
        raise SystemExit("Cannot release: " + "\n".join(found))
    os.environ["SOURCE_DATE_EPOCH"] = run("git", "log", "-1", "--format=%ct").strip()
    dist = ROOT / "dist"
    sdist, wheel = (dist / f"pyconntrack-{VERSION}{end}"
                    for end in (".tar.gz", "-py3-none-any.whl"))  # fmt: skip
    for old in dist.glob("*"):
        old.unlink()
    print(f"Building {VERSION} ...", flush=True)
    run(sys.executable, "-m", "build", "--outdir", dist)
    print("Checking the files, and the wheel in a new environment ...", flush=True)
    found = [*faults(sdist, wheel, run("git", "ls-files").splitlines())]
    with tempfile.TemporaryDirectory() as folder:
        found += installed(wheel, Path(folder))
    if found:
        raise SystemExit("Not to be published:\n" + "\n".join(found))
    for path in (sdist, wheel):
        print(f"{sha256(path.read_bytes()).hexdigest()}  {path.relative_to(ROOT)}")
    title = heading((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), VERSION)
    if PENDING in str(title):
        print(f"\nNot yet: write the date into `{title}' of CHANGELOG.md, commit, run this again.")
        return
    print(f"""
To publish {VERSION}, of which nothing has been done:
  git tag -a v{VERSION} -m 'pyconntrack {VERSION}' {run("git", "rev-parse", "HEAD").strip()}
  git push origin v{VERSION}
  upload both files to the package index
  a release of the tag on the repository's host: the text below `{title}'""")


if __name__ == "__main__":
    main()
