"""One emulated Pi: started, told what to do over its console, and its pins read from outside by QEMU's monitor."""

import json
import selectors
import socket
import subprocess
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from deploy.hil.pi.image import Image

GPIO: Final = 0x3F20_0000
"""Of the BCM2837, as its processor sees it. (BCM2835 ARM Peripherals, chapter 6; moved by 0x1f000000.)"""
_FUNCTIONS, _LEVELS, _WORDS = 0, 13, 14
"""GPFSEL0 to 5 have three bits for each pin, GPLEV0 one: where they stand among the first words of it."""
_OUTPUT: Final = 0b001
_LINE_S: Final = 60.0
_END_S: Final = 10.0
_TAIL: Final = 20
_TRIES, _GOT_S = 5, 4.0


class PiError(Exception):
    """The machine did not do what it was to; with the end of its console."""


class PiSilentError(PiError):
    """It did not say in time what was waited for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The pins at one moment: `at_s` of this machine's monotonic clock, and the first 14 registers."""

    at_s: float
    registers: tuple[int, ...]

    def output(self, pin: int) -> bool:
        """Whether a pin is driven; else it is an input, or another function's."""
        return self.registers[_FUNCTIONS + pin // 10] >> 3 * (pin % 10) & 0b111 == _OUTPUT

    def high(self, pin: int) -> bool:
        """Whether a pin is driven to 3.3 V. What nobody drives is held by its part's resistor, and QEMU has none."""
        return self.output(pin) and bool(self.registers[_LEVELS] >> pin & 1)


class VirtualPi:
    """`with VirtualPi(image, persist=True, log=file) as pi:` ... `pi.tell("open")`, `pi.hear("opened")`, `pi.look()`.

    Args:
        image: what it boots.
        persist: whether its kernel keeps outputs when their process is gone, as Raspberry Pi's own do.
        log: gets everything that it writes to its console.
    """

    def __init__(self, image: Image, *, persist: bool, log: Path) -> None:
        self._image, self._persist, self._log = image, persist, log
        self._lines: list[str] = []
        self._unread: list[str] = []
        self._told = 0
        self._partial = b""

    def __enter__(self) -> Self:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._log.open("w", encoding="utf-8")
        ours, theirs = socket.socketpair()
        append = (
            "console=ttyAMA0,115200 quiet panic=-1 rdinit=/init random.trust_bootloader=on "
            f"pinctrl_bcm2835.persist_gpio_outputs={int(self._persist)}"
        )
        self._process = subprocess.Popen(
            [
                *("qemu-system-aarch64", "-M", "raspi3b", "-kernel", str(self._image.kernel)),
                *("-dtb", str(self._image.device_tree), "-initrd", str(self._image.initrd), "-append", append),
                *("-display", "none", "-serial", "stdio", "-monitor", "none", "-no-reboot"),
                *("-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "chardev=qmp,mode=control"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()
        self._monitor = ours.makefile("rwb")
        self._socket = ours
        ours.settimeout(_LINE_S)
        try:
            self._monitor.readline()
            self._ask("qmp_capabilities")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def tell(self, line: str) -> None:
        """A line to the guest's console, again until the guest has it: an emulated serial line drops a byte at times.

        Raises:
            PiError: the guest does not answer.
        """
        assert self._process.stdin is not None  # noqa: S101 - it was asked for
        self._told += 1
        text = f"{self._told} {line}"
        for _ in range(_TRIES):
            self._process.stdin.write(f"\n{text} {zlib.crc32(text.encode()):08x}\n".encode())
            self._process.stdin.flush()
            with suppress(PiSilentError):
                while self.hear("got", within_s=_GOT_S)["number"] != self._told:
                    pass
                return
        raise PiError(f"the guest does not hear {line!r}\n{self.tail()}")

    def hear(self, word: str, *, within_s: float = _LINE_S) -> dict[str, Any]:
        """What the guest says with its next line `HIL word {...}`.

        Raises:
            PiError: it did not say it in time, said that it failed, or is gone.
        """
        end_s = time.monotonic() + within_s
        while True:
            while not self._unread:
                self._unread += self._read(end_s - time.monotonic(), waiting_for=word)
            while self._unread:
                line = self._unread.pop(0)
                said, _, rest = line.removeprefix("HIL ").partition(" ")
                if said == "failed" or "Kernel panic" in line:
                    raise PiError(f"the guest failed: {rest}\n{self.tail()}")
                if line.startswith("HIL ") and said == word:
                    found: dict[str, Any] = json.loads(rest or "{}")
                    return found

    def look(self) -> Seen:
        """Its pins now."""
        answer = str(self._ask("human-monitor-command", **{"command-line": f"xp /{_WORDS}wx {GPIO:#x}"}))
        words = [int(word, 16) for line in answer.splitlines() for word in line.partition(":")[2].split()]
        return Seen(registers=tuple(words), at_s=time.monotonic())

    def watch(self, for_s: float, *, until: Callable[[Seen], bool] = lambda _seen: False) -> list[Seen]:
        """Every look, as fast as it goes, for a time or until one that is wanted, which is the last."""
        seen = [self.look()]
        end_s = seen[0].at_s + for_s
        while seen[-1].at_s < end_s and not until(seen[-1]):
            seen.append(self.look())
        return seen

    def tail(self) -> str:
        """The end of its console."""
        return "\n".join(self._lines[-_TAIL:])

    def _read(self, within_s: float, *, waiting_for: str) -> list[str]:
        assert self._process.stdout is not None  # noqa: S101 - it was asked for
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            ready = selector.select(max(0.0, within_s)) if within_s > 0 else []
        data = self._process.stdout.read1(65_536) if ready else b""  # type: ignore[attr-defined]
        if not data:
            if ready:
                raise PiError(f"waiting for {waiting_for!r}: the machine is gone\n{self.tail()}")
            raise PiSilentError(f"the guest did not say {waiting_for!r} in time\n{self.tail()}")
        *whole, self._partial = (self._partial + data).split(b"\n")
        lines = [line.decode("utf-8", "replace").strip("\r") for line in whole]
        self._lines += lines
        self._file.writelines(f"{time.monotonic():.3f} {line}\n" for line in lines)
        return lines

    def _ask(self, command: str, **arguments: str) -> object:
        self._monitor.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        self._monitor.flush()
        while True:
            line = self._monitor.readline()
            if not line:
                raise PiError(f"{command}: QEMU is gone\n{self.tail()}")
            answer = json.loads(line)
            if "error" in answer:
                raise PiError(f"{command}: {answer['error']}")
            if "return" in answer:
                return answer["return"]

    def _end(self) -> None:
        self._process.kill()
        self._process.wait(_END_S)
        self._monitor.close()
        self._socket.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._file.close()
