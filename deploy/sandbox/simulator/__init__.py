"""A whole site in one thread and one random seed: every fault that we could think of, and everything that must hold.

    world      the clock and the order of events: nothing happens but by it
    disk, vfs  a disk under SQLite that tears, forgets, fills up, fails and is slow
    loop       asyncio without threads and without real time, in which a process dies between any two steps
    gate       the device's own scan, spool and uplink      broker    what lies between, and loses
    hub        the hub's own ingest, store and forward      platform  the stand-in's own judge and store, and its moods
    faults     what goes wrong, and when                    truth     what must hold at every step, and at the end

One seed is one history, byte for byte. Decide, seal, spool, uplink, ingest, judge, store, forward and retention are the
product's; camera, network, broker, clock and disk are simulated.

Decisions
    2026-11: the disk is simulated below SQLite, by replacing the methods of its own VFS in place. So the product's SQL,
    connections and pragmas run as they are, and what a power cut leaves is decided by what was synced.
    2026-11: which faults a history has is drawn before it begins. A history with everything at once ends up in
    nothing but restarts; most bugs need two faults of a kind.
"""
