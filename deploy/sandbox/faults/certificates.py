"""Certificates that end while their owner is connected.

TLS does not look again at a certificate once a connection stands, so its end is felt when the connection is cut: here
by killing the broker. What brings the part back is a certificate written anew for the same key by whoever runs the
site; or, at a gate, its own renewal, which asks over the old certificate while that lasts.
"""

import asyncio
import datetime as dt
import hashlib
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy.sandbox.faults.arena import Arena, NotEffectiveError
from deploy.sandbox.faults.plan import Blow
from deploy.sandbox.gate import SandboxGate
from device.config import load

_LASTS_S = 9.0
"""Long enough to start with it and to connect, even where many start at once."""

_HOUR = dt.timedelta(hours=1)
_YEAR = dt.timedelta(days=90)
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Owner:
    """A part and its certificate. `gate` is None for a server."""

    name: str
    file: Path
    gate: SandboxGate | None


async def end(arena: Arena, blow: Blow) -> str:
    """The part gets a certificate that ends in seconds, connects by it, and is cut off after its end."""
    owner = _owner(arena, blow.parts[0])
    ca_key = _ca_key(arena)
    now = dt.datetime.now(dt.UTC)
    ends = now + dt.timedelta(seconds=_LASTS_S)
    # A gate renews when a third of the life is left: of an hour that is at once, of nine seconds when it is too late.
    renews = blow.how == "renewed"
    begins = now - _HOUR if renews else now - dt.timedelta(seconds=1)
    made = _write_again(owner.file, ca_key=ca_key, begins=begins, ends=ends)
    if renews:
        _give_out(arena, made)
    since = owner.gate.mark() if owner.gate is not None else 0
    arena.part(owner.name).kill()
    await _connected(arena, owner, since=since)
    if renews and owner.gate is not None:
        if await owner.gate.event("renewed", timeout_s=_PATIENCE_S, after=since) is None:
            raise NotEffectiveError("the gate did not renew")
        if _ends(_owner(arena, owner.name).file) <= ends:
            raise NotEffectiveError("what the gate has in force is the old certificate")
    await asyncio.sleep(max(0.0, ends.timestamp() - time.time()) + 0.5)
    refused = _refusals(arena)
    arena.part("broker").kill()
    await asyncio.sleep(blow.hold_s + 2)
    refused = _refusals(arena) - refused
    if renews:
        return "renewed over the old one before that ended"
    _write_again(owner.file, ca_key=ca_key, begins=now - _HOUR, ends=now + _YEAR)
    if owner.gate is None:
        # Servers read their certificate when they start.
        arena.part(owner.name).kill()
        await arena.alive(owner.name)
    if not refused:
        raise NotEffectiveError("nobody was refused")
    return f"{refused} handshakes failed for the ended certificate; then one was written anew"


async def _connected(arena: Arena, owner: _Owner, *, since: int) -> None:
    """Until the part works with the short certificate.

    Raises:
        NotEffectiveError: it does not in time.
    """
    if owner.gate is not None:
        if await owner.gate.event("link_up", timeout_s=_LASTS_S, after=since) is None:
            raise NotEffectiveError("the gate did not connect while its certificate was good")
        return
    await asyncio.sleep(1.2)
    try:
        async with asyncio.timeout(_LASTS_S):
            while True:
                if await arena.hub_metric("broker_ready"):
                    return
                await asyncio.sleep(0.1)
    except TimeoutError as error:
        raise NotEffectiveError("the hub did not connect while the certificate was good") from error


def _owner(arena: Arena, name: str) -> _Owner:
    if arena.is_gate(name):
        gate = arena.gate(name)
        return _Owner(name=name, file=load(gate.plan.config).broker.cert, gate=gate)
    return _Owner(name=name, file=arena.site.layout.folder / "pki" / "site" / f"{name}.crt", gate=None)


def _ca_key(arena: Arena) -> ec.EllipticCurvePrivateKey:
    path = arena.site.layout.folder / "pki" / "site" / "ca.key"
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 -- the sandbox made it
    return key


def _give_out(arena: Arena, made: x509.Certificate) -> None:
    """Lets the hub know a certificate as one of its own: it renews no other."""
    (name,) = (str(part.value) for part in made.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    key = made.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    row = (
        made.serial_number.to_bytes((made.serial_number.bit_length() + 7) // 8, "big"),
        bytes.fromhex(name),
        name,
        hashlib.sha256(key).digest(),
        made.public_bytes(serialization.Encoding.DER),
        int(made.not_valid_before_utc.timestamp()) * 1000,
        int(made.not_valid_after_utc.timestamp()) * 1000,
    )
    with closing(sqlite3.connect(arena.hub_database)) as db, db:
        db.execute("INSERT INTO certificate VALUES (?, ?, ?, ?, ?, ?, ?, NULL)", row)


def _write_again(
    file: Path, *, ca_key: ec.EllipticCurvePrivateKey, begins: dt.datetime, ends: dt.datetime
) -> x509.Certificate:
    """The first certificate of the file again, with another life; what follows it in the file stays."""
    old, *chain = x509.load_pem_x509_certificates(file.read_bytes())
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, critical=extension.critical)
    made = builder.sign(ca_key, hashes.SHA256())
    pem = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (made, *chain))
    beside = file.with_name(file.name + ".new")
    beside.write_bytes(pem)
    beside.replace(file)
    return made


def _ends(file: Path) -> dt.datetime:
    return x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc


def _refusals(arena: Arena) -> int:
    """How often anybody has said that a handshake failed over a certificate that has ended."""
    logs = arena.site.layout.logs.glob("*.log")
    texts = (log.read_text(encoding="utf-8", errors="replace") for log in logs)
    return sum(text.count("certificate verify failed") for text in texts)
