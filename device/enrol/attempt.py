"""One provisioning code, from keys to the written site. Each step may be the last before a power cut.

    begin    the code is judged; names and keys are written down, then made
    ask      the network is joined, the hub pinned, the request posted; the hub's id for it is written down
    look     until an operator approved or refused it; what he approved is checked and put into force

A cut before `ask` was answered asks again with the same keys; one after it looks again. The site is written by
`site.install`; a cut during that leaves the un-enrolled device with its approved enrolment, or the enrolled one.
"""

import msgspec.structs

from device.enrol import certificates, compose, pending, site
from device.enrol.errors import AnswerError, CodeError, RefusedError, SiteError
from device.enrol.pending import ENROLLING, Enrolling
from device.enrol.ports import Hub
from device.enrol.surroundings import Surroundings
from device.keystore.ports import KeyStoreError, make_or_load
from protocol.enrolment import (
    Configuration,
    EnrolmentAnswer,
    EnrolmentRequest,
    EnrolmentState,
    ProvisioningCode,
    fingerprint_characters,
    fingerprint_words,
    parse_provisioning,
    seal_request,
)
from protocol.errors import ProtocolError
from protocol.keys import SigningKey


class Attempt:
    """One enrolment that has been begun; `begin` or `resume` makes it."""

    def __init__(self, around: Surroundings, state: Enrolling, code: ProvisioningCode) -> None:
        self._around = around
        self._state = state
        self._code = code
        self._hub: Hub | None = None

    @classmethod
    def begin(cls, text: str, around: Surroundings) -> "Attempt":
        """A scanned text -> an enrolment whose keys exist.

        Raises:
            CodeError: the code is none of ours or has ended, or check-ins would be lost.
            SiteError: the keys cannot be made or kept.
        """
        code = read_code(text, now_s=around.now_s())
        check_receipts(around)
        state = Enrolling(
            code=text,
            signing=f"signing-{around.random_bytes(4).hex()}",
            tls_key=certificates.make_tls_key().decode("ascii"),
        )
        try:
            pending.save(around.state_dir / ENROLLING, state)
        except OSError as error:
            raise SiteError(f"the enrolment cannot be written down: {error}") from error
        attempt = cls(around, state, code)
        attempt.signing_key()
        around.log.event("enrolment_begun", hub=code.url, serial=around.machine.serial)
        return attempt

    @classmethod
    def begin_instead(cls, text: str, around: Surroundings, *, of: "Attempt | None") -> "Attempt":
        """As `begin`; one that is at work is dropped for it, unless the new code cannot be used.

        Raises:
            CodeError, SiteError: as `begin`.
        """
        read_code(text, now_s=around.now_s())
        if of is not None:
            of.drop()
        return cls.begin(text, around)

    @classmethod
    def resume(cls, around: Surroundings) -> "Attempt | None":
        """The enrolment that a power cut ended; None where there is none, or none that could go on.

        An armed gate that nobody approved in time has been a gate again since, and may have recorded people.
        """
        state = pending.load(around.state_dir / ENROLLING, Enrolling)
        if state is None:
            return None
        if state.over:
            drop(around, state)
            return None
        try:
            code = read_code(state.code, now_s=None if state.id else around.now_s())
            check_receipts(around)
        except CodeError as error:
            around.log.event("enrolment_dropped", reason=error.reason, what=str(error))
            drop(around, state)
            return None
        around.log.event("enrolment_resumed", hub=code.url, asked=state.id is not None)
        return cls(around, state, code)

    @property
    def asked(self) -> bool:
        """Whether the hub knows of it: now only an operator's answer is missing."""
        return self._state.id is not None

    @property
    def token(self) -> bytes:
        """The token of its code."""
        return self._code.token

    @property
    def text(self) -> str:
        """The code as it was scanned."""
        return self._state.code

    def overdue(self) -> bool:
        """Whether the code has ended before the hub was reached."""
        now_s = self._around.now_s()
        return not self.asked and now_s is not None and now_s > self._code.expires_s

    def fingerprint(self) -> tuple[tuple[str, str, str, str], str]:
        """What device and console show alike: four words, four characters.

        Raises:
            SiteError: the key store does not answer.
        """
        key = self.signing_key().public
        return fingerprint_words(key), fingerprint_characters(key)

    def step(self) -> EnrolmentState:
        """Asks, or looks once.

        Returns:
            APPROVED when the site is in force; else WAITING.

        Raises:
            UnreachableError, JoinError: trying again may help.
            EnrolmentError: it is over.
        """
        around = self._around
        if self._hub is None:
            self._join()
            self._hub = around.open_hub(self._code, around.now_s())
        if self._state.id is None:
            answer = self._hub.enrol(self._request())
            self._remember(id=answer.id.hex())
        else:
            answer = self._hub.look(bytes.fromhex(self._state.id))
        return self._answered(answer)

    def drop(self) -> None:
        """Gives it up: its keys are erased.

        Raises:
            SiteError: the disk or the key store did not allow it.
        """
        drop(self._around, self._state)

    def signing_key(self) -> SigningKey:
        """The key that will sign check-ins.

        Raises:
            SiteError: the key store does not answer.
        """
        keys = self._around.keys
        try:
            # Once the hub has seen it, no other will do.
            return keys.load(self._state.signing) if self.asked else make_or_load(keys, self._state.signing)
        except KeyStoreError as error:
            raise SiteError(str(error)) from error

    def _join(self) -> None:
        if self._code.wifi is None or self._state.joined:
            return
        if self._around.network is None:
            # Where cables or somebody else provide the network, the code's is not needed.
            self._around.log.event("network_not_joined", why="[enrolment] network is none")
            return
        ssid, psk = self._code.wifi
        self._around.network.join(ssid, psk)
        self._around.log.event("network_joined")
        self._remember(joined=True)

    def _request(self) -> bytes:
        machine, key = self._around.machine, self.signing_key()
        request = EnrolmentRequest(
            token=self._code.token,
            csr=certificates.request_for(self._state.tls_key.encode(), name=machine.serial),
            key=key.public,
            serial=machine.serial,
            model=machine.model,
            firmware=machine.firmware,
        )
        return seal_request(request, key=key)

    def _answered(self, answer: EnrolmentAnswer) -> EnrolmentState:
        if answer.state is EnrolmentState.REFUSED:
            raise RefusedError("not_approved", "an operator refused this device")
        if answer.state is EnrolmentState.APPROVED:
            if answer.configuration is None:
                raise AnswerError("approved, but without a configuration")
            self._take(answer.configuration)
        return answer.state

    def _take(self, configuration: Configuration) -> None:
        """The operator's yes -> the site in force.

        1. The authority is the one that the code named.
        2. The certificates are for our TLS key and this device, signed by that authority.
        3. A gate can start from it: keys, trust bundle and policy are opened. Then it is put into force.
        """
        around, tls_key = self._around, self._state.tls_key.encode()
        # 1.
        if certificates.public_hash(configuration.ca) != self._code.ca_hash:
            raise AnswerError("the configuration names another certificate authority than the code")
        # 2.
        certificates.check_chain(
            configuration.chain,
            tls_key=tls_key,
            device=configuration.device,
            ca=configuration.ca,
            now_s=around.now_s(),
        )
        # 3.
        files = compose.compose(configuration, tls_key=tls_key, signing=self._state.signing)
        site.install(around.state_dir, files, keys=around.keys, moving_in=True)
        around.log.event(
            "enrolled", device=configuration.device.hex(), place=configuration.place, gate=configuration.gate
        )
        try:
            site.tidy(around.state_dir, keys=around.keys)
        except SiteError as error:
            # It is in force all the same, and the next start tidies.
            around.log.event("not_tidied", error=str(error))

    def _remember(self, **changes: object) -> None:
        state = msgspec.structs.replace(self._state, **changes)
        try:
            pending.save(self._around.state_dir / ENROLLING, state)
        except OSError as error:
            raise SiteError(f"the enrolment cannot be written down: {error}") from error
        self._state = state


def read_code(text: str, *, now_s: int | None) -> ProvisioningCode:
    """A text -> provisioning code that is still good, as far as the clock is to be believed.

    Raises:
        CodeError: it is none, or has ended.
    """
    try:
        code = parse_provisioning(text)
    except ProtocolError as error:
        raise CodeError(error.reason, str(error)) from error
    if now_s is not None and now_s > code.expires_s:
        raise CodeError("code_expired", f"the code ended {now_s - code.expires_s} s ago")
    return code


def check_receipts(around: Surroundings) -> None:
    """Whether another device id would cost nobody's check-in.

    Raises:
        CodeError: there are some without a receipt.
    """
    unsent = around.unsent()
    if unsent:
        raise CodeError("unsent", f"{unsent} check-ins have no receipt yet; enrolling anew would lose them")


def drop(around: Surroundings, state: Enrolling) -> None:
    """Erases what an enrolment left. It is marked first, so that nothing goes on with half of it.

    Raises:
        SiteError: the disk or the key store did not allow it.
    """
    folder = around.state_dir / ENROLLING
    try:
        pending.save(folder, msgspec.structs.replace(state, over=True))
        if site.stored_in_force(around.state_dir) != state.signing:
            around.keys.erase(state.signing)
        pending.drop(folder)
    except (OSError, KeyStoreError) as error:
        raise SiteError(f"the enrolment cannot be dropped: {error}") from error
