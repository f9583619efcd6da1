"""`broker-security`: what Mosquitto's dynamic security begins with."""

import argparse

from hub.broker.access import initial_security
from hub.cli.output import Commands, on_store, write_json
from hub.model import DeviceState
from hub.store.ports import Store


def add_commands(commands: Commands) -> None:
    """Enter this command."""
    about = "the file of Mosquitto's dynamic security plugin: the hub may do everything of ours, each device its part"
    on_store(commands, "broker-security", _print, about)


async def _print(store: Store, _: argparse.Namespace) -> None:
    devices = await store.devices()
    write_json(
        initial_security(
            {device.device_id: device.place_id for device in devices if device.state is not DeviceState.REVOKED}
        )
    )
