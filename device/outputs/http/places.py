"""Shares the few connections that a server allows; only called on the server's thread.

Clients with the token keep their place. All others share a few places: a new one takes the place of
the oldest connection from the busiest address, so strangers can only get in the way of strangers.
"""

import ipaddress
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

MAX_TRUSTED = 32
MAX_STRANGERS = 16
MAX_STRANGERS_AN_ADDRESS = 8


@dataclass(eq=False)
class Place:
    """One open connection."""

    address: str
    """The client's address, or its network if a client may have many addresses."""
    abort: Callable[[], None]
    """Ends the connection at once."""
    trusted: bool = False


class Places:
    """All open connections, the oldest first."""

    def __init__(self) -> None:
        self._places: list[Place] = []

    def __len__(self) -> int:
        return len(self._places)

    def take(self, address: str, abort: Callable[[], None]) -> Place:
        """A place for a new connection, taken from another stranger if necessary.

        Args:
            address: of the client, as a socket has it.
            abort: ends the connection at once, when its place is taken.
        """
        place = Place(_network(address), abort)
        strangers = [other for other in self._places if not other.trusted]
        crowd = Counter(other.address for other in strangers)
        if crowd[place.address] >= MAX_STRANGERS_AN_ADDRESS:
            self._evict(strangers, place.address)
        elif len(strangers) >= MAX_STRANGERS:
            self._evict(strangers, crowd.most_common(1)[0][0])
        self._places.append(place)
        return place

    def trust(self, place: Place) -> bool:
        """Let a connection keep its place; false if too many have one already."""
        if not place.trusted and place in self._places:
            place.trusted = sum(other.trusted for other in self._places) < MAX_TRUSTED
        return place.trusted

    def leave(self, place: Place) -> None:
        """Free the place of a connection that has ended; calling it again does nothing."""
        if place in self._places:
            self._places.remove(place)

    def _evict(self, strangers: list[Place], address: str) -> None:
        place = next(other for other in strangers if other.address == address)
        self._places.remove(place)
        place.abort()


def _network(address: str) -> str:
    """IPv4 unchanged; of IPv6 the first 64 bits, which a client cannot choose."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return address
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    if ip.is_link_local or ip.is_loopback:
        return address
    return str(ipaddress.ip_network((int(ip), 64), strict=False))
