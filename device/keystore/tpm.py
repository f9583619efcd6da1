"""P-256 keys in a TPM 2.0, by the PKCS#11 library of the TPM software stack (tpm2-pkcs11).

The TPM makes and uses the keys; wrapped for this one TPM, they lie in a database in the folder `store`.
"""

import os
from pathlib import Path

from device.keystore.pkcs11 import Pkcs11KeyStore


def tpm_store(*, module: str, tcti: str, store: Path, token_label: str, pin_file: Path) -> Pkcs11KeyStore:
    """The keys of the token `token_label` in the database in `store`, made by the TPM that `tcti` leads to."""
    # The library takes both from nowhere else. Children inherit them, which tells them nothing of worth.
    os.environ["TPM2_PKCS11_STORE"] = str(store)
    os.environ["TPM2_PKCS11_TCTI"] = tcti
    return Pkcs11KeyStore(module=module, token_label=token_label, pin_file=pin_file)
