"""P-256 keys in a PKCS#11 token: made inside, and no call gets them out.

A key is a pair of objects, private and public, whose label is its name. A power cut may leave one of the two, which
counts as no key and is removed when the key is made.
"""

import hashlib
from functools import partial
from pathlib import Path

from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass, PrivateKey, PublicKey, Session
from pkcs11.constants import DEFAULT
from pkcs11.types import SignMixin

from device.keystore.ports import KeyStoreError, NoSuchKeyError, checked_name
from device.keystore.session import TokenSession
from protocol.errors import ProtocolError, SignatureError
from protocol.keys import SigningKey, VerifyKey, low_s

_P256 = bytes.fromhex("06082a8648ce3d030107")
"""The object identifier 1.2.840.10045.3.1.7, as EC_PARAMS has it."""

_POINT_START = b"\x04\x41\x04"
"""An OCTET STRING of 65 bytes that holds an uncompressed point; some tokens leave the first two away."""


class Pkcs11KeyStore:
    """The keys of one token.

    Args:
        module: the library that speaks with the token, as a path, or a name that the loader finds.
        token_label: what the token was initialised as.
        pin_file: holds the PIN; only its owner may read it.
    """

    def __init__(self, *, module: str, token_label: str, pin_file: Path) -> None:
        self._token = TokenSession(module=module, token_label=token_label, pin_file=pin_file)

    def make(self, name: str) -> SigningKey:
        """As `KeyStore.make`."""
        return self._token.anew(partial(self._make, checked_name(name)))

    def load(self, name: str) -> SigningKey:
        """As `KeyStore.load`."""
        return self._token.anew(partial(self._load, checked_name(name)))

    def erase(self, name: str) -> None:
        """As `KeyStore.erase`: everything of this name, and looked for again."""
        self._token.anew(partial(self._erase, checked_name(name)))

    def close(self) -> None:
        """Lets the token go; the next use opens it again."""
        self._token.close()

    def _make(self, name: str, session: Session) -> SigningKey:
        private, public = _private(session, name), _public(session, name)
        if private and public:
            raise KeyStoreError(f"{self._token}: there is a key of this name: {name}")
        for half in (*private, *public):
            half.destroy()
        # DEFAULT leaves an attribute out: a TPM refuses to be told what its keys are not for.
        made: tuple[PublicKey, PrivateKey] = session.create_domain_parameters(
            KeyType.EC, {Attribute.EC_PARAMS: _P256}, local=True
        ).generate_keypair(
            store=True,
            label=name,
            id=name.encode(),
            mechanism=Mechanism.EC_KEY_PAIR_GEN,
            capabilities=MechanismFlag.SIGN | MechanismFlag.VERIFY,
            public_template={Attribute.ENCRYPT: DEFAULT, Attribute.WRAP: DEFAULT},
            private_template={
                Attribute.DECRYPT: DEFAULT,
                Attribute.UNWRAP: DEFAULT,
                Attribute.DERIVE: DEFAULT,
                Attribute.EXTRACTABLE: False,
            },
        )
        if made[1][Attribute.EXTRACTABLE] or not made[1][Attribute.SENSITIVE]:
            self._erase(name, session)
            raise KeyStoreError(f"{self._token}: it makes keys that can be taken out of it")
        return self._load(name, session)

    def _load(self, name: str, session: Session) -> SigningKey:
        private, public = _private(session, name), _public(session, name)
        if len(private) > 1 or len(public) > 1:
            raise KeyStoreError(f"{self._token}: there are two keys of the name {name}")
        if not private or not public:
            raise NoSuchKeyError(f"{self._token}: no such key: {name}")
        point = public[0][Attribute.EC_POINT]
        coordinates = point.removeprefix(_POINT_START[:2]).removeprefix(_POINT_START[2:])
        try:
            key = VerifyKey.p256(coordinates[:32], coordinates[32:])
        except ProtocolError as error:
            raise KeyStoreError(f"{self._token}: {name}: {error}") from error
        return _TokenKey(token=self._token, name=name, public=key)

    def _erase(self, name: str, session: Session) -> None:
        # Private ones first: what a power cut may leave then is of no use to anybody.
        for half in (*_private(session, name), *_public(session, name)):
            half.destroy()
        if _private(session, name) or _public(session, name):
            raise KeyStoreError(f"{self._token}: it keeps the key {name}")


class _TokenKey:
    """Signs in the token; after that was away, with its key of this name, if it is still the same one."""

    def __init__(self, *, token: TokenSession, name: str, public: VerifyKey) -> None:
        self.public = public
        self._token = token
        self._name = name
        self._private: SignMixin | None = None
        self._session: Session | None = None

    def sign(self, message: bytes) -> bytes:
        """Message -> r‖s. Threads wait for one another.

        Raises:
            KeyStoreError: the token is away or failed, or the key in it is not this one any more.
        """
        return self._token.use(partial(self._sign, message))

    def _sign(self, message: bytes, session: Session) -> bytes:
        if self._private is None or session is not self._session:
            found = _private(session, self._name)
            if len(found) != 1:
                raise KeyStoreError(f"{self._token}: {len(found)} keys of the name {self._name}")
            if not isinstance(found[0], SignMixin):
                raise KeyStoreError(f"{self._token}: {self._name} is not a key that may sign")
            self._private, self._session = found[0], session
        signature = low_s(self._private.sign(hashlib.sha256(message).digest(), mechanism=Mechanism.ECDSA))
        try:
            # A wrong one would stand in a chain that nothing can be taken out of again.
            self.public.verify(message, signature)
        except SignatureError as error:
            raise KeyStoreError(f"{self._token}: what it signs as {self._name} does not fit the key") from error
        return signature


def _private(session: Session, name: str) -> list[PrivateKey]:
    wanted = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, Attribute.LABEL: name}
    return [found for found in session.get_objects(wanted) if isinstance(found, PrivateKey)]


def _public(session: Session, name: str) -> list[PublicKey]:
    wanted = {Attribute.CLASS: ObjectClass.PUBLIC_KEY, Attribute.LABEL: name}
    return [found for found in session.get_objects(wanted) if isinstance(found, PublicKey)]
