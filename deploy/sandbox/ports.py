"""Free TCP ports on loopback for servers that are killed and come back.

They lie below the kernel's range for outgoing connections. A port inside that range can be taken by any
outgoing connection while its server is down; a client that retries it may even connect to itself
(TCP simultaneous open), and then the restarted server cannot bind.
"""

import random
import socket
from contextlib import ExitStack
from pathlib import Path

LOWEST_PORT = 10_000
EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LINUX_EPHEMERAL_START = 32_768
TRIES = 200


def free_ports(count: int, *, rng: random.Random) -> list[int]:
    """`count` different ports that were free a moment ago.

    Raises:
        OSError: none found in `TRIES` tries for each.
    """
    end = ephemeral_start()
    ports: list[int] = []
    with ExitStack() as held:
        for _ in range(count * TRIES):
            if len(ports) == count:
                return ports
            probe = held.enter_context(socket.socket())
            port = rng.randrange(LOWEST_PORT, end)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
    if len(ports) < count:
        raise OSError(f"no {count} free ports between {LOWEST_PORT} and {end}")
    return ports


def ephemeral_start() -> int:
    """The first port of the kernel's range for outgoing connections."""
    try:
        start = int(EPHEMERAL_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return LINUX_EPHEMERAL_START
    # A machine tuned to use nearly every port leaves no room below; then any port must do.
    return start if start > LOWEST_PORT + 1_000 else LINUX_EPHEMERAL_START
