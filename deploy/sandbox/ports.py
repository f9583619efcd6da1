"""Free TCP ports on loopback for servers that are killed and come back.

They lie below the kernel's range for outgoing connections. A port inside that range can be taken by any
outgoing connection while its server is down; a client that retries it may even connect to itself
(TCP simultaneous open), and then the restarted server cannot bind.

Several sites may run beside each other, and a port that is free now may be another site's whose server is just
starting. So each process takes its ports from a block that is its own for as long as it lives.
"""

import fcntl
import itertools
import os
import socket
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

LOWEST_PORT = 10_000
BLOCK_PORTS = 200
EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
LINUX_EPHEMERAL_START = 32_768


def free_ports(count: int) -> list[int]:
    """`count` different ports, free a moment ago, that no other process takes from here. Each comes again late.

    Raises:
        OSError: so many are not free in the block, or all blocks are taken.
    """
    ports: list[int] = []
    for port in itertools.islice(_ports(), BLOCK_PORTS):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise OSError(f"no {count} free ports in this process's block of {BLOCK_PORTS}")


def ephemeral_start() -> int:
    """The first port of the kernel's range for outgoing connections."""
    try:
        start = int(EPHEMERAL_RANGE.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return LINUX_EPHEMERAL_START
    # A machine tuned to use nearly every port leaves no room below; then any port must do.
    return start if start > LOWEST_PORT + 1_000 else LINUX_EPHEMERAL_START


@cache
def _ports() -> Iterator[int]:
    """The ports of this process's block, round and round."""
    folder = Path(tempfile.gettempdir()) / f"gatelight-ports-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    for start in range(LOWEST_PORT, ephemeral_start() - BLOCK_PORTS + 1, BLOCK_PORTS):
        # Never closed: the kernel lets go of the lock when the process ends, however it ends.
        block = os.open(folder / str(start), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(block, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(block)
            continue
        return itertools.cycle(range(start, start + BLOCK_PORTS))
    raise OSError(f"every block of ports is taken: {folder}")
