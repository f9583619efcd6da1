"""The gate's firewall, loaded into a network of its own: a gate, and beside it a hub and whoever else there is."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or not (shutil.which("nft") and shutil.which("ip")), reason="needs root, nft and ip"
    ),
]

GATE, HUB, STRANGER = "10.20.0.7", "10.20.0.5", "203.0.113.9"
PORTS = (22, 80, 443, 1883, 8443, 8444, 8883)
LISTEN = """
import socket, sys
host, *ports = sys.argv[1:]
open_ = [socket.create_server((host, int(port))) for port in ports]
print("ready", flush=True)
sys.stdin.read()
"""
CONNECT = """
import json, socket, sys
said = []
for host, port in json.loads(sys.argv[1]):
    try:
        socket.create_connection((host, port), timeout=float(sys.argv[2])).close()
        said.append("through")
    except ConnectionRefusedError:
        said.append("refused")
    except OSError as error:
        said.append("silence" if isinstance(error, TimeoutError) else type(error).__name__)
print(json.dumps(said))
"""


def run(*command, stdin=None):
    return subprocess.run(command, capture_output=True, text=True, check=True, input=stdin).stdout


class Network:
    """Two network namespaces and the wire between them."""

    def __init__(self, stack, name):
        self.gate, self.rest = f"{name}g", f"{name}r"
        for space in (self.gate, self.rest):
            run("ip", "netns", "add", space)
            stack.callback(run, "ip", "netns", "del", space)
        run("ip", "-n", self.gate, "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", self.rest)
        run("ip", "-n", self.gate, "address", "add", f"{GATE}/24", "dev", "eth0")
        for address in (f"{HUB}/24", f"{STRANGER}/32"):
            run("ip", "-n", self.rest, "address", "add", address, "dev", "eth0")
        for space in (self.gate, self.rest):
            for device in ("lo", "eth0"):
                run("ip", "-n", space, "link", "set", device, "up")
        run("ip", "-n", self.gate, "route", "add", "default", "via", HUB)
        for space, host in ((self.rest, HUB), (self.rest, STRANGER), (self.gate, GATE)):
            self._serve(stack, space, host)

    def _serve(self, stack, space, host):
        command = ["ip", "netns", "exec", space, sys.executable, "-c", LISTEN, host, *map(str, PORTS)]
        process = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        stack.callback(process.kill)
        assert process.stdout.readline() == "ready\n"

    def load(self, rules):
        run("ip", "netns", "exec", self.gate, "nft", "-f", "-", stdin=rules)

    def ask(self, space, *targets, timeout_s=5.0):
        said = run(*("ip", "netns", "exec", space, sys.executable, "-c", CONNECT, json.dumps(targets), str(timeout_s)))
        return json.loads(said)


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    """The rules of a site: firewall.nft with the site's file beside it."""
    from tests.deploy.device.conftest import SHIPPED

    def of(site=""):
        folder = tmp_path_factory.mktemp("firewall.d")
        (folder / "site.nft").write_text(site)
        return (SHIPPED / "firewall.nft").read_text().replace("/etc/gatelight/firewall.d", str(folder))

    return of


@pytest.fixture(scope="module")
def network():
    with ExitStack() as stack:
        yield Network(stack, f"gl{os.getpid() % 100_000}")


def test_a_gate_reaches_its_hub_and_nothing_else(network, rules):
    before = network.ask(network.gate, *((host, port) for host in (HUB, STRANGER) for port in PORTS))
    assert set(before) == {"through"}, "else this proves nothing"
    network.load(rules())
    network.load(rules())  # again, in one step
    assert network.ask(network.gate, (HUB, 8883), (HUB, 8444)) == ["through", "through"]
    others = [(HUB, port) for port in PORTS if port not in {8883, 8444}]
    assert set(network.ask(network.gate, *others)) == {"refused"}, "at once, not after a silence"
    # A port of the hub's is no way out of the site.
    assert set(network.ask(network.gate, *((STRANGER, port) for port in PORTS))) == {"refused"}


def test_nobody_reaches_a_gate_but_who_looks_after_it(network, rules):
    network.load(rules())
    assert set(network.ask(network.rest, (GATE, 22), (GATE, 8883), timeout_s=0.3)) == {"silence"}
    network.load(rules(f"add element inet gatelight admins {{ {HUB} }}\n"))
    assert network.ask(network.rest, (GATE, 22)) == ["through"]
    assert network.ask(network.rest, (GATE, 8883), timeout_s=0.3) == ["silence"]


def test_a_site_may_name_its_hub_alone(network, rules):
    site = "flush set inet gatelight hub4\nadd element inet gatelight hub4 { 10.20.0.6 }\n"
    network.load(rules(site))
    assert network.ask(network.gate, (HUB, 8883)) == ["refused"]
    network.load(rules(site.replace("10.20.0.6", HUB)))
    assert network.ask(network.gate, (HUB, 8883)) == ["through"]


def test_packages_come_in_while_somebody_installs(network, rules):
    """The two lines of install.sh."""
    network.load(rules())
    network.load("add rule inet gatelight updates tcp dport { 80, 443 } accept")
    assert network.ask(network.gate, (STRANGER, 443), (STRANGER, 22)) == ["through", "refused"]
    network.load("flush chain inet gatelight updates")
    assert network.ask(network.gate, (STRANGER, 443)) == ["refused"]
