"""A Unix socket on which others say who stands at the simulated gate. One JSON object a line, one answer each.

`{"show": "GL1:..."}`, `{"show": ["a", "b"]}` for several codes in view, `{"clear": true}`; and `{"temperature_cc":
3650}` for what the simulated thermometer measures from now on, null for nothing; `{"button": true}` pushes the
simulated button down, false lets it go. The answer is `{"ok":true}` once the next frame shows it, or
`{"ok":false,"error":"..."}` and everything stays as it was.
"""

import contextlib
import json
import selectors
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from device.hardware.ports import HardwareError

LINE_BYTES = 16_384
"""Four QR texts of 2,048 characters with room for JSON's escapes."""

CODES_IN_VIEW = 4
"""More phones than this cannot be held before one lens."""

TEXT_CHARS = 2048
"""What a scanner reads at most (PROTOCOL §9)."""

CONNECTIONS = 8
"""Each gate is shown things by one or two programs; more wait until one leaves."""


TEMPERATURE_LEAST_CC, TEMPERATURE_MOST_CC = -7000, 38_000
"""What an infrared thermometer can measure."""


@dataclass(frozen=True, slots=True)
class Show:
    """Hold up these texts; none clears the view."""

    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Warm:
    """Whoever comes next has this temperature, in 0.01 °C; None: the thermometer does not answer."""

    temperature_cc: int | None


@dataclass(frozen=True, slots=True)
class Press:
    """The button goes down, or up again."""

    down: bool


def parse_command(line: bytes) -> Show | Warm | Press:
    """One line -> what is asked for.

    Raises:
        ValueError: the line is no command. The sentence says why and repeats nothing of the line.
    """
    try:
        command = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("the line is not JSON") from error
    match command:
        case {"clear": True, **rest} if not rest:
            return Show(())
        case {"temperature_cc": None, **rest} if not rest:
            return Warm(None)
        case {"temperature_cc": int(reading_cc), **rest} if not rest and type(reading_cc) is int:
            if not TEMPERATURE_LEAST_CC <= reading_cc <= TEMPERATURE_MOST_CC:
                raise ValueError(f"a temperature is {TEMPERATURE_LEAST_CC} to {TEMPERATURE_MOST_CC}, in 0.01 degrees")
            return Warm(reading_cc)
        case {"button": bool(down), **rest} if not rest:
            return Press(down)
        case {"show": str(text), **rest} if not rest:
            texts = [text]
        case {"show": [*texts], **rest} if not rest:
            pass
        case _:
            raise ValueError(
                'a command is {"show": text}, {"show": [texts]}, {"clear": true}, {"temperature_cc": number or null} '
                'or {"button": true or false}'
            )
    if not 1 <= len(texts) <= CODES_IN_VIEW:
        raise ValueError(f"1 to {CODES_IN_VIEW} codes can be in view")
    if not all(isinstance(text, str) and 1 <= len(text) <= TEXT_CHARS for text in texts):
        raise ValueError(f"a code is a text of 1 to {TEXT_CHARS} characters")
    return Show(tuple(texts))


@dataclass(slots=True)
class _Client:
    connection: socket.socket
    received: bytearray = field(default_factory=bytearray)


class CommandSocket:
    """Listens at `path` on a thread of its own and calls `show`, `warm` or `press` with what each command says.

    Without `warm` there is no thermometer, without `press` no button, and what is for them is refused. Each may raise
    ValueError to refuse a command. Anything else that they raise ends the thread and is kept in `failed`.

    Raises:
        HardwareError: the socket cannot be made.
    """

    def __init__(
        self,
        *,
        path: Path,
        show: Callable[[tuple[str, ...]], None],
        warm: Callable[[int | None], None] | None = None,
        press: Callable[[bool], None] | None = None,
    ) -> None:
        self._path = path
        self._show = show
        self._warm = warm
        self._press = press
        self._failed: Exception | None = None
        self._clients = 0
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # A socket file left by a killed process would refuse the name.
            path.unlink(missing_ok=True)
            self._listener.bind(str(path))
            path.chmod(0o600)
        except OSError as error:
            self._listener.close()
            raise HardwareError(f"no socket can be made at {path}: {error}") from error
        self._listener.listen(CONNECTIONS)
        self._listener.setblocking(False)
        self._wake, self._woken = socket.socketpair()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="show-commands", daemon=True)
        self._thread.start()

    @property
    def failed(self) -> Exception | None:
        """What ended the thread; None while it is well."""
        return self._failed

    def close(self) -> None:
        """Stop listening and remove the socket. May be called twice."""
        with contextlib.suppress(OSError):  # Already closed.
            self._wake.send(b"\0")
        self._thread.join()
        self._wake.close()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        try:
            while self._serve():
                pass
        except Exception as error:
            # Kept for the camera, which raises it at its next frame.
            self._failed = error
            raise
        finally:
            for key in list(self._selector.get_map().values()):
                self._drop(key.fileobj)
            self._selector.close()

    def _serve(self) -> bool:
        """Handles what is there; False when told to end."""
        for key, _ in self._selector.select():
            if key.fileobj is self._woken:
                return False
            if key.fileobj is self._listener:
                self._accept()
            elif not self._receive(key.data):
                self._clients -= 1
                self._drop(key.fileobj)
                if self._clients == CONNECTIONS - 1:
                    self._selector.register(self._listener, selectors.EVENT_READ)
        return True

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionError):  # It went away again.
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            self._selector.register(connection, selectors.EVENT_READ, _Client(connection))
            self._clients += 1
            if self._clients == CONNECTIONS:
                self._selector.unregister(self._listener)

    def _drop(self, connection: object) -> None:
        if isinstance(connection, socket.socket):
            self._selector.unregister(connection)
            connection.close()

    def _receive(self, client: _Client) -> bool:
        """Takes what came and answers each whole line; False when the connection is over."""
        try:
            data = client.connection.recv(LINE_BYTES)
            if not data:
                return False
            client.received += data
            while (end := client.received.find(b"\n")) >= 0:
                line = bytes(client.received[:end])
                del client.received[: end + 1]
                client.connection.send(self._answer(line))
            if len(client.received) > LINE_BYTES:
                client.connection.send(_refusal("the line is too long"))
                return False
        except OSError:
            # It left, or does not read its answers.
            return False
        return True

    def _answer(self, line: bytes) -> bytes:
        try:
            match parse_command(line):
                case Show(texts):
                    self._show(texts)
                case Warm(temperature_cc):
                    if self._warm is None:
                        raise ValueError("this gate has no simulated thermometer")  # noqa: TRY301 -- a refusal as any
                    self._warm(temperature_cc)
                case Press(down):
                    if self._press is None:
                        raise ValueError("this gate has no simulated button")  # noqa: TRY301 -- as above
                    self._press(down)
        except ValueError as error:
            return _refusal(str(error))
        return b'{"ok":true}\n'


def _refusal(why: str) -> bytes:
    return json.dumps({"ok": False, "error": why}, separators=(",", ":")).encode() + b"\n"
