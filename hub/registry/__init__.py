"""Places, gates, devices, keys, certificates and enrolments: what may be, and the audited changes of it."""
