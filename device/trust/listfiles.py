"""One status list on disk: the signed list, the signed deltas since, and the newest heartbeat.

    snapshot    stamp, list
    deltas      length, stamp, delta; and again
    heartbeat   stamp, delta

The stamp is the time (s, 8 bytes) by which the signature's key was judged when the object came, and by which it is
judged again on load: a key that has ended since does not undo what it signed. A new snapshot needs no step that could
be cut in two: deltas up to its version are passed over until they are removed.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from device import durable
from device.trust.believed import Believed
from protocol.limits import STATUS_DELTA_BYTES, STATUS_LIST_BYTES

LOG_DELTAS = 256
LOG_BYTES = 256 * 1024
"""Beyond either a whole list is shorter to keep, and quicker to load: about 20 ms of signatures."""

_LOG_BOUND_BYTES = 4 * LOG_BYTES
"""When no whole list comes either, deltas are kept in memory only: a restart then catches up from an older version."""

_HEARTBEAT_S = 300
"""Flash lasts longer when a heartbeat is written no more often; staleness is counted in hours."""

_STAMP = struct.Struct(">Q")
_RECORD = struct.Struct(">IQ")


@dataclass(frozen=True, slots=True)
class Stamped:
    """A signed object, and the time by which it was judged."""

    at_s: int
    data: bytes


class ListFiles:
    """The files of one list in a folder of its own.

    Attributes:
        folder: the folder, made when there is something to keep.
    """

    def __init__(self, folder: Path, *, believed: Believed) -> None:
        self.folder = folder
        self._believed = believed
        self._deltas = 0
        self._bytes = 0
        self._gap = False
        self._confirmed_s = 0

    @property
    def wants_snapshot(self) -> bool:
        """Whether a whole list should replace what is here: the log is long, or something is missing in it."""
        return self._gap or self._deltas > LOG_DELTAS or self._bytes > LOG_BYTES

    def want_snapshot(self) -> None:
        """What is here will not load again, e.g. because its signer is not trusted any more."""
        self._gap = True

    def keep_snapshot(self, stamped: Stamped, *, issued_s: int, then: list[Stamped] | None = None) -> None:
        """Puts a whole list, and the deltas after it, in the place of everything."""
        if not self._believed.make_folder(self.folder):
            self._gap = True
            return
        self._gap = not self._believed.write(self.folder / "snapshot", _STAMP.pack(stamped.at_s) + stamped.data)
        if self._gap:
            return
        log = b"".join(_record(delta) for delta in then or [])
        if log:
            self._gap = not self._believed.write(self.folder / "deltas", log)
        else:
            try:
                durable.remove_tree(self.folder / "deltas")
            except OSError as error:
                self._believed.failed("deltas were not removed", error)
        self._deltas, self._bytes, self._confirmed_s = len(then or []), len(log), issued_s

    def keep_delta(self, stamped: Stamped, *, issued_s: int) -> None:
        """Adds a delta to the log, on disk when this returns."""
        record = _record(stamped)
        if self._gap or self._bytes + len(record) > _LOG_BOUND_BYTES:
            self._gap = True
            return
        try:
            durable.append_synced(self.folder / "deltas", record)
        except OSError as error:
            self._gap = True
            self._believed.failed("a delta was not written", error)
            return
        self._deltas += 1
        self._bytes += len(record)
        self._confirmed_s = issued_s

    def keep_heartbeat(self, stamped: Stamped, *, issued_s: int) -> None:
        """Keeps a heartbeat, unless one that is hardly older is here."""
        if issued_s - self._confirmed_s >= _HEARTBEAT_S:
            self._believed.write(self.folder / "heartbeat", _STAMP.pack(stamped.at_s) + stamped.data)
            self._confirmed_s = issued_s

    def snapshot(self) -> Stamped | None:
        """The whole list; None where there is none."""
        return self._stamped("snapshot", STATUS_LIST_BYTES)

    def heartbeat(self) -> Stamped | None:
        """The newest heartbeat; None where there is none."""
        return self._stamped("heartbeat", STATUS_DELTA_BYTES)

    def deltas(self) -> list[tuple[int, Stamped]]:
        """Each whole delta of the log, with the offset at which it ends. A torn one at the end is not among them."""
        data = self._believed.read(self.folder / "deltas", limit=_LOG_BOUND_BYTES) or b""
        found = []
        at = 0
        while at + _RECORD.size <= len(data):
            length, at_s = _RECORD.unpack_from(data, at)
            end = at + _RECORD.size + length
            if end > len(data):
                break
            found.append((end, Stamped(at_s, data[at + _RECORD.size : end])))
            at = end
        return found

    def loaded(self, *, deltas: int, length: int, confirmed_s: int) -> bool:
        """So many deltas of the log count, which are `length` bytes; whether bytes after them had to be cut off."""
        self._deltas, self._bytes, self._confirmed_s = deltas, length, confirmed_s
        path = self.folder / "deltas"
        try:
            if not path.exists() or path.stat().st_size == length:
                return False
            durable.cut_off(path, length)
        except OSError as error:
            self._gap = True
            self._believed.failed("the end of a log was not cut off", error)
        return True

    def remove(self) -> None:
        """Removes everything."""
        try:
            durable.remove_tree(self.folder)
        except OSError as error:
            self._believed.failed("a list was not removed", error)

    def set_aside(self, why: Exception) -> None:
        """The whole list cannot be believed, and nothing that follows from it."""
        self._believed.set_aside(self.folder / "snapshot", why)
        self._gap = True

    def _stamped(self, name: str, limit: int) -> Stamped | None:
        data = self._believed.read(self.folder / name, limit=_STAMP.size + limit)
        if data is None:
            return None
        if len(data) < _STAMP.size:
            return Stamped(0, data)
        return Stamped(_STAMP.unpack_from(data)[0], data[_STAMP.size :])


def _record(stamped: Stamped) -> bytes:
    return _RECORD.pack(len(stamped.data), stamped.at_s) + stamped.data
