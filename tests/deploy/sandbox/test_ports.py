import random

import pytest

from deploy.sandbox.ports import ephemeral_start, free_ports


@pytest.mark.sockets
def test_ports_differ_and_lie_below_the_range_of_outgoing_connections():
    ports = free_ports(8, rng=random.Random(1))
    assert len(set(ports)) == 8
    assert all(10_000 <= port < ephemeral_start() for port in ports)
