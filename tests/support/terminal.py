"""Programs on a pseudo terminal of a given size, as a person has them."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from .ctool import environment
from .traffic import TIMEOUT


class Terminal:
    """A program whose standard streams, and controlling terminal, are a pseudo terminal.

    The program starts in the network namespace of the calling thread.  ``text`` is all that it
    wrote so far, its newlines as ``\\n``; ``env``: variables added to its environment.  Leaving the
    context ends it.
    """

    def __init__(
        self, argv: Sequence[str], *, columns: int = 80, rows: int = 24,
        env: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        inherited = {
            key: text
            for key, text in environment().items()
            if key not in ("NO_COLOR", "COLUMNS", "LINES")
        }
        self.text = ""
        try:
            # setsid becomes the program: Ctrl-C reaches it as it does from a shell
            self.process = subprocess.Popen(
                ["setsid", "--ctty", *argv],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env={**inherited, "TERM": "xterm-256color", **(env or {})},
            )
        finally:
            os.close(slave)

    def send(self, text: str) -> None:
        """Type ``text``; ``\\x03`` is Ctrl-C, ``\\t`` the tabulator."""
        os.write(self._master, text.encode())

    def _read(self, seconds: float) -> bool:
        """Read what arrives within ``seconds``; return False at the end."""
        if select.select([self._master], [], [], seconds)[0]:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # EIO: the last program has closed it
                return False
            self.text += data.decode("utf-8", "replace").replace("\r\n", "\n")
            return bool(data)
        return True

    def until(self, word: str, seconds: float = TIMEOUT, *, start: int = 0) -> str:
        """Return the text from ``start`` up to the first ``word``, which must come."""
        deadline = time.monotonic() + seconds
        while word not in self.text[start:]:
            assert time.monotonic() < deadline, f"no {word!r} in {self.text[start:]!r}"
            if not self._read(0.05):
                assert word in self.text[start:], f"ended without {word!r}: {self.text[start:]!r}"
        return self.text[start : self.text.index(word, start)]

    def end(self, seconds: float = TIMEOUT) -> int:
        """Read to the end; return the exit code."""
        deadline = time.monotonic() + seconds
        while self._read(0.05):
            assert time.monotonic() < deadline, f"goes on: {self.text!r}"
        return self.process.wait(seconds)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        with suppress(OSError):
            os.close(self._master)


def run(
    argv: Sequence[str], *, columns: int = 80, env: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Return the exit code of a program on a terminal, and all that it showed there."""
    with Terminal(argv, columns=columns, env=env) as terminal:
        return terminal.end(), terminal.text
