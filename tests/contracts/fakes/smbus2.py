"""A FAKE smbus2 with one bus, on which a FAKE MLX90614 answers. It keeps to the parts of smbus2 that are used here.

Real are the rules of the bus: a message names its address, one that nobody has is not acknowledged (OSError), and what
was read is in the message afterwards.
"""

import errno
from typing import ClassVar


class i2c_msg:  # noqa: N801  smbus2 calls it so
    """One message, built by `write` or `read`."""

    def __init__(self, address: int, *, sent: bytes = b"", length: int = 0) -> None:
        self.addr = address
        self.sent = sent
        self.length = length
        self.received = b""

    @staticmethod
    def write(address: int, buf: list[int]) -> "i2c_msg":
        return i2c_msg(address, sent=bytes(buf))

    @staticmethod
    def read(address: int, length: int) -> "i2c_msg":
        return i2c_msg(address, length=length)

    def __bytes__(self) -> bytes:
        return self.received or self.sent


class SMBus:
    """Bus 1 has a thermometer at 0x5A; no other bus is there. `registers` holds what it answers, PEC included."""

    thermometer: ClassVar[int | None] = 0x5A
    registers: ClassVar[dict[int, list[bytes]]] = {}
    opened: ClassVar[list["SMBus"]] = []

    def __init__(self, bus: int) -> None:
        if bus != 1:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", f"/dev/i2c-{bus}")
        self.closed = False
        SMBus.opened.append(self)

    def i2c_rdwr(self, *messages: i2c_msg) -> None:
        if self.closed:
            raise OSError(errno.EBADF, "Bad file descriptor")
        command, answer = messages
        if self.thermometer is None or {command.addr, answer.addr} != {self.thermometer}:
            raise OSError(errno.EREMOTEIO, "Remote I/O error")
        (register,) = command.sent
        answers = self.registers[register]
        answer.received = answers.pop(0) if len(answers) > 1 else answers[0]
        assert len(answer.received) == answer.length

    def close(self) -> None:
        self.closed = True
