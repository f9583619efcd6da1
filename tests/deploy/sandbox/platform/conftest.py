"""A gate that seals check-ins, and a store to take them."""

import os
import time
from dataclasses import dataclass, field

import pytest

from deploy.sandbox.platform.authority import load_authority
from deploy.sandbox.platform.store import PlatformStore
from deploy.sandbox.platform.wallet import Wallet
from protocol.batch import open_batch_receipt, seal_batch_receipt
from protocol.checkin import GENESIS, CheckIn, hash_of, seal_checkin
from protocol.keys import Ed25519SigningKey
from protocol.reasons import Reason
from protocol.terms import Clock, Colour, Direction, Scheme, Verdict


@dataclass
class GateWriter:
    """Seals a chain as a gate does; `fields` spoil what they name."""

    key: Ed25519SigningKey = field(default_factory=lambda: Ed25519SigningKey(os.urandom(32)))
    device: bytes = field(default_factory=lambda: os.urandom(8))
    epoch: bytes = field(default_factory=lambda: os.urandom(8))
    seq: int = 0
    prev: bytes = GENESIS

    def next(self, key=None, **fields):
        self.seq += 1
        values = {
            "device": self.device,
            "epoch": self.epoch,
            "seq": self.seq,
            "prev": self.prev,
            "at_ms": time.time_ns() // 1_000_000,
            "clock": Clock.TRUSTED,
            "place": "mall",
            "gate": "G1",
            "direction": Direction.IN,
            "colour": Colour.GREEN,
            "verdict": Verdict.ADMIT,
            "reason": Reason.OK,
            "code": os.urandom(16),
            "scheme": Scheme.GATELIGHT,
            "subject": bytes(32),
            **fields,
        }
        data = seal_checkin(CheckIn(**values), key=key or self.key)
        self.prev = hash_of(data)
        return data

    def chain(self, count):
        return tuple(self.next() for _ in range(count))

    @property
    def registered(self):
        return {self.device: self.key.public}


@pytest.fixture
def gate():
    return GateWriter()


@pytest.fixture
def authority(authority_folder):
    return load_authority(authority_folder)


@pytest.fixture
def store(tmp_path, authority):
    store = PlatformStore(tmp_path / "platform.sqlite", open_subject=Wallet(authority).open_subject)
    yield store
    store.close()


@pytest.fixture
def take(store, authority, gate):
    """(batch) -> the opened receipt."""

    def run(batch, devices=None):
        answer = store.take(
            batch,
            devices=gate.registered if devices is None else devices,
            seal=lambda receipt: seal_batch_receipt(receipt, key=authority.receipts),
            now_ms=time.time_ns() // 1_000_000,
        )
        return open_batch_receipt(answer, key=authority.receipts.public)

    return run
