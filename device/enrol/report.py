"""What a device is and where it stands, for `gatelight-device status`."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from device.enrol import certificates, pending
from device.enrol.errors import EnrolmentError
from device.enrol.pending import ENROLLING, Enrolling
from device.enrol.wipe import wiping
from device.identity import Identity, IdentityError, load_identity
from device.keystore.ports import KeyStore
from device.sitefile import SiteConfig
from protocol.enrolment import fingerprint_characters, fingerprint_words
from protocol.errors import ProtocolError
from protocol.limits import TRUST_BYTES
from protocol.policy import open_policy
from protocol.trust import open_trust

DAY_S = 86_400


def of_blank(state_dir: Path, *, firmware: str) -> dict[str, object]:
    """A device that belongs to no site."""
    begun = pending.load(state_dir / ENROLLING, Enrolling)
    state = "none" if begun is None else "asked" if begun.id else "begun"
    return {"enrolled": False, "enrolment": state, "wiping": wiping(state_dir), "firmware": firmware}


def of_site(
    site: SiteConfig, *, state_dir: Path, keys: KeyStore, now_s: int, firmware: str
) -> tuple[dict[str, object], list[str]]:
    """A device with a site: what it is, and what of it cannot be read."""
    faults: list[str] = []
    report: dict[str, object] = {
        "enrolled": True,
        "wiping": wiping(state_dir),
        "device": site.device_id,
        "place": site.place,
        "gate": site.gate,
        "direction": site.direction,
        "hub": site.hub.url if site.hub else None,
        "firmware": firmware,
    }
    try:
        _, ends_s = certificates.window_s(site.broker.cert.read_bytes())
        report["certificate_days"] = (ends_s - now_s) // DAY_S
    except (OSError, EnrolmentError) as error:
        faults.append(str(error))
    try:
        identity = load_identity(
            device=site.device,
            signing=site.keys.signing,
            stored=site.keys.stored,
            store=keys,
            hub=site.keys.hub,
            root=site.keys.root,
        )
    except IdentityError as error:
        faults.append(str(error))
        return report, faults
    own = identity.signing.public
    report |= {"key": own.kid.hex(), "words": " ".join(fingerprint_words(own))}
    report["characters"] = fingerprint_characters(own)
    kept = state_dir / "believed"
    report["trust"] = _newest([site.trust.bundle, kept / "trust.cose"], partial(_trust_version, identity), faults)
    policies = [kept / "policy.cose"] if site.trust.policy is None else [site.trust.policy, kept / "policy.cose"]
    report["policy"] = _newest(policies, partial(_policy_version, identity, site), faults)
    return report, faults


def _trust_version(identity: Identity, data: bytes) -> int:
    return open_trust(data, root=identity.root).version


def _policy_version(identity: Identity, site: SiteConfig, data: bytes) -> int:
    hub_keys = {key.kid: key for key in identity.hub_keys}
    policy = open_policy(data, hub_keys=hub_keys, device=site.device, place=site.place, gate=site.gate)
    return policy.version


def _newest(paths: list[Path], version_of: Callable[[bytes], int], faults: list[str]) -> int | None:
    versions = []
    for path in paths:
        try:
            with path.open("rb") as file:
                versions.append(version_of(file.read(TRUST_BYTES + 1)))
        except FileNotFoundError:
            continue
        except (OSError, ProtocolError) as error:
            faults.append(f"{path}: {error}")
    return max(versions, default=None)
