"""The firmware of a gate: frame to light (`scan/`), check-in to hub (`send/`)."""
