"""Places, gates, devices and their keys: what may be registered, and the audited changes of it."""
