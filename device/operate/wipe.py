"""The proof that a wipe leaves behind. Erasing is another's work, which follows once the proof is on its way."""

from collections.abc import Callable

from device.model import Outcome, SpoolHead
from protocol.command import Command, WipeProof, seal_wipe_proof
from protocol.keys import SigningKey


class Wipe:
    """Says yes with a proof, or no with a count.

    Args:
        device: this device's id, 8 bytes.
        key: its signing key.
        unsent: how many check-ins have no receipt.
        freeze: lets no check-in follow, and says where the chain ends.
        thaw: takes that back.
        shut: holds the gate open no longer, and shuts it.
        now_ms: ms since 1970.
    """

    def __init__(
        self,
        *,
        device: bytes,
        key: SigningKey,
        unsent: Callable[[], int],
        freeze: Callable[[], SpoolHead],
        thaw: Callable[[], None],
        shut: Callable[[], None],
        now_ms: Callable[[], int],
    ) -> None:
        self._device = device
        self._key = key
        self._unsent = unsent
        self._freeze = freeze
        self._thaw = thaw
        self._shut = shut
        self._now_ms = now_ms

    def __call__(self, command: Command) -> Outcome:
        """From a yes on, nobody can pass, and nothing is recorded any more.

        1. Not while there are check-ins without a receipt, unless the operator gives them up (`even_unsent`).
        2. No check-in may follow the proof; one that came in between is counted as well.
        3. The proof names the end of the chain, and is signed with the key that signed the chain.
        """
        even_unsent = command.args["even_unsent"] is True
        # 1.
        if not even_unsent and (unsent := self._unsent()):
            return _refusal(unsent)
        # 2.
        head = self._freeze()
        if head.unsent and not even_unsent:
            self._thaw()
            return _refusal(head.unsent)
        # 3.
        proof = WipeProof(
            device=self._device,
            command_id=command.id,
            at_ms=self._now_ms(),
            epoch=head.epoch,
            newest_seq=head.newest_seq,
            head_hash=head.head_hash,
            unsent=head.unsent,
        )
        try:
            sealed = seal_wipe_proof(proof, key=self._key)
        except BaseException:
            # A key that does not sign must not take the gate out of service.
            self._thaw()
            raise
        self._shut()
        return Outcome(ok=True, detail=f"unsent={head.unsent}", proof=sealed)


def _refusal(unsent: int) -> Outcome:
    return Outcome(ok=False, detail=f"unsent={unsent}: these check-ins would be lost")
