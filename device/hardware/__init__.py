"""The parts of a gate that touch the world: ports, the Raspberry Pi behind them (`pi`), and simulated ones (`sim`).

Every part is built whole and switched off; `main` builds them and nothing else names `pi`. The rules that must hold
on any hardware, the rhythm of a light and the timed release of a relay, are written once (`sequence`, `release`) and
each board only supplies the switch.
"""
