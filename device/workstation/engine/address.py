"""Addresses of a Ray cluster, refused before Ray would wait for a minute for one that is wrong.

It needs only the standard library: `make` asks it before it installs Ray.
"""

import socket

from device.errors import ClusterError, UsageError, one_line

CONNECT_S = 5.0
AUTO, HERE = "auto", "local"
"""The cluster of this machine; one that is started for this command alone."""


def check_address(address: str) -> None:
    """Refuse an address that is none, or at which nothing answers.

    Raises:
        UsageError: if it is none.
        ClusterError: if nothing answers.
    """
    if not address:
        raise UsageError(
            "ENGINE=ray needs RAY_ADDRESS=: HOST:PORT of the cluster's head, auto on one of its "
            "nodes, or local to try it on this machine"
        )
    if address in (AUTO, HERE):
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdecimal():
        raise UsageError(
            f"RAY_ADDRESS={address}: give HOST:PORT, or auto, on a node of the cluster; or local"
        )
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"no Ray cluster answers at RAY_ADDRESS={address} ({one_line(error)}): start it, see "
            "train/cluster"
        ) from error
