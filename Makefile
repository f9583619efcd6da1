# `make demo` and `make test` do all their own set-up; see deploy/setup for what that is.
.PHONY: help demo test fast lint hil installs chaos faults bench fuzz lock sbom vectors setup
BIN := .venv/bin
SEEDS := 10000
FIRST := 1
# Half of the tests' start is reading them; what was read is kept for the next time.
export PYTHONDONTWRITEBYTECODE :=

help:  ## Show what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST)

setup:
	@deploy/setup

demo: setup  ## A whole site on this machine: ARGS="--gates 3 --people 200 --once" ends by itself
	@$(BIN)/gatelight-sandbox up $(ARGS)

# Three at once on two cores: half of the time these wait for something.
test: setup lint fast  ## Everything that must hold before a commit lands; HIL=0 leaves out what needs a mirror of Debian
	$(BIN)/pytest -m "(slow or system) and not hil" -n 3 --dist loadgroup
ifneq ($(HIL),0)
	$(MAKE) hil installs
endif

fast: setup  ## The tests that take seconds
	$(BIN)/pytest -m "not slow and not system and not hil" -n 2

hil:  ## The firmware as on a Pi: emulated pins, a virtual camera, the shipped units under a real systemd. As root
	@deploy/setup hil
	$(BIN)/pytest -m "hil and alone"
	$(BIN)/pytest -m "hil and not alone and not install" -n 3 --dist loadgroup

installs:  ## Gate and hub installed on Debian 12 and 13 by their own install.sh. As root
	@deploy/setup hil
	$(BIN)/pytest -m "hil and install" -n 3 --dist loadgroup

lint: setup  ## Style, types and import rules
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

chaos: setup  ## 10,000 seeded histories of a whole site in simulated time (SEEDS=, FIRST=): what broke says how to see it again
	$(BIN)/gatelight-sandbox simulate --seed $(FIRST) --seeds $(SEEDS) --out docs/reliability/simulator.json
	$(BIN)/python -m deploy.sandbox.simulator.report docs/reliability/simulator.json docs/reliability.md

bench:  ## Speed and memory, beside baselines of the same run: docs/performance.md. BENCH="ingest scan_light", QUICK=1
	@deploy/setup proof
	$(BIN)/python tests/bench/bench.py $(BENCH) $(if $(QUICK),--quick)

RUNS ?= 10000000
JOBS ?= 2
fuzz:  ## Every decoder under libFuzzer, RUNS=10000000 each with those it had before, JOBS=2 at once
	@deploy/setup proof
	$(BIN)/python tests/fuzz/campaign.py --runs $(RUNS) --jobs $(JOBS)

ROUNDS ?= 200
SEED ?= 0
faults:  ## Break a whole site on purpose, in seeded rounds: ROUNDS=200 SEED=0; as root, or it leaves out disks and networks
	@deploy/setup faults
	@$(BIN)/gatelight-sandbox faults --rounds $(ROUNDS) --seed $(SEED) $(ARGS)

sbom: setup  ## Write the bills of materials again, from the lock: deploy/sbom/*.cdx.json
	$(BIN)/python -m deploy.sbom device --out deploy/sbom/device.cdx.json
	$(BIN)/python -m deploy.sbom hub --out deploy/sbom/hub.cdx.json

vectors: setup  ## Make the golden vectors again; a test compares them byte for byte
	$(BIN)/python -m protocol.vectors.make

lock: setup  ## Resolve the Python packages again
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --group dev --extra sandbox pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --extra hub --extra console --constraint requirements.lock pyproject.toml -o deploy/hub/requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-package numpy --no-emit-package lgpio --extra device --extra device-keys --extra device-screen --constraint requirements.lock pyproject.toml -o deploy/device/requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --group proof --constraint requirements.lock pyproject.toml -o requirements-proof.lock
