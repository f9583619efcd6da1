"""SLOW: seal -> spool -> uplink. What was recorded at the gate stays on disk until the hub's receipt."""
