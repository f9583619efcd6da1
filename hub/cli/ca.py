"""`ca`: the hub's certificate authority."""

import argparse
import asyncio
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from hub.cli.output import Commands, add_config, config_of, operator, store_of, write_line
from hub.config import Ca, ConfigError, HubConfig
from hub.registry.authority import Authority, create_authority, load_authority, private_pem
from hub.registry.checks import RegistryError, checked_id
from hub.registry.keyfiles import write_new


def add_commands(commands: Commands) -> None:
    """Enter these commands."""
    actions = commands.add_parser("ca", help="certificate authority").add_subparsers(required=True, metavar="ACTION")
    for name, act, about in (
        ("init", _init, "make the authority: a P-256 key, good for 10 years"),
        ("show", _show, "what it is called, when it ends, and the hash that provisioning codes carry"),
        ("issue", _issue, "a certificate with a new key, for the broker or for the hub at the broker"),
    ):
        parser = actions.add_parser(name, help=about, description=about)
        add_config(parser)
        parser.set_defaults(act=act)
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--server", metavar="HOST", action="append", help="name or address; again for each more")
    who.add_argument("--client", metavar="NAME", help="common name, such as hub")
    parser.add_argument("--cert", required=True, type=Path, help="new file, PEM")
    parser.add_argument("--key", required=True, type=Path, help="new file, PEM, for its owner only")


def authority_of(config: HubConfig) -> Authority:
    """The configured authority. Raises ConfigError or RegistryError."""
    ca = _table(config)
    return load_authority(cert=ca.cert, key=ca.key, days=ca.certificate_days, now_ms=operator().now_ms)


def _table(config: HubConfig) -> Ca:
    if config.ca is None:
        raise ConfigError("the configuration has no [ca]: name the authority's cert and key there")
    return config.ca


def _init(args: argparse.Namespace) -> int:
    config = config_of(args)
    ca = _table(config)
    create_authority(cert=ca.cert, key=ca.key, name=f"Gatelight hub {config.hub_id}", now_ms=operator().now_ms)
    write_line(f"certificate  {ca.cert}: the broker needs it, to know devices by")
    write_line(f"private key  {ca.key}: keep a copy where the hub is not")
    return 0


def _show(args: argparse.Namespace) -> int:
    authority = authority_of(config_of(args))
    write_line(f"name         {authority.certificate.subject.rfc4514_string()}")
    write_line(f"ends         {authority.certificate.not_valid_after_utc:%Y-%m-%d}")
    write_line(f"key hash     {authority.key_hash.hex()}")
    return 0


def _issue(args: argparse.Namespace) -> int:
    asyncio.run(_issue_files(args))
    write_line(f"certificate  {args.cert}")
    write_line(f"private key  {args.key}")
    return 0


async def _issue_files(args: argparse.Namespace) -> None:
    authority, who = authority_of(config_of(args)), operator()
    private = ec.generate_private_key(ec.SECP256R1())
    if args.server:
        made = authority.issue_server(private.public_key(), hosts=tuple(args.server), now_ms=who.now_ms)
    else:
        made = authority.issue_client(private.public_key(), name=_client_name(args.client), now_ms=who.now_ms)
    if args.cert.exists():
        raise RegistryError(f"{args.cert}: File exists")
    async with store_of(args) as store:
        detail = f"{made.serial.hex()} for {made.name}, {'a server' if args.server else 'a client'}"
        await store.add_certificate(made, audit=who.entry("ca.issue", detail))
    write_new(args.key, private_pem(private), mode=0o600)
    pem = x509.load_der_x509_certificate(made.der).public_bytes(serialization.Encoding.PEM)
    write_new(args.cert, pem, mode=0o644)


def _client_name(text: str) -> str:
    """A name that no device has: those are entered by enrolment only."""
    name = checked_id(text, what="client")
    if len(name) == 16 and set(name) <= set("0123456789abcdefABCDEF"):
        raise RegistryError(f"client {name}: a device gets its certificate when it enrols")
    return name
