"""What `gatelight-device` does: run the gate, enrol it, check its configuration, make it safe, look into its spool."""

import argparse
import json
import secrets
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from device import parts
from device.config import (
    ConfigError,
    DeviceConfig,
    NotEnrolledError,
    PiHardware,
    in_force,
    is_enrolled,
    is_provisioned,
    load,
    load_machine,
)
from device.enrol.errors import EnrolmentError
from device.enrol.wipe import wiping
from device.hardware.pi import safe
from device.hardware.ports import HardwareError
from device.identity import Identity, IdentityError, load_identity, load_public
from device.keystore.ports import KeyStore, KeyStoreError
from device.logs import stdout_log
from device.main import key_store, run
from device.model import Frame, StorageError
from device.scan.decode import DecoderFailedError, DecoderProcess
from device.scan.decoder.enhance import Luma
from device.scan.decoder.process import Begun
from device.scan.stills import Reading, StillResult, read_still
from device.send.audit import audit_file
from device.trust.issuers import load_bundle
from protocol.errors import ProtocolError
from protocol.trust import TrustBundle
from protocol.verdict import Rules

FAILED, UNUSABLE = 1, 2
"""Exit codes: what was asked failed or found faults; what was given cannot be used."""

STILL_PX_MAX = 64_000_000
"""The largest picture that `scan` takes: more than any camera gives."""

_BAD_INPUT = (ConfigError, IdentityError, ProtocolError, ValueError)
_FAILURES = (EnrolmentError, KeyStoreError, HardwareError, StorageError, DecoderFailedError, OSError)


def main(argv: Sequence[str], *, begun: Begun | None = None) -> int:
    """Run one command; its exit code: 0 done, 1 failed, 2 what was given cannot be used.

    `begun` is a decoder's child that was started ahead, for `run`.
    """
    arguments = _parser().parse_args(argv)
    arguments.begun = begun
    try:
        code: int = arguments.command(arguments)
    except _BAD_INPUT as error:
        print(f"gatelight-device: {error}", file=sys.stderr)
        return UNUSABLE
    except _FAILURES as error:
        print(f"gatelight-device: {type(error).__name__}: {error}", file=sys.stderr)
        return FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gatelight-device", description="The firmware of a Gatelight gate.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, does: object, text: str, *, config: bool = True) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=does)
        if config:
            added.add_argument("--config", type=Path, default=Path("/etc/gatelight/device.toml"), help="device.toml")
        return added

    command("run", _run, "Run the gate until it is stopped.")
    command("check-config", _check_config, "Check the configuration and print what is in force.")
    enrol = command("enrol", _enrol, "Enrol this device without its camera; stop its service first.")
    given = enrol.add_mutually_exclusive_group(required=True)
    given.add_argument("--code", metavar="GLE1:...", help="the provisioning code's text")
    given.add_argument("--file", type=Path, metavar="enrol.json", help="a file as on the boot partition")
    status = command("status", _status, "Show what this device is, where it stands, how long its certificate holds.")
    status.add_argument("--json", action="store_true", help="one JSON object")
    command("safe", _safe, "Switch relay, light and buzzer off: for ExecStopPost= of the service.")
    command(
        "prompts",
        _prompts,
        "What a voice's files are to say, one a line: NAME.LANGUAGE, a tab, the sentence.",
        config=False,
    )
    spool = command("spool", _spool, "Show how many check-ins wait, and verify their chain.")
    spool.add_argument("--json", action="store_true", help="one JSON object")
    scan = command("scan", _scan, "Read pictures as the gate would; one JSON line a picture.", config=False)
    scan.add_argument("paths", nargs="+", type=Path, metavar="FILE", help="picture files or folders of them")
    scan.add_argument("--engine", choices=("zxing", "pyzbar"), default="zxing", help="decode engine (default zxing)")
    scan.add_argument("--trust", type=Path, help="trust bundle: without one, codes are read but not judged")
    scan.add_argument("--root", type=Path, help="the root key that signed the bundle")
    scan.add_argument("--at", type=int, metavar="S", help="judge as if it were this time, in s since 1970")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    return run(arguments.config, stdout_log(), begun=arguments.begun)


def _check_config(arguments: argparse.Namespace) -> int:
    machine = load_machine(arguments.config)
    if isinstance(machine.hardware, PiHardware):
        parts.pins(machine.hardware)
    keys = key_store(machine)
    try:
        config = load(arguments.config)
    except NotEnrolledError as error:
        print(in_force(machine))
        print(f"gatelight-device: {error}", file=sys.stderr)
        return 0
    print(in_force(config))
    identity = _identity(config, keys)
    load_bundle(config.trust.bundle, root=identity.root)
    return 0


def _identity(config: DeviceConfig, keys: KeyStore) -> Identity:
    own = config.keys
    return load_identity(
        device=config.device, signing=own.signing, stored=own.stored, store=keys, hub=own.hub, root=own.root
    )


def _enrol(arguments: argparse.Namespace) -> int:
    from device import blank
    from device.enrol import bootfile
    from device.enrol.mode import Mode
    from device.enrol.network import NetworkManager
    from device.enrol.ports import Signals

    machine = load_machine(arguments.config)
    if is_provisioned(arguments.config) or is_enrolled(machine):
        raise ConfigError("this device belongs to a site already; wipe it first, or hold its button")
    text = arguments.code if arguments.code is not None else bootfile.read(arguments.file)
    if text is None:
        raise ConfigError(f"{arguments.file}: no such file")
    keys, log = key_store(machine), stdout_log()
    network = NetworkManager() if machine.enrolment.network == "networkmanager" else None
    if wiping(machine.state_dir):
        raise ConfigError("a wipe is not finished; run the service once")
    mode = Mode(
        blank.surroundings(machine, keys=keys, network=network, log=log),
        signals=Signals(
            waiting=_nothing, working=_nothing, fingerprint=lambda *_: None, failed=_nothing, done=_nothing
        ),
        wait=_slept,
        random=secrets.SystemRandom().random,
    )
    mode.enrol(text)
    return 0


def _nothing() -> None:
    """The log tells it all."""


def _slept(wait_s: float) -> bool:
    time.sleep(wait_s)
    return False


def _status(arguments: argparse.Namespace) -> int:
    """Exit code 1 when something of the site cannot be read."""
    from importlib.metadata import version

    from device.enrol import report

    machine, firmware, faults = load_machine(arguments.config), version("gatelight"), list[str]()
    try:
        site = load(arguments.config).site
    except NotEnrolledError:
        about = report.of_blank(machine.state_dir, firmware=firmware)
    else:
        about, faults = report.of_site(
            site, state_dir=machine.state_dir, keys=key_store(machine), now_s=int(time.time()), firmware=firmware
        )
    _print(about, as_json=arguments.json)
    for fault in faults:
        print(f"gatelight-device: {fault}", file=sys.stderr)
    return FAILED if faults else 0


def _print(about: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(about, ensure_ascii=False))
        return
    for key, value in about.items():
        print(f"{key:16} {value}")


def _safe(arguments: argparse.Namespace) -> int:
    return safe.main(["--config", str(arguments.config)])


def _prompts(_: argparse.Namespace) -> int:
    from device.hardware.spoken import SPOKEN

    for name, sentences in SPOKEN.items():
        for language, sentence in zip(("zh", "en"), sentences, strict=True):
            print(f"{name}.{language}\t{sentence}")
    return 0


def _spool(arguments: argparse.Namespace) -> int:
    config = load(arguments.config)
    audit = audit_file(config.spool, key=_identity(config, key_store(config)).signing.public)
    about = {
        "epoch": audit.epoch.hex(),
        "depth": audit.depth,
        "oldest": audit.oldest_seq,
        "newest": audit.newest_seq,
        "head_seq": audit.newest_seq,
        "head_hash": audit.head_hash.hex(),
        "chain_ok": not audit.faults,
        "faults": list(audit.faults),
    }
    _print(about, as_json=arguments.json)
    return FAILED if audit.faults else 0


def _scan(arguments: argparse.Namespace) -> int:
    """Exit code 1 when a picture could not be opened; one that holds no code is an answer, not a failure."""
    from device.hardware.sim.pictures import pictures_in

    trust = _bundle(arguments.trust, arguments.root)
    now_ms = arguments.at * 1000 if arguments.at is not None else time.time_ns() // 1_000_000
    paths = [path for given in arguments.paths for path in pictures_in(given)]
    unread = 0
    decoder = DecoderProcess(engine=arguments.engine, frame_px_max=STILL_PX_MAX, scene_gate=False)
    decoder.start()
    try:
        for seq, path in enumerate(paths):
            began = time.perf_counter()
            try:
                luma = _still(path)
            except HardwareError as error:
                unread += 1
                print(json.dumps({"file": str(path), "error": str(error)}, ensure_ascii=False))
                continue
            open_ms = (time.perf_counter() - began) * 1000
            frame = Frame(luma=luma, seq=seq, at_mono_ns=time.monotonic_ns())
            result = read_still(frame, decoder=decoder, trust=trust, rules=Rules(), now_ms=now_ms, clock_trusted=True)
            print(json.dumps(_as_json(path, result, open_ms), ensure_ascii=False), flush=True)
    finally:
        decoder.close()
    return FAILED if unread else 0


def _still(path: Path) -> Luma:
    from device.hardware.sim.pictures import luma_of

    luma = luma_of(path)
    if luma.size > STILL_PX_MAX:
        raise HardwareError(f"{path} has more than {STILL_PX_MAX} pixels")
    return luma


def _bundle(trust: Path | None, root: Path | None) -> TrustBundle | None:
    if (trust is None) != (root is None):
        raise ValueError("--trust and --root go together")
    if trust is None or root is None:
        return None
    return load_bundle(trust, root=load_public(root))


def _as_json(path: Path, result: StillResult, open_ms: float) -> dict[str, object]:
    line: dict[str, object] = {"file": str(path), "text": None, "scheme": None}
    line.update({"colour": None, "verdict": None, "reason": None})
    codes = [_reading(reading) for reading in result.readings]
    line.update(codes[0] if codes else {})
    times = {"open": open_ms, "decode": result.decode_ms}
    if result.readings:
        times.update(verify=result.readings[0].verify_ms, decide=result.readings[0].decide_ms)
    line["ms"] = {stage: round(ms, 3) for stage, ms in times.items()}
    if len(codes) > 1:
        line["others"] = codes[1:]
    if result.not_text:
        line["not_text"] = result.not_text
    if result.lost:
        line["lost"] = True
    return line


def _reading(reading: Reading) -> dict[str, object]:
    decision = reading.decision
    return {
        "text": reading.text,
        "scheme": reading.scheme,
        "colour": decision.colour.wire_name if decision else None,
        "verdict": decision.verdict.wire_name if decision else None,
        "reason": decision.reason.wire_name if decision else None,
    }
