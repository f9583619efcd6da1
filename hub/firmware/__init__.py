"""Firmware: a verified mirror of what the publisher has signed, and its way through the fleet, ring by ring."""
