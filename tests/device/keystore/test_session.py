"""Tokens in a state that the software ones of tests/contracts/keystore never come into. FAKE library and token."""

from types import SimpleNamespace

import pkcs11
import pytest
from pkcs11 import Attribute, PrivateKey, PublicKey, TokenFlag
from pkcs11.exceptions import (
    DeviceError,
    PinIncorrect,
    PinLocked,
    SessionHandleInvalid,
    TokenNotPresent,
    TokenNotRecognised,
)

from device.keystore.pkcs11 import Pkcs11KeyStore
from device.keystore.ports import KeyStoreError
from device.keystore.session import TokenSession

READY = TokenFlag.TOKEN_INITIALIZED | TokenFlag.USER_PIN_INITIALIZED | TokenFlag.LOGIN_REQUIRED


class FakeToken:
    def __init__(self, *, label="gate", flags=READY, failing=None):
        self.label, self.flags, self.failing, self.pins = label, flags, failing, []

    def open(self, *, rw, user_pin):
        self.pins.append(user_pin)
        if self.failing is not None:
            raise self.failing
        return SimpleNamespace(number=len(self.pins))


class FakeLibrary:
    def __init__(self, *in_slots):
        self.in_slots, self.times = in_slots, 0

    def reinitialize(self):
        self.times += 1

    def finalize(self):
        raise DeviceError

    def get_slots(self, *, token_present):
        def look(inside):
            if isinstance(inside, Exception):
                raise inside
            return inside

        return [SimpleNamespace(get_token=lambda inside=inside: look(inside)) for inside in self.in_slots]


@pytest.fixture
def session(tmp_path, monkeypatch):
    pin_file = tmp_path / "pin"
    pin_file.write_text("1234")
    pin_file.chmod(0o600)

    def build(*in_slots):
        library = FakeLibrary(*in_slots)
        monkeypatch.setattr(pkcs11, "lib", lambda module: library)
        built = TokenSession(module="p11.so", token_label="gate", pin_file=pin_file)
        return built, library

    return build


@pytest.mark.parametrize(
    ("flag", "said"), [(TokenFlag.USER_PIN_LOCKED, "locked"), (TokenFlag.USER_PIN_FINAL_TRY, "one more wrong PIN")]
)
def test_a_token_that_one_more_pin_could_lock_is_not_given_any(session, flag, said):
    token = FakeToken(flags=READY | flag)
    built, _ = session(token)
    for _ in range(3):
        with pytest.raises(KeyStoreError, match=said):
            built.use(lambda opened: opened)
    assert token.pins == []


def test_a_wrong_pin_reaches_the_token_once(session):
    token = FakeToken(failing=PinIncorrect())
    built, _ = session(token)
    for _ in range(5):
        with pytest.raises(KeyStoreError, match="wrong"):
            built.use(lambda opened: opened)
    assert token.pins == ["1234"]


def test_a_locked_one_is_asked_again_for_it_may_open_by_itself(session):
    token = FakeToken(failing=PinLocked())
    built, _ = session(token)
    for _ in range(2):
        with pytest.raises(KeyStoreError, match="locked"):
            built.use(lambda opened: opened)
    token.failing = None
    assert built.use(lambda opened: opened.number) == 3


def test_empty_and_foreign_slots_are_passed_by(session):
    wanted = FakeToken()
    built, _ = session(TokenNotPresent(), FakeToken(label="other"), TokenNotRecognised(), wanted)
    assert built.use(lambda opened: opened.number) == 1


def test_a_session_stays_open_for_signatures_and_is_opened_anew_once_when_it_failed(session):
    built, library = session(FakeToken())
    seen = []

    def work(opened):
        seen.append(opened.number)
        if len(seen) == 3:
            raise SessionHandleInvalid
        return opened.number

    assert [built.use(work) for _ in range(4)] == [1, 1, 2, 2]
    assert library.times == 2


def test_what_fails_in_a_new_session_too_is_told(session):
    built, library = session(FakeToken())

    def work(opened):
        raise DeviceError

    for times in (1, 2):
        with pytest.raises(KeyStoreError, match=r"token 'gate' of p11\.so: DeviceError"):
            built.use(work)
        assert library.times == times


def test_closing_never_fails(session):
    built, _ = session(FakeToken())
    built.close()
    built.use(lambda opened: opened)
    built.close()
    assert built.use(lambda opened: opened.number) == 2


class FakeHalf:
    """An object of a token that lets keys out."""

    def __init__(self, kept):
        self.kept = kept
        kept.append(self)

    def __getitem__(self, attribute):
        return {Attribute.EXTRACTABLE: True, Attribute.SENSITIVE: True}[attribute]

    def _identity(self):
        return id(self)

    def destroy(self):
        self.kept.remove(self)


def test_a_token_whose_keys_can_be_taken_out_keeps_none(tmp_path):
    kept = []
    halves = [
        type(f"Fake{kind.__name__}", (FakeHalf, kind), {"__init__": FakeHalf.__init__})
        for kind in (PublicKey, PrivateKey)
    ]
    parameters = SimpleNamespace(generate_keypair=lambda **_: tuple(half(kept) for half in halves))
    opened = SimpleNamespace(
        get_objects=lambda wanted: list(kept), create_domain_parameters=lambda *_, **__: parameters
    )
    store = Pkcs11KeyStore(module="p11.so", token_label="gate", pin_file=tmp_path / "pin")
    store._token.anew = lambda work: work(opened)
    with pytest.raises(KeyStoreError, match="can be taken out"):
        store.make("a")
    assert kept == []
