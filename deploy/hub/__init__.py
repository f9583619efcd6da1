"""What runs a hub on a server. `README.md` is the runbook."""
