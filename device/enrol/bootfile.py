"""`enrol.json` on the boot partition: enrolment for who writes memory cards instead of showing codes.

Either `{"code": "GLE1:..."}`, or the code's parts: `url`, `token` and `ca_hash` in hex, `expires_s`, and perhaps
`wifi` as `{"ssid", "psk"}`, `place`, `gate`. The file lies where every computer can read it, so it goes when done.
"""

import json
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from device import durable
from device.enrol.errors import CodeError
from protocol.cbor import TIME_MAX_S
from protocol.enrolment import ProvisioningCode, provisioning_text
from protocol.errors import ProtocolError

FILE_BYTES = 64 * 1024
"""What is longer is another file."""


class _Wifi(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    ssid: str
    psk: str


class _Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str


class _Parts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    url: str
    token: Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{32}\Z")]
    ca_hash: Annotated[str, Meta(pattern=r"^[0-9a-fA-F]{64}\Z")]
    expires_s: Annotated[int, Meta(ge=0, le=TIME_MAX_S)]
    wifi: _Wifi | None = None
    place: str | None = None
    gate: str | None = None


def read(path: Path) -> str | None:
    """The file -> the text of a provisioning code; None where there is no file.

    Raises:
        CodeError: it cannot be read, or holds no code.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CodeError("boot_file", f"{path}: {error.strerror}") from error
    if len(data) > FILE_BYTES:
        raise CodeError("boot_file", f"{path}: over {FILE_BYTES} bytes")
    try:
        given = msgspec.json.decode(data)
        if isinstance(given, dict) and "code" in given:
            return msgspec.convert(given, _Code).code
        return _text(msgspec.convert(given, _Parts))
    except (msgspec.DecodeError, UnicodeDecodeError, ProtocolError, RecursionError) as error:
        raise CodeError("boot_file", f"{path}: {error}") from error


def retire(path: Path) -> None:
    """Removes the file, and leaves one beside it that says so without any secret.

    Raises:
        OSError: the partition cannot be written.
    """
    if not path.is_file():
        return
    said = json.dumps({"done": True, "what": "This device is enrolled; token and network password were removed."})
    durable.write_atomic(path.with_name(path.name + ".done"), said.encode() + b"\n")
    durable.erase(path)


def _text(parts: _Parts) -> str:
    code = ProvisioningCode(
        url=parts.url,
        token=bytes.fromhex(parts.token),
        ca_hash=bytes.fromhex(parts.ca_hash),
        expires_s=parts.expires_s,
        wifi=None if parts.wifi is None else (parts.wifi.ssid, parts.wifi.psk),
        place=parts.place,
        gate=parts.gate,
    )
    return provisioning_text(code)
