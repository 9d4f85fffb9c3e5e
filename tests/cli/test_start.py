"""How the command starts and ends where its surroundings are hostile."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from support import ROOT
from support.ctool import environment, ours
from support.netns import fresh_netns

#: the script as it is installed, but for its first line
SCRIPT = [sys.executable, str(ROOT / "bin" / "conntrack")]
FLOW = "-I -s 10.0.{}.{} -d 192.0.2.1 -p udp --sport 1 --dport 2 -t 900\n"
TABLE = "".join(FLOW.format(n >> 8, n & 255) for n in range(3000))


def run(
    *words: str, argv: list[str] = SCRIPT, limit: Callable[[], None] | None = None,
    cwd: Path | None = None, stdin: str = "", variables: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    return subprocess.run(
        [*argv, *words], capture_output=True, text=True, timeout=60, preexec_fn=limit, cwd=cwd,
        input=stdin, env={**environment(), **(variables or {})}, check=False,
    )  # fmt: skip


def one_line(text: str) -> bool:
    return text.startswith(("conntrack v", "conntrack: ")) and text.count("\n") == 1


# ---- what Python would do for the caller ------------------------------------------------------


@pytest.fixture
def shadows(tmp_path: Path) -> Path:
    """A directory with modules that have the names of some that the command imports."""
    for name in ("struct", "errno", "select", "bisect", "numpy", "pyconntrack"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a foreign module')\n")
    return tmp_path


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize(
    "variables",
    [{"PYTHONPATH": "{}"}, {"PYTHONPATH": "/nowhere:{}"}, {"PYTHONPATH": ":"},
     {"PYTHONPATH": "{}", "PYTHONSAFEPATH": "1"}, {"PYTHONHOME": sys.base_prefix},
     {"PYTHONWARNINGS": "error"}, {"PYTHONDEVMODE": "1", "PYTHONPATH": "{}"},
     {"PYTHONPYCACHEPREFIX": "{}"}, {"PYTHONOPTIMIZE": "2"}, {}],
    ids=str,
)  # fmt: skip
def test_the_environment_does_not_change_what_the_command_does(
    variables: dict[str, str], shadows: Path
) -> None:
    for line in (FLOW.format(0, 1), FLOW.format(0, 2)):
        assert ours(*line.split()).rc == 0
    filled = {name: value.format(shadows) for name, value in variables.items()}
    done = run("-L", cwd=shadows, variables=filled)
    assert (done.returncode, done.stdout.count("\n")) == (0, 2), done.stderr
    assert one_line(done.stderr)
    done = run("-L", "--no such option", cwd=shadows, variables=filled)
    assert (done.returncode, done.stdout) == (2, "")


def test_nothing_is_imported_from_beside_the_script(tmp_path: Path) -> None:
    script = tmp_path / "conntrack"
    script.write_bytes((ROOT / "bin" / "conntrack").read_bytes())
    (tmp_path / "struct.py").write_text("raise SystemExit('a foreign module')\n")
    done = run("-V", argv=[sys.executable, str(script)])
    assert (done.returncode, done.stderr) == (0, "")


def test_the_module_imports_nothing_from_the_current_directory(tmp_path: Path) -> None:
    (tmp_path / "struct.py").write_text("raise SystemExit('a foreign module')\n")
    done = run("-V", argv=[sys.executable, "-m", "pyconntrack"], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_clean_environment_starts_one_interpreter(tmp_path: Path) -> None:
    shim = "import os, sys; os.execv = None; sys.argv[0] = sys.orig_argv[2] = sys.argv.pop(1)"
    start = f"{shim}; exec(open(sys.argv[0]).read())"
    argv = [sys.executable, "-c", start, SCRIPT[1]]
    assert run("-V", argv=argv, cwd=tmp_path).returncode == 0
    assert run("-V", argv=argv, cwd=tmp_path, variables={"PYTHONPATH": "/x"}).returncode == 1


# ---- the end ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "words"),
    [("MemoryError", "not enough memory"), ("KeyError('tuple')", "internal error: KeyError"),
     ("RecursionError('deep')", "internal error: RecursionError"),
     ("SystemExit(0)", "internal error: SystemExit"),
     ("OSError(24, 'Too many open files', '/x')", "/x: Too many open files")],
)  # fmt: skip
def test_an_unexpected_error_is_one_line(error: str, words: str) -> None:
    code = f"from pyconntrack.cli import main\ndef run(*_): raise {error}\n"
    code += "main.run = run\nmain.run_program()\n"
    done = run("-V", argv=[sys.executable, "-c", code])
    assert (done.returncode, done.stdout) == (1, "")
    assert words in done.stderr
    assert one_line(done.stderr)
    done = run("-V", argv=[sys.executable, "-c", code], variables={"PYCONNTRACK_DEBUG": "1"})
    assert done.stderr.startswith("Traceback ")
    assert words in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("error", ["MemoryError", "KeyError(1)", "OSError(28, 'No space')"])
def test_what_was_done_is_told_before_an_unexpected_error(error: str) -> None:
    code = f"""
from pyconntrack.cli import main
def stop(self, command):
    self.out.write(b"done\\n")
    raise {error}
main.Runner.run = stop
main.run_program()
"""
    done = run("-L", "-p", "udp", argv=[sys.executable, "-c", code])
    assert (done.returncode, done.stdout) == (1, "done\n")
    assert one_line(done.stderr)


def test_a_package_that_is_not_there_is_one_line() -> None:
    done = run("-V", argv=[sys.executable, "-S", SCRIPT[1]])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("conntrack: cannot start: ModuleNotFoundError: ")
    assert one_line(done.stderr)


# ---- little memory, few files -------------------------------------------------------------------


@pytest.mark.parametrize("size", [14, 80, 200])
def test_little_memory(size: int) -> None:
    """The work is done whole, or one line says why not; but Python itself has to start."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (size << 20, size << 20))

    if run(argv=[sys.executable, "-c", "import errno, select"], limit=limit).returncode:
        pytest.skip("too little for Python")
    with fresh_netns():
        done = run("-R", "-", stdin=TABLE, limit=limit)
        assert "Traceback" not in done.stderr
        if done.returncode:
            assert one_line(done.stderr)
            assert ours("-C").out == "0\n"
            assert ours("-R", "-", stdin=TABLE).rc == 0
        for words in (["-L"], ["-U", "-m", "7"], ["-D"]):
            done = run(*words, limit=limit)
            assert one_line(done.stderr), done.stderr
            if done.returncode:
                assert "memory" in done.stderr
            else:
                assert done.stdout.count("\n") == 3000
        assert ours("-C").rc == 0


@pytest.mark.parametrize("number", [5, 8])
def test_few_files(number: int) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))

    with fresh_netns():
        assert ours("-R", "-", stdin=TABLE).rc == 0
        for words in (["-L"], ["-U", "-m", "7"], ["-D"]):
            done = run(*words, limit=limit)
            assert one_line(done.stderr), done.stderr
            if done.returncode:
                assert "open files" in done.stderr
            else:
                assert done.stdout.count("\n") >= 3000


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize("forbidden", ["fork", "threads"])
def test_no_second_process_or_thread(forbidden: str) -> None:
    assert ours("-R", "-", stdin=TABLE).rc == 0
    shim = {
        "fork": "os.fork = lambda: os.open('/nowhere/at/all', 0)",
        "threads": "_thread.start_new_thread = lambda *_: exec('raise RuntimeError')",
    }[forbidden]
    code = f"import os, _thread; {shim}; import pyconntrack.cli.main as m; m.run_program()"
    for words in (["-L"], ["-U", "-m", "7"], ["-D"]):
        done = run(*words, argv=[sys.executable, "-c", code])
        assert (done.returncode, done.stdout.count("\n")) == (0, 3000), done.stderr


# ---- closed and full outputs --------------------------------------------------------------------


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize("words", ["-L", "-V", "-D"])
@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)], ids=str)
def test_closed_standard_streams(words: str, closed: tuple[int, ...]) -> None:
    assert ours(*FLOW.format(0, 1).split()).rc == 0

    def limit() -> None:
        for number in closed:
            os.close(number)

    done = run(*words.split(), limit=limit)
    if 1 in closed:
        assert done.returncode == 1
        assert 2 in closed or "Bad file descriptor" in done.stderr
    else:
        assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("netns")
@pytest.mark.parametrize("words", ["-L", "-V", "-D"])
def test_a_full_disk(words: str) -> None:
    assert ours(*FLOW.format(0, 1).split()).rc == 0
    with open("/dev/full", "w") as full:
        done = subprocess.run([*SCRIPT, *words.split()], stdout=full, stderr=subprocess.PIPE,
                              text=True, env=environment(), check=False)  # fmt: skip
    assert done.returncode == 1
    assert "writing standard output: No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
