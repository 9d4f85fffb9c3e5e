"""``Finding`` and ``Check``: what an examination concludes, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from .examination import Examination

Severity = Literal["ok", "warn", "crit", "unknown"]
#: from the best to the worst, as the exit code of --check takes the worst
SEVERITIES: tuple[Severity, ...] = ("ok", "unknown", "warn", "crit")


class Finding(NamedTuple):
    """A conclusion of one check.

    ``code``: that of the check; ``severity``: "ok", "warn", "crit", or "unknown" if the check could
    not look; ``subject``: what it is about ("203.0.113.7 -> 198.51.100.9:443/tcp"), "" for the
    whole namespace; ``value`` and ``limit``: the measured number and what bounds it, None if there
    is none; ``evidence``: lines that state what was seen; ``advice``: one line that an
    administrator can act on, or "".
    """

    code: str
    severity: Severity
    subject: str = ""
    value: float | None = None
    limit: float | None = None
    evidence: tuple[str, ...] = ()
    advice: str = ""


class Check(NamedTuple):
    """A check: its ``code``, a ``title`` of a few words, and the ``function`` that looks.

    ``needs``: the fields of a Snapshot without which it cannot look; ``function``: takes an
    examination and ``thresholds``, and returns findings, none if all is well; ``thresholds``:
    numbers by name.
    """

    code: str
    title: str
    needs: tuple[str, ...]
    function: Callable[[Examination, Mapping[str, float]], Iterable[Finding]]
    thresholds: Mapping[str, float] = {}

    def findings(self, examination: Examination) -> list[Finding]:
        """Return what this check finds, at least one finding."""
        for field in self.needs:
            if reason := examination.snapshot.unknown.get(field):
                return [Finding(self.code, "unknown", evidence=(reason,))]
        found = list(self.function(examination, self.thresholds))
        return found or [Finding(self.code, "ok", evidence=(self.title,))]
