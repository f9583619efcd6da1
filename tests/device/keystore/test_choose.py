"""`[keystore]` -> the key store. What the stores do is in tests/contracts/keystore."""

import secrets
import sys
from pathlib import Path

import pytest

from device.keystore.choose import open_store
from device.keystore.file import FileKeyStore
from device.keystore.pkcs11 import Pkcs11KeyStore
from device.keystore.ports import KeyStoreError
from device.machinefile import FileKeys, Pkcs11Keys, TpmKeys

TOKEN = Pkcs11Keys(module=Path("/absent/p11.so"), token_label="gate", pin_file=Path("/absent/pin"))
TPM = TpmKeys(store=Path("/absent/store"), pin_file=Path("/absent/pin"), tcti="device:/absent")


def opened(config, tmp_path):
    return open_store(config, folder=tmp_path / "keys", random_bytes=secrets.token_bytes)


def test_files_lie_in_the_folder(tmp_path):
    store = opened(FileKeys(), tmp_path)
    assert isinstance(store, FileKeyStore)
    store.make("a")
    assert (tmp_path / "keys" / "a.key").exists()


@pytest.mark.parametrize("config", [TOKEN, TPM])
def test_a_token_is_not_touched_before_a_key_is_wanted(tmp_path, monkeypatch, config):
    monkeypatch.setenv("TPM2_PKCS11_STORE", "")
    monkeypatch.setenv("TPM2_PKCS11_TCTI", "")
    store = opened(config, tmp_path)
    assert isinstance(store, Pkcs11KeyStore)
    with pytest.raises(KeyStoreError, match="absent"):
        store.load("a")
    store.close()


def test_the_library_of_a_tpm_is_told_where(tmp_path, monkeypatch):
    import os

    for name in ("TPM2_PKCS11_STORE", "TPM2_PKCS11_TCTI"):
        monkeypatch.setenv(name, "somewhere else")
    opened(TPM, tmp_path)
    assert os.environ["TPM2_PKCS11_STORE"] == "/absent/store"
    assert os.environ["TPM2_PKCS11_TCTI"] == "device:/absent"


@pytest.mark.parametrize("config", [TOKEN, TPM])
def test_without_the_extra_packages_only_files_work(tmp_path, monkeypatch, config):
    for name in [name for name in sys.modules if name == "pkcs11" or name.startswith(("pkcs11.", "device.keystore."))]:
        if name not in {"device.keystore.ports", "device.keystore.choose", "device.keystore.file"}:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(KeyStoreError, match="device-keys"):
        opened(config, tmp_path)
    assert opened(FileKeys(), tmp_path).make("a")
