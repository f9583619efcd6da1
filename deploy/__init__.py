"""How Gatelight is put into service: on a gate, on a server, in a sandbox, and as a release."""
