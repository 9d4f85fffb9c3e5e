"""The in-memory kernel answers as the real one does: the same requests, the same answers.

Ids, ``use`` and the seconds of a timeout that passed meanwhile are left out of the comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pyconntrack import Conntrack, Event, Expect, Filter, Flow, KernelError, RequestError, Tuple
from pyconntrack.testing import Kernel
from support.netns import Namespace
from support.traffic import nft

#: what each kernel decides by itself
OWN = {"id", "use"}
EXAMPLES = 60
NAT_HOOK = "table inet nat { chain c { type nat hook postrouting priority 100;\n}\n}\n"
LABELLING = "table inet t { chain c { type filter hook output priority 0; ct label set 1;\n}\n}\n"

ENDS = {4: ("10.0.0.1", "10.0.0.2", "192.0.2.3"), 6: ("2001:db8::1", "2001:db8::2", "2001:db8::3")}
PROTOS: tuple[str | int, ...] = ("tcp", "udp", "sctp", "gre", "icmp", "icmpv6", "dccp", 253)


@st.composite
def tuples(draw: st.DrawFn, family: int = 0) -> Tuple:
    family = family or draw(st.sampled_from((4, 4, 6)))
    src, dst = draw(st.permutations(ENDS[family]))[:2]
    proto = draw(st.sampled_from(PROTOS))
    if proto in ("icmp", "icmpv6"):
        proto = "icmp" if family == 4 else "icmpv6"
        kinds = (8, 0, 3) if family == 4 else (128, 129, 135)
        fields = {"icmp_id": draw(st.integers(1, 2)), "icmp_type": draw(st.sampled_from(kinds)),
                  "icmp_code": 0}  # fmt: skip
    elif proto == "gre":
        fields = {"srckey": draw(st.integers(1, 2)), "dstkey": 9}
    elif proto == 253:
        fields = {}
    else:
        fields = {"sport": draw(st.integers(1, 2)), "dport": draw(st.sampled_from((9, 1)))}
    return Tuple(src, dst, proto, **fields)


ZONES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    ({}, {}, {}, {"zone": 1}, {"orig_zone": 1}, {"reply_zone": 1}, {"zone": 1, "orig_zone": 1})
)
STATUS = st.lists(
    st.sampled_from(["SEEN_REPLY", "ASSURED", "FIXED_TIMEOUT", "EXPECTED", "DYING", "SRC_NAT"]),
    max_size=2, unique=True,
)  # fmt: skip
SCALES = st.sampled_from((0, 7, 14, 15))
FLAGS = st.sampled_from((0x0101, 0x0A0A, 0x0F0F, 0x0001, 0x0B00, 0xFFFF))
#: fields of a creation or an update; each may be there or not
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "status": STATUS, "mark": st.sampled_from((0, 5, 0xFFFFFFFF)), "labels": st.just([1, 5]),
    "tcp_state": st.sampled_from((0, 3, 9, 10)), "tcp_wscale_orig": SCALES,
    "tcp_wscale_reply": SCALES, "tcp_flags_orig": FLAGS, "tcp_flags_reply": FLAGS,
    "sctp_state": st.sampled_from((0, 3, 8, 9)), "sctp_vtag_orig": st.just(4),
    "sctp_vtag_reply": st.just(5), "helper": st.sampled_from(("ftp", "nonsense", "")),
    "orig_seqadj_correction_pos": st.just(1), "orig_seqadj_offset_before": st.just(2),
    "orig_seqadj_offset_after": st.just(3), "synproxy_isn": st.just(7),
    "synproxy_its": st.just(8), "synproxy_tsoff": st.just(9),
}  # fmt: skip


@st.composite
def fields(draw: st.DrawFn, *more: str) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from([*FIELDS, *more]), max_size=4, unique=True))
    if any(name.startswith("sctp_") for name in names) and draw(st.booleans()):
        names += ["sctp_state", "sctp_vtag_orig", "sctp_vtag_reply"]
    if any("seqadj" in name for name in names) and draw(st.booleans()):
        names += [name for name in FIELDS if "seqadj" in name]
    if any("synproxy" in name for name in names) and draw(st.booleans()):
        names += [name for name in FIELDS if "synproxy" in name]
    extra = {"mark_mask": st.sampled_from((0, 0xF, 0xFFFFFFFF)), "labels_mask": st.just([1])}
    return {name: draw({**FIELDS, **extra}[name]) for name in names}


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    orig = draw(tuples())
    given: dict[str, Any] = draw(fields())
    reply = None
    if draw(st.integers(0, 3)) == 0:  # NAT
        family = 6 if ":" in str(orig.src) else 4
        changed = orig.inverted().to_dict()
        if draw(st.booleans()):
            changed["dst"] = draw(st.sampled_from(ENDS[family]))
        if draw(st.booleans()):
            changed["src"] = draw(st.sampled_from(ENDS[family]))
        if "dport" in changed and draw(st.booleans()):
            changed["dport"] = draw(st.integers(3, 4))
        reply = Tuple(**changed)
    if draw(st.integers(0, 7)) == 0:
        given["master"] = draw(tuples(6 if ":" in str(orig.src) else 4))
    return Flow(orig, reply, timeout=draw(st.sampled_from((1000, 5000))), **draw(ZONES), **given)


@st.composite
def filters(draw: st.DrawFn) -> Filter | None:
    one = draw(tuples(4))
    choices: list[dict[str, Any]] = [
        {"family": "ipv4"}, {"family": "ipv6"}, {"mark": 5}, {"mark": 0}, {"zone": 1}, {"zone": 0},
        {"status": "ASSURED"}, {"proto": one.to_dict()["proto"], "family": "ipv4"},
        {"orig_src": one.src}, {"reply_dst": one.src}, {"orig_src": one.src, "proto": "tcp"},
        {"proto": "tcp", "orig_dport": 9, "family": "ipv4"},
        {"proto": "icmp", "orig_icmp_type": 8, "family": "ipv4"},
        {"proto": "icmpv6", "orig_icmp_id": 1, "family": "ipv6"},
        {"orig_dst": one.dst, "mark": 5, "status": "SEEN_REPLY"},
    ]  # fmt: skip
    found = draw(st.sampled_from([None, *choices]))
    return None if found is None else Filter(**found)


@st.composite
def expectations(draw: st.DrawFn) -> Expect:
    tuple_ = draw(tuples(4).filter(lambda one: one.sport is not None))
    proto = tuple_.to_dict()["proto"]
    mask = Tuple(
        "255.255.255.255", "255.255.255.255", proto, draw(st.sampled_from((0, 65535))), 65535
    )
    return Expect(
        tuple=tuple_, mask=mask, timeout=1000,
        master=draw(tuples(4).filter(lambda one: one.sport is not None)),
    )  # fmt: skip


Operation = Callable[[Conntrack], Any]


def named(name: str, *arguments: Any, **keywords: Any) -> Operation:
    def run(conntrack: Conntrack) -> Any:
        return getattr(conntrack, name)(*arguments, **keywords)

    run.__qualname__ = f"{name}{arguments}{keywords or ''}"
    return run


@st.composite
def operations(draw: st.DrawFn) -> list[Operation]:
    made: list[Flow] = []
    steps: list[Operation] = []
    verbs = ("create", "create", "create", "update", "update", "delete", "get", "dump", "count",
             "load", "flush", "delete_matching", "expect", "expect_ends")  # fmt: skip
    for verb in draw(st.lists(st.sampled_from(verbs), min_size=4, max_size=12)):
        one = draw(tuples())
        target: Tuple | Flow = one.inverted() if draw(st.booleans()) else one
        if made and draw(st.integers(0, 3)) > 0:
            known: Flow = draw(st.sampled_from(made))
            zones = {name: getattr(known, name) for name in ("zone", "orig_zone", "reply_zone")}
            target = Flow(known.orig).replace(**zones)
        if verb == "create":
            made.append(draw(flows()))
            steps.append(named("create", made[-1]))
        elif verb == "load":
            loaded: list[Flow] = list(draw(st.lists(flows(), max_size=4)))
            made += loaded
            steps.append(named("load", loaded))
        elif verb == "update":
            changes = draw(fields("mark_mask", "labels_mask")) or {"mark": 1}
            if "labels_mask" in changes:
                changes.setdefault("labels", [1])
            if draw(st.booleans()):
                changes["timeout"] = 2000
            steps.append(named("update", target, **changes))
        elif verb in ("delete", "get"):
            steps.append(named(verb, target))
        elif verb == "dump":
            steps.append(named("dump", draw(filters())))
        elif verb == "delete_matching":
            steps.append(named(verb, draw(filters()) or Filter(mark=5)))
        elif verb == "expect":
            expect = draw(expectations())
            master = Flow(expect.master, timeout=1000, helper="ftp")
            made.append(master)
            steps += [named("create", master), named("create_expectation", expect)]
            steps += [named("get_expectation", expect.tuple), named("expectations")]
            if draw(st.booleans()):
                steps.append(named("delete_expectation", expect.tuple))
        elif verb == "expect_ends":
            steps += [named("flush_expectations"), named("expectations")]
        else:
            steps.append(named(verb))
    return [*steps, named("dump"), named("expectations"), named("count")]


def plain(result: Any) -> Any:
    """What two kernels must agree on."""
    if isinstance(result, (Flow, Expect)):
        values = dict(sorted(result._values().items()))
        for name in OWN & values.keys():
            del values[name]
        if "timeout" in values:
            values["timeout"] = (values["timeout"] + 9) // 10
        return values
    if isinstance(result, Event):
        return result.kind, plain(result.flow or result.expect)
    if isinstance(result, int) or result is None:
        return result
    found = [plain(getattr(one, "flow", one)) for one in result]
    return sorted(found, key=repr)


def answers(conntrack: Conntrack, steps: list[Operation]) -> Iterator[Any]:
    """Yield what each step answers: its result or errno, and its events."""
    groups = ("new", "update", "destroy", "exp_new", "exp_destroy")
    with conntrack.events(groups) as events:
        for step in steps:
            try:
                result = plain(step(conntrack))
            except KernelError as error:
                result = error.errno
            except RequestError as error:
                result = str(error)
            news = []
            while (event := events.read(0)) is not None:
                news.append(plain(event))
            yield result, sorted(news, key=repr)


@contextmanager
def emptied() -> Iterator[Conntrack]:
    with Conntrack() as conntrack:
        conntrack.flush_expectations()
        conntrack.flush()
        yield conntrack


@pytest.mark.filterwarnings("ignore:.* created without the master")
@pytest.mark.parametrize("labels", [False, True])
def test_both_kernels_answer_alike(netns: Namespace, labels: bool) -> None:
    nft(NAT_HOOK)
    if labels:
        nft(LABELLING)

    # not shrunk: it takes minutes, and the steps of an example are few
    @settings(max_examples=EXAMPLES, phases=[Phase.generate])
    @given(steps=operations())
    def compare(steps: list[Operation]) -> None:
        with ExitStack() as stack:
            real = stack.enter_context(emptied())
            kernel = stack.enter_context(Kernel(labels=labels))
            memory = stack.enter_context(kernel.connect())
            both = zip(steps, answers(real, steps), answers(memory, steps), strict=True)
            for number, (step, theirs, ours) in enumerate(both):
                done = [one.__qualname__ for one in steps[:number]]
                story = "\n".join([*done, step.__qualname__, f"memory {ours}", f"real {theirs}"])
                assert ours == theirs, story

    compare()
