"""What makes a Raspberry Pi a gate (`README.md`)."""
