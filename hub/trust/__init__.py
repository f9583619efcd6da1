"""Platform and operator -> gates: what they are to believe and to do, signed, versioned, within a second.

    follow ──> lists ──┐                       platform.py    HTTPS to the platform, sse.py its stream
    policies ──────────┼──> shelf ──> broker   inbound.py     what devices say, taken apart once
    commands ──────────┘                       roster.py      devices and their keys, fresh within 0.2 s
    resolve, clockhint ────────> broker        refusals.py    what was not believed, for the audit log
    announce ──> platform      access ──> broker
    traces ────> platform                      asking.py      whether a question of the platform's is answered

Each part is a small class with a `run`, and knows nobody but the ports.

Decisions
    2026-11: the hub checks every object of the platform as a gate would, and hands on its very bytes.
    2026-11: a delta is published before its list is fetched again: a gate that is there hears of it at once, and
    one that was away finds the list two seconds later.
    2026-11: nothing here waits for the database before it publishes, but for what numbers itself: a policy's
    version and a command's bytes are kept first, so that no number is given twice.
"""
