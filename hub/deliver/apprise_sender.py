"""Apprise behind our port: loaded when somebody is to be told, in threads of its own.

Of its 130 services only those are loaded that are used here: the others cannot be reached, and take no memory. A hub
that tells nobody loads none. Threads of its own: those of asyncio sign batches and must not wait for a mail server.
"""

import asyncio
import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from hub.deliver.alert_text import Message
from hub.deliver.channels import ChannelError, allowed_address, checked_url, hosts_of

_SERVICES: Final = {
    "mailto": ("email.base", "NotifyEmail"),
    "mailtos": ("email.base", "NotifyEmail"),
    "json": ("custom_json", "NotifyJSON"),
    "jsons": ("custom_json", "NotifyJSON"),
    "wecombot": ("wecombot", "NotifyWeComBot"),
    "dingtalk": ("dingtalk", "NotifyDingTalk"),
    "feishu": ("feishu", "NotifyFeishu"),
}
_THREADS: Final = 4
_LONGEST_S: Final = 9.0
"""Less than an errand may take: whoever tries a channel is told that it did not answer."""


class SendError(Exception):
    """It did not go; the sentence holds nothing of the address. `final`: it never will."""

    def __init__(self, what: str, *, final: bool = False) -> None:
        super().__init__(what)
        self.final = final


class AppriseSender:
    """`hub.deliver.tell.Sender`.

    Args:
        loopback: this machine may be spoken to: for the sandbox.
    """

    def __init__(self, *, loopback: bool) -> None:
        self._loopback = loopback
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="alerts")
        self._asset: Any = None

    async def send(self, url: str, message: Message) -> None:
        """Returns when the other side has taken it. Raises SendError."""
        sending = asyncio.get_running_loop().run_in_executor(self._threads, self._send, url, message)
        try:
            async with asyncio.timeout(_LONGEST_S):
                await sending
        except TimeoutError as error:
            # The thread may still be at it: Apprise bounds each of its steps by 4 s.
            raise SendError(f"no answer in {_LONGEST_S:.0f} s") from error

    def close(self) -> None:
        """Let go of the threads; what is being sent is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _send(self, url: str, message: Message) -> None:
        try:
            checked_url(url, loopback=self._loopback)
        except ChannelError as error:
            raise SendError(str(error), final=True) from error
        self._look_up(url)
        try:
            service = self._service(url)
            taken = service is not None and service.notify(title=message.title, body=message.body)
        except Exception as error:
            # Whatever a service raises; its text may hold the address.
            raise SendError(type(error).__name__) from error
        if service is None:
            raise SendError("Apprise cannot read this address", final=True)
        if not taken:
            raise SendError("the other side did not take it")

    def _service(self, url: str) -> Any:
        """An address -> Apprise's service for it; None when it cannot read it."""
        if self._asset is None:
            from apprise import AppriseAsset

            # Its log lines may hold addresses, which are secrets.
            logging.getLogger("apprise").setLevel(logging.CRITICAL)
            self._asset = AppriseAsset(app_id="Gatelight", app_desc="Gatelight", http_redirects=False)
        module, name = _SERVICES[urlsplit(url).scheme.lower()]
        service = getattr(import_module(f"apprise.plugins.{module}"), name)
        read = service.parse_url(url)
        return service(**read, asset=self._asset) if read else None

    def _look_up(self, url: str) -> None:
        """Where the names lead now. Between this and the connection a name could be changed once more: what is sent is
        no secret, and nothing of the answer is shown.
        """
        if self._loopback:
            return
        for host in hosts_of(url):
            try:
                found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except OSError:
                # A mail domain need have no address of its own: Apprise knows the server of many.
                continue
            if not all(allowed_address(ip_address(str(entry[4][0]).partition("%")[0])) for entry in found):
                raise SendError("the name leads to this machine or its own network")
