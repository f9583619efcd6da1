"""Bytes from gates -> stored rows -> receipts. Read `loop.py` first: the stages in order on one page.

Decisions
    2026-11: only signed data moves a head where it can. A message of which not one entry can be read or
    believed says nothing sure about where it stands, so it is first answered with a receipt at the head.
    The device then begins there, and if the same bytes come again, they stand right after it.
    2026-11: the entry after a poisoned one is believed by its own signature, whatever its `prev`: a record that
    rotted on the device's card keeps its old hash in the next one, and must block nobody.
    2026-11: of a fork both check-ins go to quarantine. The first is a row too, but retention erases its bytes.
    2026-11: what a device can make the hub keep for ever is bounded (`bounds.py`). A bound stops the device, and
    what was not kept is not receipted.
    2026-11: a genuine check-in that comes where a gap was noted, or poison was quarantined, is quarantined as
    `late`: its number is passed, but only what is kept may be receipted.
    2026-11: a gap is noted only when a message begins exactly at the oldest seq of the device's presence, and
    the device is there: a presence that it left behind says nothing about what it holds now.
    Otherwise it may be a message that overtook a lost one, and a receipt at the head brings the rest.
"""
