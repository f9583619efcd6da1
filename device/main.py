"""The life of the process: finish what a power cut ended, be enrolled if need be, be a gate, and end.

    wiping    a wipe that was begun is finished first, whatever comes
    blank     without a site: looks for a provisioning code (`blank.py`)
    gate      with one: serves people (`gate.py`)

Whatever changes on disk while it is a gate, a new certificate, new keys, a wipe, ends the process with 0; systemd
starts it again, and everything is built from what is in force then.
"""

import secrets
import signal
import time
from contextlib import AbstractContextManager, closing
from pathlib import Path

from device import gate, parts
from device.config import (
    DeviceConfig,
    MachineConfig,
    is_enrolled,
    is_provisioned,
    load,
    load_machine,
    provisioned_site,
)
from device.enrol import bootfile, site
from device.enrol.ports import Network
from device.enrol.wipe import begin_wipe, finish_wipe, wiping
from device.hardware.pi.watchdog import SystemdWatchdog
from device.hardware.ports import Watchdog
from device.identity import load_identity
from device.keystore.choose import open_store
from device.keystore.ports import KeyStore
from device.logs import Log
from device.scan.decoder.process import Begun
from device.send.spool import Spool
from device.stop import Stop, Why

KEYS_FOLDER = "keys"


def run(path: Path, log: Log, *, begun: Begun | None = None) -> int:
    """The device that the file `path` describes, until it ends: 0 as asked, 1 after a failure.

    `begun` is a decoder's child that was started ahead: whoever needs one first gets it.

    Raises:
        ConfigError, IdentityError, KeyStoreError, OSError, ProtocolError, StorageError, HardwareError, SiteError: it
            cannot start.
    """
    stop = Stop()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stop.signalled)
    machine = load_machine(path)
    machine.state_dir.mkdir(parents=True, exist_ok=True)
    watchdog = SystemdWatchdog.from_environment()
    keys, network = key_store(machine), _network(machine, watchdog)
    if wiping(machine.state_dir):
        log.event("wiping")
        finish_wipe(machine.state_dir, keys=keys, network=network)
        log.event("wiped")
    site.tidy(machine.state_dir, keys=keys)
    if not is_provisioned(path) and not is_enrolled(machine):
        log.event("unenrolled")
        given, begun = begun, None
        if not _be_blank(machine, keys=keys, network=network, watchdog=watchdog, stop=stop, log=log, begun=given):
            return 0
    _retire_boot_file(machine, log)
    config = load(path)
    # Whoever wrote the site into the file enrols by writing it anew; the button would change nothing for good.
    by_hand = is_provisioned(path)
    code = _be_gate(config, keys=keys, watchdog=watchdog, stop=stop, log=log, can_be_armed=not by_hand, begun=begun)
    if stop.why is Why.WIPE:
        begun_with = provisioned_site(path)
        begin_wipe(machine.state_dir, given=[config.site] if begun_with is None else [config.site, begun_with])
    elif stop.why is Why.ARMED:
        log.event("armed")
        again = Stop()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, again.signalled)
        _be_blank(machine, keys=keys, network=network, watchdog=watchdog, stop=again, log=log, armed=True)
    return code


def _retire_boot_file(machine: MachineConfig, log: Log) -> None:
    """A power cut may have come between enrolment and this; the file holds a token and a network's password."""
    try:
        bootfile.retire(machine.enrolment.boot_file)
    except OSError as error:
        log.event("boot_file_stays", error=str(error))


def key_store(machine: MachineConfig) -> KeyStore:
    """Where this machine keeps its signing keys.

    Raises:
        KeyStoreError: what the configuration names is not there.
    """
    return open_store(machine.keystore, folder=machine.state_dir / KEYS_FOLDER, random_bytes=secrets.token_bytes)


def _hardware(machine: MachineConfig) -> AbstractContextManager[parts.Parts]:
    return parts.hardware(machine.hardware, thermometer=machine.thermometer, screen=machine.screen, voice=machine.voice)


def _network(machine: MachineConfig, watchdog: Watchdog) -> Network | None:
    if machine.enrolment.network != "networkmanager":
        return None
    from device.enrol.network import NetworkManager

    def wait(wait_s: float) -> None:
        # Joining a network takes up to a minute, in which no frame is looked at.
        watchdog.feed()
        time.sleep(wait_s)

    return NetworkManager(sleep=wait)


def _be_blank(
    machine: MachineConfig,
    *,
    keys: KeyStore,
    network: Network | None,
    watchdog: Watchdog,
    stop: Stop,
    log: Log,
    armed: bool = False,
    begun: Begun | None = None,
) -> bool:
    """Whether it was enrolled; when it was armed only for a while."""
    # What enrolment needs is a quarter of all there is to import, and a gate does without.
    from device import blank

    with _hardware(machine) as hardware:
        return blank.run(
            machine,
            hardware=hardware,
            keys=keys,
            network=network,
            watchdog=watchdog,
            stop=stop,
            log=log,
            for_s=blank.ARMED_S if armed else None,
            begun=begun,
        )


def _be_gate(
    config: DeviceConfig,
    *,
    keys: KeyStore,
    watchdog: Watchdog,
    stop: Stop,
    log: Log,
    can_be_armed: bool,
    begun: Begun | None,
) -> int:
    identity = load_identity(
        device=config.device,
        signing=config.keys.signing,
        stored=config.keys.stored,
        store=keys,
        hub=config.keys.hub,
        root=config.keys.root,
    )
    spool = Spool.open(config.spool, new_epoch=secrets.token_bytes(8), now_ms=gate.wall_ms())
    with closing(spool), _hardware(config) as hardware:
        if spool.damage is not None:
            log.event("spool_damaged", damage=spool.damage)
        running = gate.Gate(
            config, log=log, identity=identity, keys=keys, spool=spool, hardware=hardware, stop=stop, begun=begun
        )
        running.start(can_be_armed=can_be_armed)
        try:
            return running.watch(watchdog)
        finally:
            hardware.gate.close()
            running.stop()
