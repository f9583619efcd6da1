"""Bytes from the hub -> a receipt that is about our spool, or its presence. Only then it is believed."""

import logging
from collections.abc import Mapping

from protocol.envelope import parse
from protocol.errors import ChainError, ProtocolError, UnknownKeyError
from protocol.keys import VerifyKey
from protocol.limits import RECEIPT_BYTES
from protocol.presence import HubPresence, decode_hub_presence
from protocol.receipt import Receipt, open_receipt

_LOG = logging.getLogger(__name__)


def read_receipt(payload: bytes, *, keys: Mapping[bytes, VerifyKey], device: bytes, epoch: bytes) -> Receipt:
    """Opens a receipt (PROTOCOL §6, step 4); whether its hash is ours, only the spool knows.

    1. The key is a hub's, found by the kid that the receipt names.
    2. The signature is that key's.
    3. It is about this device and this spool.

    Args:
        payload: as received.
        keys: the hub's keys by kid.
        device: this device's id, 8 bytes.
        epoch: the spool's epoch, 8 bytes.

    Raises:
        ProtocolError: one of the steps failed.
    """
    # 1.
    key = keys.get(parse(payload, what="receipt", limit=RECEIPT_BYTES).kid)
    if key is None:
        raise UnknownKeyError("receipt", "signed by a key that is no hub's")
    # 2.
    receipt = open_receipt(payload, key=key)
    # 3.
    if (receipt.device, receipt.epoch) != (device, epoch):
        raise ChainError("receipt", "about another device or another spool")
    return receipt


def read_hub_presence(payload: bytes) -> HubPresence | None:
    """The hub's presence; None when it is nothing that can be read, e.g. an empty payload that cleared the topic."""
    try:
        return decode_hub_presence(payload)
    except ProtocolError as error:
        _LOG.warning("uplink: hub presence ignored: %s", error.reason)
        return None
