-- Version 6: how each device fares, and fared. Times as in version 1.

-- The whole of its last health message, one row a device, and what the hub makes of two of them. NULL: it did not say.
CREATE TABLE device_health (
    device BLOB PRIMARY KEY,
    heard_ms INTEGER NOT NULL,  -- by the hub's clock
    at_ms INTEGER NOT NULL,     -- by the device's
    state INTEGER NOT NULL,
    clock_trusted INTEGER NOT NULL,
    clock_source INTEGER,
    enabled INTEGER,
    spool INTEGER NOT NULL,
    unsent_s INTEGER,
    frames INTEGER NOT NULL,
    frames_dropped INTEGER NOT NULL,
    scans INTEGER NOT NULL,
    unreadable INTEGER NOT NULL, -- `foreign` on the wire: texts that were no codes
    decoder_restarts INTEGER NOT NULL,
    camera_restarts INTEGER NOT NULL,
    lists INTEGER NOT NULL,     -- status lists that it has
    lists_stale INTEGER,
    trust_days INTEGER,
    thermometer_ok INTEGER,
    refused INTEGER,
    provisioning INTEGER,
    board_cc INTEGER,
    supply INTEGER,
    disk_free_mib INTEGER,
    disk_mib INTEGER,
    frame_rate_c INTEGER,       -- frames in 100 s, between its last two messages
    decode_us INTEGER           -- mean of a frame, as above
) STRICT, WITHOUT ROWID;

-- Five minutes of a device, for charts of two days. The time comes first: what is written now, and what is erased,
-- lies together.
CREATE TABLE device_sample (
    slot INTEGER NOT NULL,      -- five minutes since 1970
    device BLOB NOT NULL,
    scans INTEGER NOT NULL,     -- in them
    spool INTEGER NOT NULL,     -- at their end, and so the temperature
    board_cc INTEGER,
    frame_rate_c INTEGER,
    decode_us INTEGER,
    PRIMARY KEY (slot, device)
) STRICT, WITHOUT ROWID;

-- What a device was told, on its own page.
CREATE INDEX command_device ON command (device, issued_s);
