from hypothesis import given
from hypothesis import strategies as st

from aldis.adapters.redis.keyspace import BUCKETS, Keyspace

names = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20), unique=True)


@given(names=names, most=st.integers(1, 5))
def test_every_key_is_in_one_group(names: list[str], most: int) -> None:
    """On one server and in a Cluster: nothing is left out or named twice, and no group is too large."""
    for is_cluster in (False, True):
        keyspace = Keyspace("aldis", is_cluster=is_cluster)
        keys = [keyspace.spread("connected", name) for name in names]

        groups = keyspace.together(keys, most)

        assert sorted(key for group in groups for key in group) == sorted(keys)
        assert all(0 < len(group) <= most for group in groups)


@given(names=names)
def test_keys_of_one_command_share_their_place_in_a_cluster(names: list[str]) -> None:
    """What is in the first braces decides: it is the same for a whole group."""
    keyspace = Keyspace("aldis", is_cluster=True)

    for group in keyspace.together([keyspace.spread("connected", name) for name in names], 1000):
        assert len({key[: key.index("}")] for key in group}) == 1


def test_many_names_are_spread_evenly() -> None:
    """No node of a Cluster gets much more than the others."""
    keyspace = Keyspace("aldis", is_cluster=True)

    groups = keyspace.together([keyspace.spread("connected", f"user-{n}") for n in range(64_000)], 64_000)

    assert len(groups) == BUCKETS
    assert all(800 < len(group) < 1200 for group in groups)


def test_the_streams_of_a_node_share_their_place() -> None:
    """One command reads them all; the node decides."""
    keyspace = Keyspace("aldis", is_cluster=True)

    assert keyspace.stream("gw-1", "express") == "aldis:backplane:{gw-1}:express"
