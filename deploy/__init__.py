"""How Gatelight is put into service: the sandbox today, images and runbooks beside it."""
