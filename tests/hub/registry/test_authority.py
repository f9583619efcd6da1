import datetime as dt
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from hub.registry.authority import create_authority, load_authority
from hub.registry.checks import RegistryError
from hub.registry.requests import as_verify_key, checked_csr, key_digest
from protocol.keys import Ed25519SigningKey

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
DEVICE = bytes.fromhex("00112233445566ff")


def moment(at_ms):
    return dt.datetime.fromtimestamp(at_ms // 1000, dt.UTC)


def files(tmp_path):
    return {"cert": tmp_path / "ca.pem", "key": tmp_path / "ca.key"}


@pytest.fixture
def paths(tmp_path):
    create_authority(**files(tmp_path), name="hub 1", now_ms=NOW_MS)
    return files(tmp_path)


@pytest.fixture
def authority(paths):
    return load_authority(**paths, days=90, now_ms=NOW_MS)


@pytest.fixture
def public():
    return ec.generate_private_key(ec.SECP256R1()).public_key()


def test_the_authority_is_secret_long_lived_and_signs_no_other_authority(paths, authority):
    assert stat.S_IMODE(paths["key"].stat().st_mode) == 0o600
    certificate = authority.certificate
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    assert certificate.not_valid_after_utc == moment(NOW_MS) + dt.timedelta(days=3650)
    assert authority.key_hash == key_digest(certificate.public_key())


def test_an_authority_is_never_overwritten(paths):
    before = {path: path.read_bytes() for path in paths.values()}
    with pytest.raises(RegistryError, match="exists"):
        create_authority(**paths, name="hub 2", now_ms=NOW_MS)
    paths["key"].unlink()
    with pytest.raises(RegistryError, match="exists"):
        create_authority(**paths, name="hub 2", now_ms=NOW_MS)
    assert paths["cert"].read_bytes() == before[paths["cert"]]
    assert not paths["key"].exists()


def test_a_device_certificate_says_what_we_say(authority, public):
    made = authority.issue_device(public, device_id=DEVICE, now_ms=NOW_MS)
    certificate = x509.load_der_x509_certificate(made.der)
    assert certificate.subject.rfc4514_string() == "CN=00112233445566ff"
    assert certificate.public_key() == public
    assert certificate.serial_number == int.from_bytes(made.serial, "big")
    assert (made.name, made.device_id, made.key) == (DEVICE.hex(), DEVICE, key_digest(public))
    assert made.not_after_ms == NOW_MS + 90 * DAY_MS
    assert certificate.not_valid_after_utc == moment(made.not_after_ms)
    assert certificate.not_valid_before_utc < moment(NOW_MS)
    uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    ours = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    theirs = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert theirs.key_identifier == ours.digest
    certificate.verify_directly_issued_by(authority.certificate)


def test_a_server_certificate_passes_a_strict_verifier_for_its_names_only(authority, public):
    made = authority.issue_server(public, hosts=("hub.example", "127.0.0.1"), now_ms=NOW_MS)
    leaf = x509.load_der_x509_certificate(made.der)
    builder = PolicyBuilder().store(Store([authority.certificate])).time(moment(NOW_MS))
    builder.build_server_verifier(x509.DNSName("hub.example")).verify(leaf, [])
    with pytest.raises(x509.verification.VerificationError):
        builder.build_server_verifier(x509.DNSName("broker.example")).verify(leaf, [])
    client = x509.load_der_x509_certificate(authority.issue_device(public, device_id=DEVICE, now_ms=NOW_MS).der)
    with pytest.raises(x509.verification.VerificationError):
        builder.build_server_verifier(x509.DNSName(DEVICE.hex())).verify(client, [])


def test_serial_numbers_are_random_and_fit(authority, public):
    serials = {authority.issue_device(public, device_id=DEVICE, now_ms=NOW_MS).serial for _ in range(20)}
    assert len(serials) == 20
    for serial in serials:
        assert len(serial) == 16
        assert 0 < int.from_bytes(serial, "big") < 1 << 127


def test_nothing_outlives_the_authority(paths, public):
    end_ms = NOW_MS + 3650 * DAY_MS
    late = load_authority(**paths, days=90, now_ms=end_ms - 5 * DAY_MS)
    made = late.issue_device(public, device_id=DEVICE, now_ms=end_ms - 5 * DAY_MS)
    assert made.not_after_ms == end_ms
    with pytest.raises(RegistryError, match="has ended"):
        late.issue_device(public, device_id=DEVICE, now_ms=end_ms)
    with pytest.raises(RegistryError, match="outside its time"):
        load_authority(**paths, days=90, now_ms=end_ms)
    with pytest.raises(RegistryError, match="outside its time"):
        load_authority(**paths, days=90, now_ms=NOW_MS - DAY_MS)


def pem(key):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no private key"),
        (b"rubbish", "no private key"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "not a P-256 key"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "not a P-256 key"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "another key"),
        (b"x" * 5000, "no key is that long"),
    ],
)
def test_a_wrong_key_file_is_named(paths, content, said):
    paths["key"].write_bytes(content)
    with pytest.raises(RegistryError, match=said):
        load_authority(**paths, days=90, now_ms=NOW_MS)


def test_a_key_that_others_may_read_is_refused(paths):
    paths["key"].chmod(0o640)
    with pytest.raises(RegistryError, match="chmod 600"):
        load_authority(**paths, days=90, now_ms=NOW_MS)


def test_a_certificate_that_is_no_authoritys_is_refused(paths, authority):
    leaf = authority.issue_server(authority.key.public_key(), hosts=("hub",), now_ms=NOW_MS)
    for data in (b"", b"rubbish", x509.load_der_x509_certificate(leaf.der).public_bytes(Encoding.PEM)):
        paths["cert"].write_bytes(data)
        with pytest.raises(RegistryError):
            load_authority(**paths, days=90, now_ms=NOW_MS)
    paths["cert"].unlink()
    with pytest.raises(RegistryError, match="No such file"):
        load_authority(**paths, days=90, now_ms=NOW_MS)


# ---- what devices ask with


def test_a_request_gives_its_key_and_nothing_else(make_newcomer):
    newcomer = make_newcomer("a")
    assert checked_csr(newcomer.csr(common_name="hub")) == newcomer.tls_key.public_key()
    edwards = ed25519.Ed25519PrivateKey.generate()
    assert checked_csr(newcomer.csr(key=edwards)) == edwards.public_key()


def test_a_request_with_a_broken_signature_is_refused(make_newcomer):
    data = bytearray(make_newcomer("a").csr())
    data[-1] ^= 1
    with pytest.raises(RegistryError, match="did not sign"):
        checked_csr(bytes(data))


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(public_exponent=65537, key_size=2048)]
)
def test_a_request_for_another_kind_of_key_is_refused(make_newcomer, key):
    with pytest.raises(RegistryError, match="neither P-256 nor Ed25519"):
        checked_csr(make_newcomer("a").csr(key=key))


def test_what_is_no_request_is_refused(make_newcomer):
    whole = make_newcomer("a").csr()
    for data in (
        b"",
        b"\x30\x00",
        b"rubbish" * 20,
        whole + b"\x00",
        bytes(3000),
        *(whole[:n] for n in range(1, 200, 7)),
    ):
        with pytest.raises(RegistryError):
            checked_csr(data)


def test_a_key_for_tls_can_be_compared_with_a_signing_key():
    seed = bytes(range(32))
    edwards = ed25519.Ed25519PrivateKey.from_private_bytes(seed)
    assert as_verify_key(edwards.public_key()) == Ed25519SigningKey(seed).public


def test_a_client_that_is_no_device(authority, public):
    made = authority.issue_client(public, name="hub", now_ms=NOW_MS)
    (name,) = x509.load_der_x509_certificate(made.der).subject
    assert (name.oid, name.value, made.device_id) == (NameOID.COMMON_NAME, "hub", None)
