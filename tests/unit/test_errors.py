"""Errors: their classes, what they say of a refusal, and that they survive a copy."""

from __future__ import annotations

import copy
import errno
import pickle

import pytest

import pyconntrack
from pyconntrack import (
    Conntrack,
    ConntrackError,
    EventsLost,
    ExistsError,
    Expect,
    Filter,
    Flow,
    KernelError,
    NotFoundError,
    NotSupportedError,
    PermissionDeniedError,
    TableFullError,
    Tuple,
    WhereError,
)
from pyconntrack.cli.console import failure
from pyconntrack.errors import kernel_error
from pyconntrack.testing import ScriptedKernel, Step, ack, done, dump_of

ONE = Tuple("10.0.0.1", "10.0.0.2", "tcp", 1000, 80)
FLOW = Flow(ONE, ONE.inverted(), timeout=60, id=7, labels=[1])
WHOLE = Tuple("255.255.255.255", "255.255.255.255", "tcp", 65535, 65535)
EXPECT = Expect(ONE, WHOLE, ONE, timeout=60, flags="PERMANENT")


def script(*steps: Step) -> Conntrack:
    return Conntrack(transport=ScriptedKernel(steps))


@pytest.mark.parametrize(
    ("number", "operation", "wanted"),
    [
        (errno.EPERM, "listing flows", PermissionDeniedError),
        (errno.EACCES, "opening nfnetlink", PermissionDeniedError),
        (errno.EOPNOTSUPP, "creating a flow", NotSupportedError),
        (errno.EPROTONOSUPPORT, "opening nfnetlink", NotSupportedError),
        (errno.ENOENT, "deleting a flow", NotFoundError),
        (errno.EEXIST, "creating a flow", ExistsError),
        (errno.ENOMEM, "creating a flow", TableFullError),
        (errno.ENOSPC, "creating a flow", TableFullError),
        (errno.EMFILE, "creating an expectation", TableFullError),
        # the same numbers where no table is full
        (errno.ENOMEM, "listing flows", KernelError),
        (errno.ENOSPC, "updating a flow", KernelError),
        (errno.EMFILE, "opening nfnetlink", KernelError),
        (errno.EINVAL, "creating a flow", KernelError),
    ],
)
def test_the_class_of_a_refusal(number: int, operation: str, wanted: type[KernelError]) -> None:
    error = kernel_error(number, operation)
    assert type(error) is wanted
    assert isinstance(error, ConntrackError)
    assert isinstance(error, OSError)
    assert error.errno == number
    assert errno.errorcode[number] in str(error)


def test_too_many_open_files_is_not_taken_for_a_full_table() -> None:
    assert "expect_max" not in str(kernel_error(errno.EMFILE, "opening nfnetlink"))
    assert "expect_max" in str(kernel_error(errno.EMFILE, "creating an expectation"))


def test_every_class_of_errors_has_one_base() -> None:
    classes = [value for name in pyconntrack.__all__ if isinstance(
        value := getattr(pyconntrack, name), type) and issubclass(value, Exception)]  # fmt: skip
    assert len(classes) > 10
    assert [cls for cls in classes if not issubclass(cls, ConntrackError)] == []
    raised = [cls.__name__ for cls in classes if cls is not EventsLost]
    assert [name for name in raised if not name.endswith("Error")] == []


def test_an_error_is_the_same_after_a_copy() -> None:
    for error in (
        kernel_error(errno.ENOENT, "deleting a flow", "why", FLOW, "labels"),
        EventsLost(5, exact=False),
        WhereError("wrong", "mark", 3),
        pyconntrack.DumpInterruptedError("listing flows: the table changed meanwhile"),
    ):
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert type(again) is type(error)
            assert str(again) == str(error)
            for name in ("errno", "operation", "ext_ack", "flow", "attribute", "count", "exact",
                         "column"):  # fmt: skip
                assert getattr(again, name, None) == getattr(error, name, None)


# -- the refused attribute ----------------------------------------------------------------------


def test_a_refusal_names_the_attribute() -> None:
    refuse = ack(errno.ERANGE, "too long", attribute="labels")
    with script(Step(refuse)) as conntrack, pytest.raises(KernelError) as caught:
        conntrack.create(FLOW)
    assert caught.value.attribute == "labels"
    assert caught.value.ext_ack == "too long"
    assert "too long (attribute labels)" in str(caught.value)
    assert failure(errno.ERANGE, caught.value.reason).endswith("(too long (attribute labels))")


def test_a_refusal_without_an_offset_names_none() -> None:
    with script(Step(ack(errno.EINVAL, "why"))) as conntrack, pytest.raises(KernelError) as caught:
        conntrack.create(FLOW)
    assert caught.value.attribute is None
    assert str(caught.value).endswith(f"(EINVAL): why [{FLOW}]")


def test_a_refusal_of_an_expectation_names_the_attribute() -> None:
    refuse = ack(errno.EINVAL, attribute="flags")
    with script(Step(refuse)) as conntrack, pytest.raises(KernelError) as caught:
        conntrack.create_expectation(EXPECT)
    assert "(EINVAL): attribute flags" in str(caught.value)
    assert caught.value.attribute == "flags"


def test_a_refused_flow_of_a_load_names_the_attribute() -> None:
    other = Flow(ONE.inverted(), timeout=60, mark=5)
    refuse = ack(errno.EINVAL, attribute="mark", index=1), ack()
    with script(Step(*refuse)) as conntrack:
        [refused] = conntrack.load([FLOW, other])
    assert (refused.index, refused.error.attribute) == (1, "mark")


def test_a_refused_renewal_names_the_attribute_of_its_own_request() -> None:
    old = FLOW.replace(timeout=5)
    steps = (
        Step(ack(errno.EEXIST)), Step(lambda request: dump_of(old)(request), ack()),
        Step(ack(errno.EINVAL, attribute="timeout")),
    )  # fmt: skip
    with script(*steps) as conntrack:
        [refused] = conntrack.load([FLOW.replace(labels=None)], existing="update")
    assert refused.error.attribute == "timeout"


def test_a_refused_delete_of_many_names_the_attribute() -> None:
    steps = Step(dump_of(FLOW), done()), Step(ack(errno.EINVAL, attribute="id"))
    with script(*steps) as conntrack, pytest.raises(KernelError) as caught:
        conntrack.delete_matching(Filter(mark=0))
    assert (caught.value.attribute, caught.value.flow) == ("id", FLOW)
