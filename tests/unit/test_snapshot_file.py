"""Files of snapshots: they bring back what was seen, and nothing in one is trusted."""

from __future__ import annotations

import json
import os
import random
import tracemalloc
from base64 import b64encode
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from zlib import compress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyconntrack import FlowTable, RequestError
from pyconntrack.columnar.anonymous import anonymous_address
from pyconntrack.doctor import Listener, NatRange, Snapshot, anonymize, examine, load, save
from pyconntrack.doctor.report import as_json, plugin, text
from pyconntrack.doctor.sampling import COLUMNS
from support.messages import batch

SEEN = Snapshot(
    host="gw1",
    kernel="6.18.0",
    netns="blue",
    taken_at=1_764_000_000_000_000_000,
    seconds=5.25,
    sysctls={"nf_conntrack_acct": 0, "nf_conntrack_tcp_be_liberal": 1},
    counters=(({"cpu": 0, "drop": 2**32 - 1},), ({"cpu": 0, "drop": 3}, {"cpu": 1, "drop": 0})),
    counts=(10, 12),
    maximum=1000,
    buckets=512,
    expectations={"ftp": 2, "": 1},
    expect_maximum=4096,
    listeners=(Listener(812, "ulogd\x1b[31m", ("new", "destroy"), (5, 18_220), 4096),),
    dump_seconds=0.1,
    nat=(
        NatRange("203.0.113.7/32", "tcp", (1024, 2000), "nft", "ipv4"),
        NatRange("2001:db8::/64", None, None, "nft", "ipv6"),
        NatRange(source="masquerade"),
    ),
    modules=("nf_conntrack", "nf_conntrack_ftp"),
    unknown={"nat": "nft: it is not installed"},
)


def table(seed: int, count: int = 40) -> FlowTable:
    data = b"".join(batch(seed, 5, count))
    return FlowTable.from_batches([(data, len(data))], columns=COLUMNS)


def same(one: Snapshot, other: Snapshot) -> bool:
    """Whether two snapshots are equal; the form of a table in memory does not count."""
    assert one.flows is not None
    assert other.flows is not None
    assert one.flows.columns == other.flows.columns
    return one._replace(flows=None) == other._replace(flows=None) and (
        one.flows.to_dicts() == other.flows.to_dicts()
    )


def written(path: Path, seen: Snapshot) -> bytes:
    path.unlink(missing_ok=True)
    save(seen, path)
    return path.read_bytes()


@pytest.mark.parametrize(("seed", "count"), [(seed, 40) for seed in range(8)] + [(1, 1), (0, 0)])
def test_a_file_brings_back_what_was_seen(tmp_path: Path, seed: int, count: int) -> None:
    seen = SEEN._replace(flows=table(seed, count))
    save(seen, tmp_path / "seen")
    assert same(load(tmp_path / "seen"), seen)
    assert os.stat(tmp_path / "seen").st_mode & 0o777 == 0o600


def test_a_table_that_was_not_read_stays_unread(tmp_path: Path) -> None:
    seen = SEEN._replace(unknown={"flows": "no permission"})
    save(seen, tmp_path / "seen")
    assert load(tmp_path / "seen") == seen


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for name in ("mine", "link"):
        with pytest.raises(FileExistsError):
            save(SEEN, tmp_path / name)
    assert (tmp_path / "mine").read_text() == "precious"
    assert not (tmp_path / "elsewhere").exists()


def test_what_a_file_lacks_is_unknown_and_not_healthy(tmp_path: Path) -> None:
    path = tmp_path / "old"
    path.write_text('{"schema": "pyconntrack-snapshot/1", "host": "gw1", "from_the_future": 1}')
    found = load(path)
    assert found.host == "gw1"
    assert found.unknown.keys() == set(Snapshot._fields) - {"host", "unknown"} | {"unknown"}


def altered(document: dict[str, Any], place: str, value: object) -> bytes:
    """The document as bytes, with the member at ``place`` (names joined by a slash) replaced."""
    copy: Any = json.loads(json.dumps(document))
    *path, last = [int(name) if name.isdecimal() else name for name in place.split("/")]
    inner = copy
    for name in path:
        inner = inner[name]
    inner[last] = value
    return json.dumps(copy).encode()


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("schema", "pyconntrack-snapshot/2", "written by a newer version: its format is 2, this"),
        ("schema", "pyconntrack-snapshot/x", "it is no snapshot of conntrack doctor"),
        ("schema", None, "it is no snapshot of conntrack doctor"),
        ("host", 7, "host: a text is wanted, not 7"),
        ("host", "x" * 5000, "host: a text is wanted, not 'xxx"),
        ("seconds", -1, "seconds: seconds are wanted, not -1"),
        ("seconds", 5e-324, "seconds: seconds are wanted, not 5e-324"),
        ("seconds", float("nan"), "it is no JSON"),
        ("taken_at", 1 << 70, "taken_at: a number is wanted"),
        ("counts", [1], "counts: two members are wanted, not 1"),
        ("counts/0", True, "counts: a number is wanted, not True"),
        ("counters/0/0", {"drop": 1}, r"counters\[0\]: cpu is missing"),
        ("sysctls", [], r"sysctls: an object is wanted, not \[\]"),
        ("listeners/0/pid", "1", r"listeners\[0\].pid: a number is wanted, not '1'"),
        ("listeners/0", {}, r"listeners\[0\]: the members pid, name, groups, drops, rmem are"),
        ("nat/0/address", "10.0.0.1/8", r"nat\[0\].address: a network is wanted"),
        ("nat/0/ports", [9, 5], r"nat\[0\].ports: 9-5 is no range of ports"),
        ("nat/0/source", "guess", r"nat\[0\].source: 'guess' is none of nft, masquerade, xt"),
        ("unknown/health", "", "unknown: 'health' is no member of a snapshot"),
        ("flows", 3, "flows: rows is missing, or of a wrong type"),
        ("flows/rows", 1 << 40, "flows: rows: 1099511627776 is no number from 0 to 16777216"),
        ("flows/rows", 41, "flows: shape: its data is not that of 41 rows"),
        ("flows/rows", 39, "flows: shape: its data is not that of 39 rows"),
        ("flows/names/0", "mark", "flows: names: 'mark' is no column of a snapshot"),
        ("flows/shape", "????", "flows: shape: its data is damaged"),
        ("flows/shapes", [], "flows: shape: a row has a shape that is none"),
        ("flows/shapes/0/0", 7, "flows: shapes: a family and a list of fields of the table"),
        ("flows/columns/orig_src/data", "eJwDAAAAAAE=", "orig_src: its data is not that of 40"),
        ("flows/columns/mark", {}, "flows: columns: 'mark' is none of the names"),
        ("flows/columns", {}, "flows: columns: .* is missing, which rows of shape"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_in_one_line_with_the_place(
    tmp_path: Path, place: str, value: object, message: str
) -> None:
    document = json.loads(written(tmp_path / "seen", SEEN._replace(flows=table(3))))
    path = tmp_path / "wrong"
    path.write_bytes(altered(document, place, value))
    with pytest.raises(RequestError, match=message) as refused:
        load(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "\n" not in str(refused.value)


def test_a_file_that_unpacks_to_more_than_its_rows_is_refused_before_it_does(
    tmp_path: Path,
) -> None:
    document = json.loads(written(tmp_path / "seen", SEEN._replace(flows=table(3))))
    bomb = b64encode(compress(bytes(100 << 20))).decode()
    (tmp_path / "bomb").write_bytes(altered(document, "flows/columns/orig_src/data", bomb))
    tracemalloc.start()
    with pytest.raises(RequestError, match="orig_src: its data is not that of 40 rows"):
        load(tmp_path / "bomb")
    assert tracemalloc.get_traced_memory()[1] < 10 << 20
    tracemalloc.stop()


def test_damaged_files_give_a_snapshot_or_one_line(tmp_path: Path) -> None:
    """Cut anywhere, with bytes changed, and with deep nesting."""
    whole = written(tmp_path / "seen", SEEN._replace(flows=table(5)))
    chance = random.Random(1)
    path = tmp_path / "damaged"
    damaged = [b"", b"[" * 100_000, b"{" * 9, b"\xff\xfe", b"1" * 100_000]
    damaged += [whole[: chance.randrange(len(whole) - 2)] for _ in range(100)]
    for _ in range(400):
        copy = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            copy[chance.randrange(len(copy))] = chance.randrange(256)
        damaged.append(bytes(copy))
    refused = []
    for content in damaged:
        path.write_bytes(content)
        try:
            found = load(path)
        except RequestError as error:
            refused.append(str(error))
        else:
            if found.flows is not None:
                found.flows.to_dicts()
    assert len(refused) > 200
    assert not any("\n" in message for message in refused)


# -- without addresses --------------------------------------------------------------------------


@given(
    st.sampled_from((4, 16)).flatmap(
        lambda size: st.tuples(*[st.binary(min_size=size, max_size=size)] * 2)
    ),
    st.integers(0, 128),
)
def test_replaced_addresses_agree_in_as_many_bits(pair: tuple[bytes, bytes], bits: int) -> None:
    first, second = (int.from_bytes(each) for each in pair)
    size = len(pair[0]) * 8
    low = max(size - bits, 0)
    second = first >> low << low | (second & ((1 << low) - 1))  # a long common prefix
    key = b"k" * 32
    replaced = [
        int.from_bytes(anonymous_address(each.to_bytes(size // 8), key)) for each in (first, second)
    ]
    assert (replaced[0] ^ replaced[1]).bit_length() == (first ^ second).bit_length()


def test_an_empty_table_can_be_made_anonymous() -> None:
    found = anonymize(SEEN._replace(flows=table(0, 0)[:0])).flows
    assert found is not None
    assert len(found) == 0


@pytest.mark.parametrize("seed", range(4))
def test_an_anonymous_snapshot_keeps_all_but_addresses_and_names(seed: int) -> None:
    seen = SEEN._replace(flows=table(seed))
    found = anonymize(seen)
    assert (found.host, found.netns) == ("anonymous", "anonymous")
    assert seen.flows is not None
    assert found.flows is not None
    replaced: dict[str, str] = {}
    for before, after in zip(seen.flows.to_dicts(), found.flows.to_dicts(), strict=True):
        assert before.keys() == after.keys()
        for name, value in before.items():
            if name.endswith(("_src", "_dst")):
                assert replaced.setdefault(value, after[name]) == after[name]
            else:
                assert after[name] == value
    assert len(set(replaced.values())) == len(replaced)
    assert sum(old == new for old, new in replaced.items()) < 5
    assert found._replace(host="gw1", netns="blue", flows=None, nat=SEEN.nat) == SEEN
    again = anonymize(seen).flows
    assert again is not None
    assert again.to_dicts() != found.flows.to_dicts()


def test_an_address_in_a_translated_network_stays_in_it() -> None:
    networks = ("203.0.113.0/29", "0.0.0.0/0", "203.0.113.7/32", "2001:db8:0:5::/64")
    inside = ("203.0.113.6", "10.0.0.1", "203.0.113.7", "2001:db8:0:5::1")
    found = anonymize(SEEN._replace(nat=tuple(NatRange(network) for network in networks)))
    assert [ip_network(row.address or "").prefixlen for row in found.nat] == [29, 0, 32, 64]
    key = b"k" * 32
    for network, address in zip(networks, inside, strict=True):
        whole = ip_network(network)
        base = anonymous_address(whole.network_address.packed, key)
        other = ip_address(anonymous_address(ip_address(address).packed, key))
        assert other in ip_network((base, whole.prefixlen), strict=False)


def test_odd_members_give_findings_or_one_line(tmp_path: Path) -> None:
    """A member anywhere is replaced; what is still a snapshot can be examined and printed."""
    whole = json.loads(written(tmp_path / "seen", SEEN._replace(flows=table(5), unknown={})))
    chance = random.Random(7)
    odd: list[Any] = [None, 0, 1, -1, 2**32, 2**63, 2**64, 1.5, "", "x", "0", [], {}, [1], [[]],
                      {"cpu": 0}, {"a": 1}, True, "\ud800", "10.0.0.0/8", [0, 0]]  # fmt: skip
    path = tmp_path / "odd"
    examined = 0
    for _ in range(200):
        changed: Any = json.loads(json.dumps(whole))
        place = changed
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = chance.choice(keys)
            if not isinstance(place[key], (dict, list)) or chance.random() < 0.2:
                place[key] = chance.choice(odd)
                break
            place = place[key]
        path.write_text(json.dumps(changed), encoding="ascii")
        try:
            found = load(path)
        except RequestError:
            continue
        findings = examine(found)
        examined += 1
        text(found, findings, everything=True).encode()
        as_json(found, findings).encode()
        plugin(found, findings)[0].encode()
        anonymize(found)
    assert examined > 20
