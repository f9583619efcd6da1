"""What the console asks about alerts: only the hub's process speaks to the outside."""

from collections.abc import Awaitable, Callable
from typing import Any

from hub.deliver.alert_text import test_message
from hub.deliver.apprise_sender import SendError
from hub.deliver.tell import Sender
from hub.registry.changes import Operator
from hub.store.errors import RegistryConflictError
from hub.store.live_ports import LiveStore


def alert_errands(
    *, store: LiveStore, sender: Sender, site: str
) -> dict[str, Callable[[Operator, dict[str, Any], bytes], Awaitable[bytes]]]:
    """Handlers by kind.

    `alerts.test`: `channel` (its id). Sends a test; answers with nothing when the other side took it.
    """

    async def test(_operator: Operator, args: dict[str, Any], _data: bytes) -> bytes:
        wanted = [channel for channel in await store.channels() if channel.channel_id == args.get("channel")]
        if not wanted:
            raise RegistryConflictError("There is no such channel.")
        try:
            await sender.send(wanted[0].url, test_message(site=site, language=wanted[0].language))
        except SendError as error:
            raise RegistryConflictError(f"It did not go: {error}.") from error
        return b""

    return {"alerts.test": test}
