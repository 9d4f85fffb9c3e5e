"""Times and durations: ``2026-11-25T08:00``, ``1h30m``."""

from __future__ import annotations

from time import gmtime, strftime

from ..ctnetlink.predicates import SECOND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: a whole number below this, a time in March 1973, is taken for seconds or milliseconds, not for
#: nanoseconds since 1970
_LEAST = 10**17


def instant(text: str) -> int | None:
    """Return the nanoseconds since 1970 of a time, or None if ``text`` is none.

    A date (midnight) or a date and a time of ISO 8601, local unless it ends with ``Z`` or an
    offset, with at most nine decimals; or the nanoseconds themselves.
    """
    from datetime import datetime

    if not text.isascii():
        return None
    if text.isdigit():
        return int(text) if text == "0" or int(text[:21]) >= _LEAST else None
    day, _, clock = text.upper().replace(" ", "T", 1).partition("T")
    zone = clock.lstrip("0123456789:.")
    clock, point, decimals = clock.removesuffix(zone).partition(".")
    fits = len(day) == 10 and len(clock) in ((8,) if point else (0, 5, 8))
    if not fits or (point and not (decimals.isdigit() and len(decimals) < 10)):
        return None
    try:
        moment = datetime.fromisoformat(f"{day}T{clock}{zone}" if clock else day + zone)
        seconds = int(moment.timestamp())
    except (ValueError, OverflowError, OSError):
        return None
    return seconds * SECOND + int(decimals.ljust(9, "0")) if seconds >= 0 else None


def iso(nanoseconds: int) -> str:
    """Return a time as :func:`instant` reads it, in UTC."""
    seconds, rest = divmod(nanoseconds, SECOND)
    decimals = f".{rest:09}".rstrip("0") if rest else ""
    return strftime("%Y-%m-%dT%H:%M:%S", gmtime(seconds)) + decimals + "Z"


def scaled(text: str, units: Mapping[str, int]) -> int | None:
    """Return a whole number with its unit, or several with ever smaller ones (``1h30m``)."""
    total, last = 0, 0
    while text:
        rest = text.lstrip("0123456789")
        digits = text[: len(text) - len(rest)]
        after = rest.lstrip(LETTERS)
        unit = rest[: len(rest) - len(after)].lower()
        if not digits or len(digits) > 20 or (len(digits) > 1 and digits[0] == "0"):
            return None
        factor = units.get(unit) if unit else 1
        if factor is None or (last and (not unit or factor >= last)):
            return None
        total, last, text = total + int(digits) * factor, factor, after
    return total if last else None
