import socket
import subprocess
import sys

import pytest

from deploy.sandbox.ports import BLOCK_PORTS, ephemeral_start, free_ports

pytestmark = pytest.mark.sockets


def test_ports_differ_and_lie_below_the_range_of_outgoing_connections():
    ports = free_ports(8)
    assert len(set(ports)) == 8
    assert all(10_000 <= port < ephemeral_start() for port in ports)


def test_a_port_that_somebody_listens_at_is_passed_over():
    (first,) = free_ports(1)
    with socket.socket() as held:
        held.bind(("127.0.0.1", first))
        round_and_round = [port for _ in range(BLOCK_PORTS) for port in free_ports(1)]
    assert first not in round_and_round


def test_ports_are_not_handed_out_again_soon():
    ports = [port for _ in range(20) for port in free_ports(5)]
    assert len(set(ports)) == 100


def test_two_processes_never_take_the_same_though_nobody_listens_yet():
    code = "from deploy.sandbox.ports import free_ports; print(*free_ports(150))"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(map(int, other.stdout.split())) & set(free_ports(150))
