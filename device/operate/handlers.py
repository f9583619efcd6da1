"""Each command's handler. They run one at a time, in the inbox's thread; what they raise is answered as a failure."""

from collections.abc import Callable, Mapping

from device.model import Outcome
from device.operate.hold import HoldOpen
from device.operate.switch import Switch
from protocol.command import Command, CommandName

LOG_BYTES = 24 * 1024
"""What fits a result beside everything else, and a broker's packet."""

_DISABLED = Outcome(ok=False, detail="disabled: enable the gate first")
_OUT_OF_SERVICE = Outcome(ok=False, detail="out of service: the gate stays shut")


def handlers(
    *,
    locate: Callable[[int], None],
    self_test: Callable[[], Outcome],
    open_gate: Callable[[int], None],
    open_ms: Callable[[], int],
    hold: HoldOpen,
    switch: Switch,
    rotate_keys: Callable[[], str],
    log_lines: Callable[[int], list[str]],
    wipe: Callable[[Command], Outcome],
    want_release: Callable[[int, str], None] | None,
) -> Mapping[CommandName, Callable[[Command], Outcome]]:
    """What this gate does on each command.

    Args:
        locate: shows where the gate is, for so many seconds; returns at once.
        self_test: see `selftest`.
        open_gate: opens for so many ms.
        open_ms: how long one person has, by the policy in force.
        hold: holds it open; shuts it.
        switch: whether the gate serves people.
        rotate_keys: makes and certifies new keys; says which.
        log_lines: the last so many lines of the log.
        wipe: see `wipe`.
        want_release: writes down that this release is wanted, by the command of this id; None where releases do not
            come this way.
    """

    def on_locate(command: Command) -> Outcome:
        locate(command.args["seconds"])
        return Outcome(ok=True)

    def on_open_once(_: Command) -> Outcome:
        if not hold.allowed:
            return _OUT_OF_SERVICE if switch.on else _DISABLED
        open_gate(open_ms())
        return Outcome(ok=True)

    def on_hold_open(command: Command) -> Outcome:
        if not switch.on:
            return _DISABLED
        hold.start(command.args["minutes"])
        if not hold.holding:
            return _OUT_OF_SERVICE
        return Outcome(ok=True)

    def on_close(_: Command) -> Outcome:
        hold.stop()
        return Outcome(ok=True)

    def on_disable(_: Command) -> Outcome:
        try:
            switch.off()
        except OSError as error:
            return Outcome(ok=False, detail=f"disabled until the next restart: {error.strerror}")
        finally:
            hold.stop()
        return Outcome(ok=True)

    def on_enable(_: Command) -> Outcome:
        switch.back_on()
        return Outcome(ok=True)

    def on_restart(_: Command) -> Outcome:
        # The process ends after this answer is on its way.
        return Outcome(ok=True)

    return {
        CommandName.LOCATE: on_locate,
        CommandName.TEST_SCAN: lambda _: self_test(),
        CommandName.OPEN_ONCE: on_open_once,
        CommandName.HOLD_OPEN: on_hold_open,
        CommandName.CLOSE: on_close,
        CommandName.DISABLE: on_disable,
        CommandName.ENABLE: on_enable,
        CommandName.RESTART: on_restart,
        CommandName.ROTATE_KEYS: lambda _: Outcome(ok=True, detail=rotate_keys()),
        CommandName.SEND_LOGS: lambda command: Outcome(ok=True, detail=_tail(log_lines(command.args["lines"]))),
        CommandName.WIPE: wipe,
        CommandName.UPDATE: lambda command: _update(command, want_release),
    }


def _update(command: Command, want_release: Callable[[int, str], None] | None) -> Outcome:
    if want_release is None:
        return Outcome(ok=False, detail="unsupported: there is no [update] in device.toml")
    want_release(command.args["release"], command.id.hex())
    # What comes of it is told by presence and health: it outlives this process.
    return Outcome(ok=True)


def _tail(lines: list[str]) -> str:
    """As many of the newest lines as fit."""
    kept: list[str] = []
    left = LOG_BYTES
    for line in reversed(lines):
        left -= len(line.encode()) + 1
        if left < 0:
            break
        kept.append(line)
    return "\n".join(reversed(kept))
