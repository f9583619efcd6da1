"""A channel's address, as somebody typed it -> one that may be used; and how it is shown. Pure.

Whoever sets a channel makes the hub speak to an address of his choice, so only these are taken, and nothing that
changes how they are reached:

    mailto, mailtos     mail                     ?to= ?cc= ?bcc= ?from= ?name= ?smtp= ?mode=
    json, jsons         a webhook                headers by ?+Name=
    wecombot            WeCom                    or the https address that it gives a robot
    dingtalk            DingTalk                 the same
    feishu              Feishu                   the same

Refused: every other scheme of Apprise, of which some read files or run programs; switching certificate checks off; an
address of this machine, or one that only this machine's network gives a meaning (loopback, link-local, multicast). A
name is looked up again before each delivery (`tell.py`), and redirects are not followed.
"""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import parse_qsl, urlsplit

URL_CHARS: Final = 1024
_MAIL: Final = frozenset({"mailto", "mailtos"})
_HOOK: Final = frozenset({"json", "jsons"})
_ROBOT: Final = frozenset({"wecombot", "dingtalk", "feishu"})
_ROBOTS: Final = {
    "qyapi.weixin.qq.com": ("wecombot", re.compile(r"\Ahttps://[^/]+/cgi-bin/webhook/send\?key=([A-Za-z0-9_-]+)\Z")),
    "oapi.dingtalk.com": ("dingtalk", re.compile(r"\Ahttps://[^/]+/robot/send\?access_token=([A-Za-z0-9_-]+)\Z")),
    "open.feishu.cn": ("feishu", re.compile(r"\Ahttps://[^/]+/open-apis/bot/v2/hook/([A-Za-z0-9_-]+)/?\Z")),
}
"""Where a robot's https address leads, and where its key stands in it."""
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_MAIL_OPTIONS: Final = frozenset({"to", "cc", "bcc", "from", "name", "smtp", "mode"})
_MODES: Final = frozenset({"ssl", "starttls"})


class ChannelError(Exception):
    """The address cannot be used; the sentence says why, without the address."""


def checked_url(text: str, *, loopback: bool = False) -> str:
    """An address -> the same without blanks around it; that of a robot in its short form.

    Args:
        text: as it was typed.
        loopback: this machine may be spoken to: for the sandbox.

    Raises:
        ChannelError: it may not be used.
    """
    url = text.strip()
    if not url:
        raise ChannelError("An address is needed.")
    if len(url) > URL_CHARS:
        raise ChannelError(f"The address has more than {URL_CHARS} characters.")
    if not url.isprintable() or any(char in url for char in " ,;\\"):
        raise ChannelError("The address has characters that no address has.")
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise ChannelError("This is no address.") from error
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    if scheme not in _MAIL | _HOOK | _ROBOT | {"https"}:
        raise ChannelError("The address begins with none of mailtos, jsons, wecombot, dingtalk, feishu.")
    if not host:
        raise ChannelError("The address names no host.")
    if scheme == "https":
        return _robot(host, url)
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        _check_option(scheme, name.lower(), value)
    for named in hosts_of(url):
        if not loopback and not allowed_host(named):
            raise ChannelError("The address is one of this machine or its own network.")
    return url


def _robot(host: str, url: str) -> str:
    scheme, pattern = _ROBOTS.get(host, ("", None))
    found = pattern.search(url) if pattern else None
    if found is None:
        raise ChannelError("An https address is that of a WeCom, DingTalk or Feishu robot; for another use jsons.")
    return f"{scheme}://{found[1]}"


def _check_option(scheme: str, name: str, value: str) -> None:
    # A plus in a query is read as a blank; Apprise means a header by it.
    if scheme in _HOOK and name.startswith((" ", "+")):
        return
    if scheme in _MAIL and name in _MAIL_OPTIONS and (name != "mode" or value in _MODES):
        return
    raise ChannelError(f"The option {name[:32]!r} is not allowed in this address.")


def hosts_of(url: str) -> tuple[str, ...]:
    """The hosts that an address makes us speak to, but for those that a service has fixed."""
    parts = urlsplit(url)
    if parts.scheme.lower() not in _MAIL | _HOOK:
        return ()
    servers = [value for name, value in parse_qsl(parts.query) if name.lower() == "smtp"]
    return (parts.hostname or "", *servers)


def allowed_host(host: str) -> bool:
    """Whether a name or address may be spoken to. A name says nothing yet about where it leads."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        return False
    try:
        return allowed_address(ip_address(name))
    except ValueError:
        # Other ways to write an IPv4 address, such as 0x7f.1 or 2130706433, are numbers in their last part.
        return not _NUMBER.fullmatch(name.rpartition(".")[2])


def allowed_address(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address may be spoken to. Private ones may: a site has its own mail server."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is not None:
            return allowed_address(inner)
    return not (
        address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_unspecified
        or (isinstance(address, IPv4Address) and address.is_reserved)
    )


def shown_url(url: str) -> str:
    """What may be shown of an address: its kind and host, for a robot only its kind."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme in _ROBOT:
        return f"{scheme}://…"
    return f"{scheme}://{parts.hostname or ''}/…"
