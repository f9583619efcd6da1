"""A session with a PKCS#11 token: logged in when it is first needed, and again when the token was away.

The library of a token is one per process and remembers what it saw: asked for a key of a token that was pulled out, one
says "no such key", and another signs with whatever has that key's number now. So whatever decides about keys is asked
in a session of its own (`anew`), for which the library is initialised again; only signatures come from one that is
open (`use`), and those are verified.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pkcs11
from pkcs11 import PKCS11Error, Session, Token, TokenFlag
from pkcs11.exceptions import PinIncorrect, PinInvalid, PinLenRange, PinLocked, TokenNotPresent, TokenNotRecognised

from device.keystore.pin import read_pin
from device.keystore.ports import KeyStoreError

if TYPE_CHECKING:
    from pkcs11._pkcs11 import lib as Library  # noqa: N812 - a class, whatever its name looks like

Done = TypeVar("Done")

_ONE_AT_A_TIME = threading.RLock()
"""Libraries are initialised for one thread at a time, and are the process's, not a session's."""


class TokenSession:
    """The token labelled `token_label` behind the library `module`, whose PIN is in `pin_file`.

    Nothing is opened before it is used: a gate whose token is away can still be wiped, and says what is wrong.
    """

    def __init__(self, *, module: str, token_label: str, pin_file: Path) -> None:
        self._module = module
        self._label = token_label
        self._pin_file = pin_file
        self._library: Library | None = None
        self._session: Session | None = None
        self._refused: str | None = None

    def __str__(self) -> str:
        return f"token {self._label!r} of {self._module}"

    def use(self, work: Callable[[Session], Done]) -> Done:
        """Does `work` in the session that is open; in a new one, once, if there is none or it failed there.

        Raises:
            KeyStoreError: it failed in the new one too.
        """
        with _ONE_AT_A_TIME:
            if self._session is not None:
                with suppress(PKCS11Error, KeyStoreError):
                    return work(self._session)
            return self.anew(work)

    def anew(self, work: Callable[[Session], Done]) -> Done:
        """Does `work` in a new session, which stays open.

        Raises:
            KeyStoreError: the token is not there, does not let us in, or failed.
        """
        with _ONE_AT_A_TIME:
            self._session = None
            try:
                session = self._open()
                done = work(session)
            except PKCS11Error as error:
                raise KeyStoreError(f"{self}: {_said(error)}") from error
            self._session = session
            return done

    def close(self) -> None:
        """Lets the token go; the next use opens it again."""
        with _ONE_AT_A_TIME:
            self._session = None
            library, self._library = self._library, None
            if library is not None:
                with suppress(PKCS11Error):
                    library.finalize()

    def _open(self) -> Session:
        pin = read_pin(self._pin_file)
        library = self._library = pkcs11.lib(self._module)
        library.reinitialize()
        token = self._token(library.get_slots(token_present=True))
        if token.flags & TokenFlag.USER_PIN_LOCKED:
            raise KeyStoreError(f"{self}: locked after too many wrong PINs")
        # A service that is started again and again must not be what locks the token for good.
        if token.flags & TokenFlag.USER_PIN_FINAL_TRY:
            raise KeyStoreError(f"{self}: one more wrong PIN would lock it; log in by hand once, then start again")
        if pin == self._refused:
            raise KeyStoreError(f"{self}: the PIN in {self._pin_file} is still the wrong one; it was not tried again")
        try:
            return token.open(rw=True, user_pin=pin)
        except (PinIncorrect, PinInvalid, PinLenRange) as error:
            self._refused = pin
            raise KeyStoreError(f"{self}: the PIN in {self._pin_file} is wrong") from error
        except PinLocked as error:
            raise KeyStoreError(
                f"{self}: locked after too many wrong PINs, or a TPM after too many power cuts"
            ) from error

    def _token(self, slots: list[pkcs11.Slot]) -> Token:
        found = []
        for slot in slots:
            with suppress(TokenNotPresent, TokenNotRecognised):
                token = slot.get_token()
                if token.label == self._label:
                    found.append(token)
        if not found:
            raise KeyStoreError(f"{self}: not there; is it plugged in, and initialised under this label?")
        if len(found) > 1:
            raise KeyStoreError(f"{self}: there are {len(found)} tokens of this label")
        return found[0]


def _said(error: PKCS11Error) -> str:
    """What the library said: often nothing but a code, which is the name of the class."""
    name = type(error).__name__
    return f"{name}: {error}" if str(error) else name
