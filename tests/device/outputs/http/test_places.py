"""Connections without the token never take the place of one that has it."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from device.outputs.http import places
from device.outputs.http.places import (
    MAX_STRANGERS,
    MAX_STRANGERS_AN_ADDRESS,
    MAX_TRUSTED,
    Place,
    Places,
)

MOVES = st.lists(st.tuples(st.sampled_from(["come", "trust", "leave"]), st.integers(0, 30)))


@given(MOVES)
def test_strangers_are_few_newcomers_get_in_and_the_trusted_stay(
    moves: list[tuple[str, int]],
) -> None:
    hall, here, thrown = Places(), list[Place](), list[Place]()
    for move, number in moves * 4:
        if move == "come":
            mine: list[Place] = []
            place = hall.take(f"192.168.1.{number % 7}", lambda m=mine: thrown.append(m[0]))  # type: ignore[misc]
            mine.append(place)
            here.append(place)
        elif here and move == "trust":
            hall.trust(here[number % len(here)])
        elif here:
            hall.leave(here.pop(number % len(here)))
        here = [place for place in here if place not in thrown]
        assert set(hall._places) == set(here)
        strangers = Counter(place.address for place in here if not place.trusted)
        assert strangers.total() <= MAX_STRANGERS
        assert max(strangers.values(), default=0) <= MAX_STRANGERS_AN_ADDRESS
        assert sum(place.trusted for place in here) <= MAX_TRUSTED
    assert not any(place.trusted for place in thrown)


def test_the_busiest_address_gives_way_and_its_oldest_first() -> None:
    hall, gone = Places(), list[str]()

    def come(address: str, name: str) -> Place:
        return hall.take(address, lambda: gone.append(name))

    quiet = come("10.0.0.9", "quiet")
    for number in range(100):
        come("10.0.0.1", f"noisy {number}")
        come("10.0.0.2", f"noisy too {number}")
    assert "quiet" not in gone and gone[0] == "noisy 0"
    assert hall.trust(quiet)


def test_one_ipv6_network_is_one_address_and_ipv4_is_itself() -> None:
    network = places._network
    assert network("2001:db8:1:2::1") == network("2001:db8:1:2:ffff::9")
    assert network("2001:db8:1:3::1") != network("2001:db8:1:2::1")
    assert network("::ffff:192.168.1.5") == network("192.168.1.5") == "192.168.1.5"
    assert network("::ffff:192.168.1.5") != network("::ffff:192.168.1.6")
    assert network("fe80::1%eth0") != network("fe80::2%eth0")
    assert network("::1") == "::1" and network("") == ""
