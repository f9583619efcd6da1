"""The files that a site's parties find."""

import datetime as dt
import stat

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from deploy.sandbox.pki import CertificateAuthority, make_signing_key, read_signing_key, write_private
from protocol.errors import ProtocolError
from protocol.keys import EDDSA, ES256, decode_key

NOW = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)


def load(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_a_client_certificate_carries_its_name_and_is_issued_by_its_ca(tmp_path):
    ca = CertificateAuthority(tmp_path, name="site", now=NOW)
    files = ca.client("0011223344556677")
    certificate = load(files.cert)
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "0011223344556677"
    certificate.verify_directly_issued_by(load(files.ca))
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_server_certificate_names_loopback(tmp_path):
    certificate = load(CertificateAuthority(tmp_path, name="site", now=NOW).server("broker").cert)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]


@pytest.mark.parametrize(("p256", "alg"), [(False, EDDSA), (True, ES256)])
def test_a_signing_key_is_read_back_and_fits_its_public_file(tmp_path, p256, alg):
    files = make_signing_key(tmp_path, name="gate", p256=p256)
    key, public = read_signing_key(files.signing), decode_key(files.public.read_bytes())
    assert key.public == public
    assert public.alg == alg
    public.verify(b"message", key.sign(b"message"))


def test_private_files_are_for_their_owner_only(tmp_path):
    ca = CertificateAuthority(tmp_path / "ca", name="site", now=NOW)
    keys = [ca.client("hub").key, make_signing_key(tmp_path, name="hub").signing]
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}


def test_a_private_file_is_never_overwritten(tmp_path):
    write_private(tmp_path / "key", b"first")
    with pytest.raises(FileExistsError):
        write_private(tmp_path / "key", b"second")
    assert (tmp_path / "key").read_bytes() == b"first"


def test_a_file_that_is_no_signing_key_is_refused(tmp_path):
    (tmp_path / "key").write_text("ssh-rsa AAAA")
    with pytest.raises(ProtocolError):
        read_signing_key(tmp_path / "key")
