"""Drives relay, lights and buzzer off from a fresh process: `gatelight-device safe`, for `ExecStopPost=`.

Why it is needed: a process that dies by SIGKILL, or by the watchdog's SIGABRT, runs no clean-up. The kernel releases
its lines, and what releasing means differs. Mainline Linux turns them into inputs. Raspberry Pi's kernels keep
outputs as they are (`pinctrl_bcm2835.persist_gpio_outputs=1`, or no `dtparam=strict_gpiod`): the relay then stays
energised for ever. So this claims each line as an output at its off level, which stops it on both.

Why not gpiozero: it turns every line into an input when the process ends. Here the lines are neither freed nor is the
chip closed; the kernel does that at exit. Where outputs persist they stay driven off; elsewhere they become inputs, as
they were.
"""

from collections.abc import Callable, Iterable

from device.hardware.pi.pins import lgpio_factory
from device.hardware.ports import HardwareError

Claim = Callable[[int, bool], None]
"""Makes BCM line `line` an output at `level` (True = high), in one step."""


def drive_off(off_levels: Iterable[tuple[int, bool]], *, claim: Claim) -> None:
    """Switch every output off, in this order, and each one whatever became of the others.

    Args:
        off_levels: as `Pins.off_levels`: lines, each with the level that switches it off; the relay first.
        claim: how a line is driven.

    Raises:
        HardwareError: some lines could not be driven; all the others are off.
    """
    failures = []
    for line, off_level in off_levels:
        try:
            claim(line, off_level)
        except Exception as error:  # noqa: BLE001  one dead line must not keep the others energised
            failures.append(f"BCM {line}: {error}")
    if failures:
        raise HardwareError(f"these lines could not be driven off: {'; '.join(failures)}")


def lgpio_claim() -> Claim:
    """A claim on the header's GPIO chip, which differs between a Pi 5 and the others; gpiozero knows which it is.

    Raises:
        HardwareError: lgpio is not installed, or this machine has no GPIO that may be opened.
    """
    factory = lgpio_factory()
    chip = factory.chip
    factory.close()
    import lgpio

    try:
        handle = lgpio.gpiochip_open(chip)
    except lgpio.error as error:
        raise HardwareError(f"GPIO chip {chip} cannot be opened: {error}") from error

    def claim(line: int, level: bool) -> None:  # noqa: FBT001  the shape of Claim
        lgpio.gpio_claim_output(handle, line, int(level))

    return claim
