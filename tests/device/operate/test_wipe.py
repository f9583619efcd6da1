"""Yes with a proof, or no with a count."""

import pytest

from device.model import SpoolHead
from device.operate.wipe import Wipe
from protocol.command import Command, CommandName, open_wipe_proof
from protocol.keys import Ed25519SigningKey

KEY = Ed25519SigningKey(b"device  " * 4)
NOW_MS = 1_800_000_000_000


class Book:
    """A spool of five check-ins, of which some have no receipt."""

    def __init__(self, unsent=0, *, unsent_at_freeze=None):
        self.unsent = unsent
        self.unsent_at_freeze = unsent if unsent_at_freeze is None else unsent_at_freeze
        self.done = []

    def freeze(self):
        self.done.append("freeze")
        return SpoolHead(epoch=b"epoch-01", newest_seq=5, head_hash=b"h" * 32, unsent=self.unsent_at_freeze)

    def wipe(self, *, even_unsent, key=KEY):
        wipe = Wipe(
            device=b"device-1",
            key=key,
            unsent=lambda: self.unsent,
            freeze=self.freeze,
            thaw=lambda: self.done.append("thaw"),
            shut=lambda: self.done.append("shut"),
            now_ms=lambda: NOW_MS,
        )
        args = {"even_unsent": even_unsent}
        return wipe(
            Command(device=b"device-1", id=b"i" * 16, name=CommandName.WIPE, args=args, issued_s=0, expires_s=60)
        )


@pytest.mark.parametrize(("unsent", "even_unsent"), [(0, False), (0, True), (3, True)])
def test_the_proof_names_the_end_of_the_chain_and_nothing_follows_it(unsent, even_unsent):
    book = Book(unsent)
    outcome = book.wipe(even_unsent=even_unsent)
    proof = open_wipe_proof(outcome.proof, key=KEY.public)
    assert (proof.device, proof.command_id, proof.at_ms) == (b"device-1", b"i" * 16, NOW_MS)
    assert (proof.epoch, proof.newest_seq, proof.head_hash, proof.unsent) == (b"epoch-01", 5, b"h" * 32, unsent)
    assert (outcome.ok, book.done) == (True, ["freeze", "shut"])


def test_while_check_ins_are_unsent_it_refuses_with_their_count_and_goes_on():
    book = Book(3)
    outcome = book.wipe(even_unsent=False)
    assert (outcome.ok, outcome.proof, book.done) == (False, None, [])
    assert outcome.detail.startswith("unsent=3")


def test_one_that_came_at_the_last_moment_counts_as_well():
    book = Book(0, unsent_at_freeze=1)
    outcome = book.wipe(even_unsent=False)
    assert (outcome.ok, outcome.proof, book.done) == (False, None, ["freeze", "thaw"])
    assert outcome.detail.startswith("unsent=1")


def test_a_key_that_does_not_sign_leaves_the_gate_as_it_was():
    class Lost:
        public = KEY.public

        def sign(self, _):
            raise OSError("the secure element is gone")

    book = Book(0)
    with pytest.raises(OSError, match="gone"):
        book.wipe(even_unsent=False, key=Lost())
    assert book.done == ["freeze", "thaw"]
