"""MQTT 5 for the hub: `wire` is the protocol without a socket, `client` keeps one connection alive.

Decisions
    2026-11: `mqtt5` (a codec in Rust) with our own loop: three to eight times less CPU a message than the
    client libraries, and PUBACKs leave only after the commit, which no library offers as we need it.
    2026-11: receipts go out at QoS 0. They are cumulative and the device asks again after 5 s, so a lost one
    costs a moment, and the hub keeps no window of its own towards thousands of devices.
    2026-11: one session id per MQTT connection, not per process: while the hub was away the broker may have
    dropped messages, so every device has to go back to its last receipt.
"""
