"""`[keystore]` -> the key store."""

from collections.abc import Callable
from pathlib import Path

from device.keystore.file import FileKeyStore
from device.keystore.ports import KeyStore, KeyStoreError
from device.machinefile import FileKeys, KeyStoreConfig, Pkcs11Keys


def open_store(config: KeyStoreConfig, *, folder: Path, random_bytes: Callable[[int], bytes]) -> KeyStore:
    """The store that the table describes. A token is not touched before a key is asked for.

    Args:
        config: the table.
        folder: where keys that are files lie.
        random_bytes: for those; `secrets.token_bytes` on a device.

    Raises:
        KeyStoreError: the Python packages for tokens are not installed.
    """
    if isinstance(config, FileKeys):
        return FileKeyStore(folder, random_bytes=random_bytes)
    try:
        from device.keystore.pkcs11 import Pkcs11KeyStore
        from device.keystore.tpm import tpm_store
    except ImportError as error:
        raise KeyStoreError("[keystore]: a token needs the extra packages gatelight[device-keys]") from error
    if isinstance(config, Pkcs11Keys):
        return Pkcs11KeyStore(module=str(config.module), token_label=config.token_label, pin_file=config.pin_file)
    return tpm_store(
        module=config.module,
        tcti=config.tcti,
        store=config.store,
        token_label=config.token_label,
        pin_file=config.pin_file,
    )
