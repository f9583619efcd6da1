"""MQTT 5 over TLS for a gate of the load: a socket, and packets read by hand. It trusts its broker."""

import socket
import ssl
import time
from collections.abc import Iterable, Iterator

import mqtt5

from protocol import cbor

_READ_BYTES = 64 * 1024
_RETRY_S = 0.2
_PUBLISH, _PUBACK, _CONNACK, _SUBACK = 3, 4, 2, 9
_REFUSED = 0x80
# Tag and array of four, protected header of 13 bytes, empty map, length of the payload, its map of five, then
# `1: device` and `2: epoch` with 10 bytes each: what follows is key 3 and the number.
_RECEIPT_SEQ = 2 + 14 + 1 + 2 + 1 + 10 + 10


class Connection:
    """One gate's connection. It blocks until `set_flowing`; then whoever polls its `socket` calls `receive`.

    Args:
        will: topic, what is said at the end, and what is said when it is connected; or None.
    """

    def __init__(
        self, *, port: int, context: ssl.SSLContext, name: str, will: tuple[str, bytes, bytes] | None, keep_alive_s: int
    ) -> None:
        raw = socket.create_connection(("127.0.0.1", port))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(raw, server_hostname="127.0.0.1")
        self._rest = b""
        self._unsent = b""
        self._will = will
        said = mqtt5.Will(will[0], payload=will[1], qos=mqtt5.QoS.AT_LEAST_ONCE, retain=True) if will else None
        packet = mqtt5.ConnectPacket(name, clean_start=True, will=said, keep_alive=keep_alive_s)
        self.socket.sendall(packet.write())
        self._await(_CONNACK)

    def subscribe(self, filters: Iterable[str], *, until_s: float) -> None:
        """Asks until the broker lets it: the hub tells the broker of its gates when it has started."""
        wanted = [mqtt5.TopicFilter(pattern, max_qos=mqtt5.QoS.AT_LEAST_ONCE) for pattern in filters]
        while True:
            self.socket.sendall(mqtt5.SubscribePacket(1, wanted).write())
            if all(code < _REFUSED for code in self._await(_SUBACK)[3:]):
                return
            if time.monotonic() > until_s:
                raise TimeoutError("the broker does not let a gate subscribe")
            time.sleep(_RETRY_S)

    def announce(self) -> None:
        """Say that we are there."""
        if self._will is not None:
            topic, _, online = self._will
            self.send(mqtt5.PublishPacket(topic, online, qos=mqtt5.QoS.AT_MOST_ONCE, retain=True).write())

    def set_flowing(self) -> None:
        self.socket.setblocking(False)

    def send(self, data: bytes) -> None:
        """What the socket does not take waits for the next `send` or `flush`."""
        self._unsent += data
        self.flush()

    def flush(self) -> None:
        while self._unsent:
            try:
                sent = self.socket.send(self._unsent)
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            self._unsent = self._unsent[sent:]

    @property
    def unsent(self) -> bool:
        return bool(self._unsent)

    def receive(self) -> Iterator[tuple[str, bytes]]:
        """(last level of the topic, payload) of each message; ("", b"") for each PUBACK."""
        for kind, body in self._packets():
            if kind >> 4 == _PUBACK:
                yield "", b""
            elif kind >> 4 == _PUBLISH:
                size = 2 + int.from_bytes(body[:2], "big")
                start = size + (2 if kind & 0x06 else 0)
                yield body[2:size].rpartition(b"/")[2].decode(), body[start + 1 + body[start] :]
                if kind & 0x06:
                    self.send(b"\x40\x02" + body[size : size + 2])

    def _await(self, wanted: int) -> bytes:
        while True:
            for kind, body in self._packets():
                if kind >> 4 == wanted:
                    return body

    def _packets(self) -> list[tuple[int, bytes]]:
        """Every packet that is whole in one read."""
        try:
            data = self._rest + self.socket.recv(_READ_BYTES)
            while self.socket.pending():
                data += self.socket.recv(_READ_BYTES)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return []
        if not data:
            raise ConnectionError("the broker closed a gate's connection")
        packets, at, size = [], 0, len(data)
        while at + 2 <= size:
            length, start = data[at + 1], at + 2
            if length >= 0x80:
                length, shift = length & 0x7F, 7
                while start < size:
                    byte = data[start]
                    length |= (byte & 0x7F) << shift
                    start, shift = start + 1, shift + 7
                    if byte < 0x80:
                        break
                else:
                    break
            if start + length > size:
                break
            packets.append((data[at], data[start : start + length]))
            at = start + length
        self._rest = data[at:]
        return packets


def receipt_seq(payload: bytes) -> int:
    """How far a receipt says that everything is stored. Only the last of a gate is verified."""
    head = payload[_RECEIPT_SEQ + 1]
    size = 1 if head < 24 else 1 + (1 << (head - 24))
    return int(cbor.decode(payload[_RECEIPT_SEQ + 1 : _RECEIPT_SEQ + 1 + size], what="seq", limit=9))
