"""What the hub sent, and our own keys -> the files of a site, which `site.install` puts into force."""

from pathlib import Path

from msgspec.structs import replace

from device import sitefile, tomlfile
from device.enrol import certificates
from device.enrol.errors import SiteError
from device.identity import encode_hub_keys
from device.sitefile import SiteConfig
from protocol.enrolment import Configuration
from protocol.keys import encode_key


def compose(configuration: Configuration, *, tls_key: bytes, signing: str) -> dict[str, bytes]:
    """The hub's answer and our keys -> the files of a site.

    Raises:
        AnswerError: a certificate that is none.
        SiteError: something that no `site.toml` can say.
    """
    here = Path("/")
    ca = here / "ca.pem"
    try:
        site = SiteConfig(
            device_id=configuration.device.hex(),
            place=configuration.place,
            gate=configuration.gate,
            direction="in" if configuration.direction == 0 else "out",
            keys=sitefile.Keys(hub=here / "hub.cose", root=here / "root.cose", stored=signing),
            trust=sitefile.Trust(bundle=here / "trust.cose", policy=here / "policy.cose"),
            broker=sitefile.Broker(
                host=configuration.broker_host.strip("[]"),
                port=configuration.broker_port,
                ca=ca,
                cert=here / "chain.pem",
                key=here / "tls.key",
            ),
            hub=sitefile.HubAddress(url=configuration.hub_url, ca=ca),
        )
    except ValueError as error:
        raise SiteError(str(error)) from error
    return {
        "tls.key": tls_key,
        "chain.pem": certificates.to_pem(*configuration.chain),
        "ca.pem": certificates.to_pem(configuration.ca),
        "hub.cose": encode_hub_keys(configuration.hub_keys),
        "root.cose": encode_key(configuration.root),
        "trust.cose": configuration.trust,
        "policy.cose": configuration.policy,
        sitefile.FILE: tomlfile.dump(site, folder=here),
    }


def recompose(
    site: SiteConfig, folder: Path | None, *, chain: tuple[bytes, ...], tls_key: bytes, signing: str | None
) -> dict[str, bytes]:
    """The site in force, with a new certificate and perhaps another signing key -> the files of the next one.

    Args:
        site: as the configuration has it.
        folder: the folder in force, if there is one.
        chain: the new certificate first, DER.
        tls_key: the key it is for, PEM.
        signing: the name of another signing key.

    Raises:
        AnswerError: a certificate that is none.
        OSError, ConfigError: the site in force cannot be read.
    """
    enrolled = folder is not None and site.renews is None and site.broker.cert.is_relative_to(folder)
    base = folder if enrolled and folder is not None else Path("/nowhere")
    files = {path.name: path.read_bytes() for path in base.iterdir()} if enrolled else {}
    renews = site.renews if enrolled or site.renews is not None else sitefile.provisioned_hash(site.broker.cert)
    keys = site.keys if signing is None else replace(site.keys, signing=None, stored=signing)
    broker = replace(site.broker, cert=base / "chain.pem", key=base / "tls.key")
    files["tls.key"] = tls_key
    files["chain.pem"] = certificates.to_pem(*chain)
    files.pop(sitefile.FILE, None)
    files[sitefile.FILE] = tomlfile.dump(replace(site, keys=keys, broker=broker, renews=renews), folder=base)
    return files
