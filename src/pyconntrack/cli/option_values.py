"""Convert the text of one option value to a Python value, strictly.

Where conntrack(8) reports an error, the same error is reported; where it would silently misread a
value, an error states what is wrong and what would be right.
"""

from __future__ import annotations

from _socket import getprotobyname

from .console import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from .options import Option


def number(text: str, *, octal: bool = True) -> int:
    """Return a number in C notation (decimal, 0x hexadecimal or, if ``octal``, 0 octal), or -1."""
    if not text.isalnum() or not text.isascii():
        return -1
    base = 10
    if text[0] == "0" and len(text) > 1:
        base = 16 if text[1] in "xX" else 8 if octal else 10
    try:
        return int(text, base)
    except ValueError:
        return -1


def decimal(text: str, limit: int) -> int:
    """Return a number from 0 to ``limit`` written in decimal digits only, or -1."""
    value = number(text, octal=False) if text.isdecimal() else -1
    return value if value <= limit else -1


def bounded(text: str, limit: int, what: str, *, octal: bool = False) -> int:
    """Return a number from 0 to ``limit``; ``octal``: a leading 0 means octal.

    Raises UsageError, which names ``what``, for anything else.
    """
    value = number(text, octal=octal)
    if not 0 <= value <= limit:
        raise UsageError(f"Invalid {what} `{text}': a number from 0 to {limit} is expected")
    return value


def unexpected(text: str, letter: str) -> UsageError:
    """Return the error that conntrack(8) reports for marks, zones and ids."""
    return UsageError(f"unexpected value '{text}' with -{letter} option", 1)


def mark(text: str) -> tuple[int, int | None]:
    """Read MARK[/MASK]."""
    left, slash, right = text.partition("/")
    value = number(left)
    mask = number(right) if slash else None
    if not 0 <= value <= 0xFFFFFFFF or (mask == -1 and right):
        raise unexpected(text, "m")
    if mask is not None and not 0 <= mask <= 0xFFFFFFFF:
        raise UsageError(
            f"Invalid mask `{right}' in `{text}': a number from 0 to 0xffffffff is expected"
        )
    return value, mask


def seconds(text: str, limit: int, what: str, *, least: int = 0) -> int:
    """Read a time: a number of seconds, or one with units, such as ``90s`` or ``1h30m``."""
    value = number(text, octal=False)
    if value < 0:
        from ..where.fields import TIME
        from ..where.times import scaled

        found = scaled(text, TIME) if text.isascii() else None
        value = -1 if found is None else found
    if not least <= value <= limit:
        raise UsageError(f"Invalid {what} `{text}': a number from {least} to {limit} is expected, "
                         "or a time such as 90s, 1h30m")  # fmt: skip
    return value


def ports(text: str, what: str) -> int | Service | tuple[Any, ...]:
    """Read a port, or a list of ports and ranges as pairs: ``80,8000-8100,https``.

    The name of a service is left as its port by protocol, for :func:`numbered`.
    """
    if text.isdecimal() and text.isascii():
        return port(text, what)
    found: list[Any] = []
    for part in text.split(","):
        low, dash, high = part.partition("-")
        if not (low + high).isdecimal() or not (low and (high or not dash)):
            found.append(_service(part, what, text))
            continue
        pair = port(low, what, text), port(high if dash else low, what, text)
        if pair[0] > pair[1]:
            raise UsageError(f"Invalid range `{part}' of --{what}: it ends before it begins")
        found.append(pair)
    if "," not in text and isinstance(found[0], Service):
        return found[0]
    return tuple(found)


class Service:
    """A service of some ``name``: its ``ports`` by the names of protocols."""

    __slots__ = ("name", "ports")

    def __init__(self, name: str, ports: dict[str, int]) -> None:
        self.name, self.ports = name, ports

    def number(self, protocols: Sequence[str], what: str) -> int:
        """Return its port; raise UsageError where it has several in these ``protocols``.

        Where it is not registered for them, or none are given, those of all protocols count.
        """
        ports = {name: port for name, port in self.ports.items() if name in protocols}
        ports = ports or self.ports
        if len({*ports.values()}) > 1:
            known = " and ".join(f"{port} of {name}" for name, port in ports.items())
            raise UsageError(f"Invalid port `{self.name}' of --{what}: it is {known}; "
                             "give the number, or one protocol")  # fmt: skip
        return next(iter(ports.values()))


def _service(text: str, what: str, whole: str) -> Service:
    from ..where.services import nearest, ports_of

    ports = ports_of(text)
    if not ports:
        raise UsageError(f"Invalid port `{whole}' of --{what}: a number from 0 to 65535 or the "
                         f"name of a service is expected{nearest(text)}")  # fmt: skip
    return Service(text, ports)


def numbered(value: Any, protocols: Sequence[str], what: str) -> int | tuple[tuple[int, int], ...]:
    """Return what :func:`ports` read, with the number of each service."""
    if isinstance(value, Service):
        return value.number(protocols, what)
    pairs: list[tuple[int, int]] = []
    for item in value:
        if isinstance(item, Service):
            item = (item.number(protocols, what),) * 2
        pairs.append(item)
    return tuple(pairs)


def port(text: str, what: str, whole: str = "") -> int:
    """Read one port."""
    value = decimal(text, 65535)
    if value < 0:
        raise UsageError(
            f"Invalid port `{whole or text}' of --{what}: a number from 0 to 65535 is expected"
        )
    return value


def protocol(text: str, known: Iterable[tuple[str, int]]) -> int:
    """Read a protocol: a ``known`` name, one from /etc/protocols, or a number."""
    names = tuple(known)
    for name, value in names:
        if matching(text, (name,)):
            return value
    value = number(text)
    if value == -1 and text.isascii() and "\0" not in text:
        try:
            value = getprotobyname(text)
        except OSError:
            pass
    if not 0 <= value <= 255:
        from .advice import unknown_word

        raise unknown_word(f"`{text}' unsupported protocol", "" if value > 255 else text,
                      (*(name for name, _ in names), "a number from 0 to 255"))  # fmt: skip
    return value


def protocols(text: str, known: Iterable[tuple[str, int]]) -> tuple[int, ...]:
    """Read a list of protocols, each as :func:`protocol` reads it."""
    names = tuple(known)
    return tuple(dict.fromkeys([protocol(part, names) for part in text.split(",")]))


def matching(text: str, known: Iterable[str], short: Iterable[str] = ()) -> list[str]:
    """Return the words of ``known`` that ``text`` may stand for: the rule of all vocabularies.

    Case is ignored; words in ``short`` may be abbreviated to a prefix.
    """
    upper = text.upper()
    whole = [word for word in known if word.upper() == upper]
    return whole or [word for word in short if upper and word.upper().startswith(upper)]


def words(text: str, known: Iterable[str], short: Iterable[str], bits: bool = False) -> list[str]:
    """Split a list of ``known`` words; with ``bits`` a word may have a ``!``, which is kept."""
    vocabulary, found = tuple(known), []
    rest: str | None = text
    while rest is not None:
        bang = "!" if bits and rest.startswith("!") else ""
        word, comma, tail = rest[len(bang) :].partition(",")
        fitting = matching(word, vocabulary, short)
        if len(fitting) != 1:
            message = f"Bad parameter `{rest[len(bang) :]}'"
            if not fitting:
                from .advice import unknown_word

                raise unknown_word(message, word, vocabulary)
            near = " or ".join(f"`{each}'" for each in fitting)
            raise UsageError(f"{message}: do you mean {near}?")
        found.append(bang + fitting[0])
        rest = tail if comma else None
    return found


def names(text: str, what: str) -> list[str]:
    """Split a list of names, none of them empty."""
    found = text.split(",")
    if not all(found):
        raise UsageError(f"Empty name in `{text}' of --{what}")
    return found


def read_labelmap(path: str) -> dict[str, int]:
    """Read lines of ``bit name``; raise OSError if the file cannot be read."""
    bits: dict[str, int] = {}
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            fields = line.split()
            if len(fields) > 1 and 0 <= (bit := number(fields[0])) <= 127:
                bits.setdefault(fields[1], bit)
    return bits


def label_names(path: str) -> dict[int, str]:
    """Read the label map as the name of each bit."""
    return {bit: name for name, bit in read_labelmap(path).items()}


def _number(text: str, row: Option) -> int:
    letter = {"zone": "w", "orig_zone": "(", "reply_zone": ")", "secmark": "c", "id": "i"}.get(
        row.field
    )
    if letter is None:  # of these conntrack(8) reads only the keys of GRE as C does
        return bounded(text, row.detail, row.name, octal=row.field.endswith("key"))
    value = number(text)
    if not 0 <= value <= row.detail:
        raise unexpected(text, letter)
    return value


def _seconds(text: str, row: Option) -> int:
    # a timer of 0 would never go off
    timer = row.field == "for"
    return seconds(text, row.detail, "time" if timer else row.name, least=int(timer))


def _choice(text: str, row: Option) -> Any:
    choices, error = row.detail
    fitting = matching(text, choices)
    if not fitting:
        from .advice import unknown_word

        raise unknown_word(f"{error} `{text}'", text, choices)
    return choices[fitting[0]]


def _states(text: str, row: Option) -> int | tuple[int, ...]:
    choices, error = row.detail
    numbers = []
    for word in text.split(","):
        fitting = matching(word, choices)
        if not fitting:
            from .advice import unknown_word

            raise unknown_word(f"{error} `{word}'", word, choices)
        numbers.append(choices[fitting[0]])
    return numbers[0] if len(numbers) == 1 else tuple(dict.fromkeys(numbers))


def states_of(text: str, rows: Sequence[Option]) -> list[tuple[str, tuple[int, ...]]]:
    """Return the state fields of protocols, each with those numbers that the words have in it."""
    words = text.split(",")
    for word in words:
        if not any(matching(word, row.detail[0]) for row in rows):
            known = dict.fromkeys(state for row in rows for state in row.detail[0])
            message = f"unknown state `{word}'"
            from .advice import unknown_word

            raise unknown_word(message, word, known) if known else UsageError(message)
    found = []
    for row in rows:
        choices = row.detail[0]
        numbers = [choices[name] for word in words for name in matching(word, choices)]
        if numbers:
            found.append((row.field, tuple(dict.fromkeys(numbers))))
    return found


def _sort(text: str, row: Option) -> list[tuple[str, bool]]:
    words = names(text, row.name)
    order = [(word.removeprefix("-"), word.startswith("-")) for word in words]
    if ("", True) in order:
        raise UsageError(f"Empty name in `{text}' of --{row.name}")
    return order


#: kind of an option's value -> its reader
READERS: dict[str, Callable[[str, Option], Any]] = {
    "flag": lambda text, row: True,
    "number": _number,
    "port": lambda text, row: port(text, row.name),
    "ports": lambda text, row: ports(text, row.name),
    "names": lambda text, row: names(text, row.name),
    "mark": lambda text, row: mark(text),
    "choice": _choice,
    "states": _states,
    "seconds": _seconds,
    "sort": _sort,
}
