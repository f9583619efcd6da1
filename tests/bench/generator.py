"""Many gates in one process, as cheap as Python can make them: the load of the benches.

Each gate has its own TLS connection with its own certificate, and keeps the protocol's window: at most 8 messages
beyond its last receipt. Everything is signed and packed before the clock starts; then bytes go out and receipts come in
through one epoll loop. A gate without a receipt for 5 s goes back to its last one and sends again, as a real one does.

A process of its own, started by `Load` of load.py: a plan as JSON in a file, then one line of JSON on stdin for each
step, answered by one on stdout.
"""

import gc
import heapq
import itertools
import json
import multiprocessing
import select
import ssl
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any

import mqtt5
from chains import Chain, Identity, message
from wire import Connection, receipt_seq

from protocol.keys import VerifyKey, decode_key
from protocol.presence import DevicePresence, encode_device_presence
from protocol.receipt import open_receipt

WINDOW = 8
RESEND_S = 5.0
GIVE_UP_S = 30.0
KEEP_ALIVE_S = 900


class Gate:
    """One gate: its packets, how far they are sent, and how far they are receipted."""

    def __init__(self, number: int) -> None:
        self.identity = Identity(number)
        self.packets: list[bytes] = []
        self.ends: list[int] = []
        self.head = b""
        self.allowed = self.next = self.receipted = self.resends = 0
        self.pending: deque[tuple[int, float]] = deque()
        self.waits: list[tuple[float, float]] = []
        """When each was sent, and when its receipt came."""
        self.receipt = b""
        self.progress_s = 0.0
        self.live: Chain | None = None
        self.total = 0
        self.connection: Connection

    @property
    def done(self) -> bool:
        return self.next == self.total and not self.pending

    @property
    def sent(self) -> int:
        return self.ends[self.next - 1] if self.next else 0

    def scan(self) -> None:
        """A check-in of this moment, sealed now."""
        assert self.live is not None
        self.pack(message([self.live.seal(time.time_ns() // 1_000_000)]), self.live)

    def pack(self, payload: bytes, chain: Chain) -> None:
        packet_id = len(self.packets) % 0xFFFF + 1
        packet = mqtt5.PublishPacket(
            self.identity.topic("checkins"), payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=packet_id
        )
        self.packets.append(packet.write())
        self.ends.append(chain.seq)
        self.head = chain.head

    def take_receipt(self, payload: bytes, now_s: float) -> None:
        seq = receipt_seq(payload)
        if seq <= self.receipted:
            return
        self.receipted, self.receipt, self.progress_s = seq, payload, now_s
        pending = self.pending
        while pending and pending[0][0] <= seq:
            self.waits.append((pending.popleft()[1], now_s))

    def take_puback(self, now_s: float) -> None:
        """Where nobody gives receipts, the broker's word has to do."""
        if self.pending:
            self.receipted, sent_s = self.pending.popleft()
            self.waits.append((sent_s, now_s))
            self.progress_s = now_s

    def send(self, now_s: float) -> None:
        """What the window, and the pace where there is one, let go now."""
        last = min(self.allowed, self.next + WINDOW - len(self.pending))
        if last <= self.next:
            return
        if not self.pending:
            self.progress_s = now_s
        self.pending.extend([(end, now_s) for end in self.ends[self.next : last]])
        self.connection.send(b"".join(self.packets[self.next : last]))
        self.next = last

    def go_back(self, now_s: float) -> None:
        """No receipt for long: again from the last one on."""
        self.resends += len(self.pending)
        self.next -= len(self.pending)
        self.pending.clear()
        self.send(now_s)


def seal_gate(job: dict[str, Any]) -> Gate:
    """In a worker: a gate with everything that it will publish, or, of a live one, with its chain."""
    gate = Gate(job["number"])
    chain = Chain(gate.identity, epoch=bytes.fromhex(job["epoch"]))
    gate.total = -(-job["checkins"] // job["each"])
    if job["live"]:
        gate.live = chain
        return gate
    while chain.seq < job["checkins"]:
        count = min(job["each"], job["checkins"] - chain.seq)
        gate.pack(message([chain.seal(job["at_ms"] + chain.seq) for _ in range(count)]), chain)
    if chain.seq:
        chain.check()
    return gate


class Group:
    """Gates that behave alike: `rate` messages a second each, or, at 0, as fast as the window lets them."""

    def __init__(self, plan: dict[str, Any], gates: list[Gate]) -> None:
        self.rate, self.before, self.before_s, self.gates = plan["rate"], plan["before"], plan["before_s"], gates
        self.began_s = self.ended_s = 0.0

    def result(self) -> dict[str, Any]:
        """What was seen since the last time it was asked for."""
        waits = [each for gate in self.gates for each in gate.waits]
        for gate in self.gates:
            gate.waits = []
        return {
            "sent": sum(gate.sent for gate in self.gates),
            "receipted": sum(gate.receipted for gate in self.gates),
            "resends": sum(gate.resends for gate in self.gates),
            "began_s": self.began_s,
            "ended_s": self.ended_s,
            "latencies_ms": [1000 * (ended_s - began_s) for began_s, ended_s in waits],
            "waits": waits if self.rate else [],
        }


class Generator:
    """The gates and their epoll loop."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self._plan = plan
        self._receipts: bool = plan["receipts"]
        self._poll = select.epoll()
        self._by_fd: dict[int, Gate] = {}
        self._due: list[tuple[float, int, Gate, float]] = []
        jobs = [
            {**group, "number": number, "epoch": plan["epoch"], "at_ms": plan["at_ms"]}
            for group in plan["groups"].values()
            for number in range(group["first"], group["first"] + group["gates"])
        ]
        with multiprocessing.get_context("fork").Pool(2) as pool:
            sealed = pool.imap(seal_gate, jobs, chunksize=max(1, len(jobs) // 64))
            gates = iter(list(sealed))
        self._groups = {
            name: Group(group, list(itertools.islice(gates, group["gates"]))) for name, group in plan["groups"].items()
        }
        self._lags_ms: list[float] = []
        self._deltas: list[tuple[int, float, int]] = []
        self._delta = b""

    @property
    def _gates(self) -> list[Gate]:
        return [gate for group in self._groups.values() for gate in group.gates]

    def connect(self) -> dict[str, Any]:
        """Every gate, one after another; then all wait until the broker lets them subscribe."""
        plan, began_s = self._plan, time.monotonic()
        for gate in self._gates:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.load_verify_locations(plan["ca"])
            context.load_cert_chain(Path(plan["certificates"], f"{gate.identity.name}.pem"))
            will = self._presence(gate) if self._receipts else None
            gate.connection = Connection(
                port=plan["port"], context=context, name=gate.identity.name, will=will, keep_alive_s=KEEP_ALIVE_S
            )
        connected_s = time.monotonic() - began_s
        for gate in self._gates:
            own = [gate.identity.topic(leaf[4:]) if leaf.startswith("own/") else leaf for leaf in plan["filters"]]
            if own:
                gate.connection.subscribe(own, until_s=time.monotonic() + plan["patience_s"])
            gate.connection.announce()
            gate.connection.set_flowing()
            self._by_fd[gate.connection.socket.fileno()] = gate
            self._poll.register(gate.connection.socket, select.EPOLLIN)
        return {"connected_s": connected_s, "subscribed_s": time.monotonic() - began_s}

    def _presence(self, gate: Gate) -> tuple[str, bytes, bytes]:
        offline, online = (
            encode_device_presence(
                DevicePresence(
                    session=bytes(8),
                    online=state,
                    epoch=bytes.fromhex(self._plan["epoch"]),
                    oldest_seq=1,
                    newest_seq=gate.ends[-1] if gate.ends else 0,
                    firmware="load",
                    trust_version=0,
                    policy_version=0,
                )
            )
            for state in (False, True)
        )
        return gate.identity.topic("presence"), offline, online

    def run(self, *, start: list[str], until: list[str], seconds: float) -> dict[str, Any]:
        """Start some groups; return when those of `until` are done, and `seconds` are over."""
        now_s = time.monotonic()
        least_s, heard_s, looked_s = now_s + seconds, now_s, now_s
        for name in start:
            self._start(self._groups[name], now_s)
        waiting = {id(gate) for name in until for gate in self._groups[name].gates if not gate.done}
        while (waiting or now_s < least_s) and now_s - heard_s < GIVE_UP_S:
            timeout_s = min(0.1, max(0.0, self._due[0][0] - now_s)) if self._due else 0.1
            events = self._poll.poll(timeout_s)
            now_s = time.monotonic()
            for fd, event in events:
                gate = self._by_fd[fd]
                if event & select.EPOLLIN:
                    self._take(gate, now_s)
                gate.send(now_s)
                if gate.connection.unsent or event & select.EPOLLOUT:
                    self._watch(gate, fd)
                if waiting and gate.done:
                    waiting.discard(id(gate))
                    for name in until:
                        self._groups[name].ended_s = now_s
            heard_s = now_s if events or not waiting else heard_s
            while self._due and self._due[0][0] <= now_s:
                self._send_due(now_s)
            if now_s - looked_s > 1:
                looked_s = now_s
                self._look_after_the_silent(now_s)
        lags_ms, self._lags_ms = self._lags_ms, []
        deltas, self._deltas = self._deltas, []
        return {
            "lags_ms": lags_ms,
            "deltas": deltas,
            "delta": self._delta.hex(),
            "groups": {name: group.result() for name, group in self._groups.items()},
        }

    def heads(self, hub_key: VerifyKey | None) -> dict[str, Any]:
        """How far each gate's last receipt reaches, by its name, after its signature and hash were checked."""
        found = {}
        for gate in self._gates:
            if hub_key is not None and gate.receipt:
                receipt = open_receipt(gate.receipt, key=hub_key)
                if receipt.seq == gate.ends[-1] and receipt.hash != gate.head:
                    raise AssertionError("a receipt with another hash than the gate's own")
            found[gate.identity.name] = [gate.receipted, gate.head.hex() if gate.done else ""]
        return found

    def _take(self, gate: Gate, now_s: float) -> None:
        for leaf, payload in gate.connection.receive():
            if leaf == "receipts":
                gate.take_receipt(payload, now_s)
            elif leaf == "delta":
                self._deltas.append((gate.identity.number, time.time() * 1000, len(payload)))
                self._delta = payload if len(payload) > len(self._delta) else self._delta
            elif not leaf and not self._receipts:
                gate.take_puback(now_s)

    def _start(self, group: Group, now_s: float) -> None:
        group.began_s = now_s + (group.before_s if group.before else 0)
        for index, gate in enumerate(group.gates):
            if group.rate:
                # Spread over one period, so that they do not meet.
                first_s = group.began_s + index / len(group.gates) / group.rate
                heapq.heappush(self._due, (first_s, gate.identity.number, gate, 1 / group.rate))
                gate.allowed = group.before
                gate.send(now_s)
            else:
                gate.allowed = gate.total
                gate.send(now_s)

    def _send_due(self, now_s: float) -> None:
        due_s, number, gate, period_s = heapq.heappop(self._due)
        self._lags_ms.append(1000 * (now_s - due_s))
        gate.allowed += 1
        if gate.live is not None:
            gate.scan()
        gate.send(now_s)
        if gate.allowed < gate.total:
            heapq.heappush(self._due, (due_s + period_s, number, gate, period_s))

    def _watch(self, gate: Gate, fd: int) -> None:
        """A socket that is full tells when it is not."""
        gate.connection.flush()
        self._poll.modify(fd, select.EPOLLIN | (select.EPOLLOUT if gate.connection.unsent else 0))

    def _look_after_the_silent(self, now_s: float) -> None:
        for gate in self._gates:
            if gate.connection.unsent:
                self._watch(gate, gate.connection.socket.fileno())
            if self._receipts and gate.pending and now_s - gate.progress_s > RESEND_S:
                gate.progress_s = now_s
                gate.go_back(now_s)


def main() -> None:
    plan = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    hub_key = decode_key(bytes.fromhex(plan["hub_key"])) if plan["hub_key"] else None
    generator = Generator(plan)
    # What stands now stays; the collector would look through millions of packets again and again.
    gc.collect()
    gc.freeze()
    print(json.dumps({}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        match asked.pop("step"):
            case "connect":
                answer = generator.connect()
            case "run":
                answer = generator.run(**asked)
            case _:
                answer = generator.heads(hub_key)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
