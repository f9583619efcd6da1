"""How far each spool (device, epoch) is stored, and the hashes of its last rows, in bounded memory."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hub.model import Gap, Head, HeadChange
from protocol.checkin import GENESIS, HASH_BYTES, SealedCheckIn

_TAIL_ROWS: Final = 512
"""A device's whole window of 8 messages with 64 check-ins: what it sends again after a cut."""
_TAILS_MAX: Final = 2048
"""16 KiB each: 32 MiB for the spools that were active last. The others are looked up in the store."""


@dataclass(slots=True, kw_only=True)
class Spool:
    """One spool's head, ahead of the store by what the running micro-batch adds."""

    device_id: bytes
    epoch: bytes
    stored_seq: int = 0
    seq: int = 0
    hash: bytes = GENESIS
    changed: bool = False

    def move(self, *, seq: int, hash_: bytes) -> None:
        """The head moves on."""
        self.seq, self.hash, self.changed = seq, hash_, True

    def take_change(self) -> HeadChange:
        """The step since the last one taken; the head counts as stored from here on."""
        change = HeadChange(
            device_id=self.device_id, epoch=self.epoch, was_seq=self.stored_seq, seq=self.seq, hash=self.hash
        )
        self.stored_seq, self.changed = self.seq, False
        return change


class Spools:
    """All spools by (device, epoch), and the one each device wrote last."""

    def __init__(self, heads: Iterable[Head], *, gaps: Iterable[Gap] = ()) -> None:
        self._spools: dict[tuple[bytes, bytes], Spool] = {}
        self._latest: dict[bytes, bytes] = {}
        self._epochs: Counter[bytes] = Counter()
        self._gaps: dict[tuple[bytes, bytes], list[Gap]] = {}
        self._tails: OrderedDict[tuple[bytes, bytes], bytearray] = OrderedDict()
        for head in sorted(heads, key=lambda head: head.updated_ms):
            self._spools[head.device_id, head.epoch] = Spool(
                device_id=head.device_id,
                epoch=head.epoch,
                stored_seq=head.seq,
                seq=head.seq,
                hash=head.hash or GENESIS,
            )
            self._latest[head.device_id] = head.epoch
            self._epochs[head.device_id] += 1
        for gap in gaps:
            self.note(gap)

    def get(self, device_id: bytes, epoch: bytes) -> Spool:
        """The spool; a new one at seq 0, not yet remembered, when it is not known."""
        return self._spools.get((device_id, epoch)) or Spool(device_id=device_id, epoch=epoch)

    def latest_epoch(self, device_id: bytes) -> bytes | None:
        """The epoch of the device's head that moved last."""
        return self._latest.get(device_id)

    def __contains__(self, spool: Spool) -> bool:
        """Whether it is kept already."""
        return (spool.device_id, spool.epoch) in self._spools

    def epochs_with(self, spool: Spool) -> int:
        """How many spools of this device are kept when this one is."""
        return self._epochs[spool.device_id] + (spool not in self)

    def keep(self, spool: Spool) -> None:
        """Remember a spool whose head moved."""
        self._epochs[spool.device_id] = self.epochs_with(spool)
        self._spools[spool.device_id, spool.epoch] = spool
        self._latest[spool.device_id] = spool.epoch

    def note(self, gap: Gap) -> None:
        """Remember a gap: what comes for it after all is no duplicate."""
        self._gaps.setdefault((gap.device_id, gap.epoch), []).append(gap)

    def gaps_of(self, spool: Spool) -> Sequence[Gap]:
        """The spool's gaps; few, as a device has a bound."""
        return self._gaps.get((spool.device_id, spool.epoch), ())

    def remember(self, spool: Spool, rows: Iterable[SealedCheckIn]) -> None:
        """Keep the hashes of new rows, over those of 512 rows before."""
        key = (spool.device_id, spool.epoch)
        tail = self._tails.get(key)
        if tail is None:
            tail = self._tails[key] = bytearray(_TAIL_ROWS * (8 + HASH_BYTES))
            if len(self._tails) > _TAILS_MAX:
                self._tails.popitem(last=False)
        else:
            self._tails.move_to_end(key)
        for row in rows:
            seq = row.checkin.seq
            start = seq % _TAIL_ROWS * (8 + HASH_BYTES)
            tail[start : start + 8 + HASH_BYTES] = seq.to_bytes(8, "big") + row.hash

    def tail_hash(self, spool: Spool, seq: int) -> bytes | None:
        """The hash of the row at `seq`, if it is among the last ones remembered here."""
        tail = self._tails.get((spool.device_id, spool.epoch))
        if tail is None:
            return None
        start = seq % _TAIL_ROWS * (8 + HASH_BYTES)
        if tail[start : start + 8] != seq.to_bytes(8, "big"):
            return None
        return bytes(tail[start + 8 : start + 8 + HASH_BYTES])
