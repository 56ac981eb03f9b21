"""Who holds the few connections that a server has; only called on the server's thread.

Whoever has shown the token keeps a place. All others share a few, and the next one takes that of
the one who has waited longest at the busiest address: a stranger can hold up strangers at most.
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
    """Of the client, or of its network where one client has many addresses."""
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
        """A place for a new connection, if need be another stranger's.

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
        """Let a connection keep its place; false if too many do already."""
        if not place.trusted and place in self._places:
            place.trusted = sum(other.trusted for other in self._places) < MAX_TRUSTED
        return place.trusted

    def leave(self, place: Place) -> None:
        """A connection has ended; again, it does nothing."""
        if place in self._places:
            self._places.remove(place)

    def _evict(self, strangers: list[Place], address: str) -> None:
        place = next(other for other in strangers if other.address == address)
        self._places.remove(place)
        place.abort()


def _network(address: str) -> str:
    """IPv4 as it is; of IPv6 the part that a client cannot choose, 64 bits."""
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
