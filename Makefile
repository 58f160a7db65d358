# Every target sets up what it needs. `make smoke` and `make test` are the two to know.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where pip finds no CPU build of PyTorch by itself, TORCH_INDEX is the address of PyTorch's CPU index.
TORCH := torch==2.13.0
TORCH_INDEX ?=
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
UV := uv==0.13.9

.PHONY: smoke check test test-all campaign lint format types lock readme clean

$(VENV)/.run: locks/cpu.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes --no-deps -r locks/cpu.lock
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) --no-deps $(TORCH)
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.dev: $(VENV)/.run locks/dev.lock
	$(PIP) --require-hashes --no-deps -r locks/dev.lock
	touch $@

smoke: $(VENV)/.run  ## train the embedded sample on the CPU: no GPU, no network services
	GRPO_RECIPE=smoke GRPO_RUN_ID=smoke-$$(date +%Y%m%d-%H%M%S) $(BIN)/python entrypoint.py

check: $(VENV)/.run  ## say whether a run with these settings can succeed
	$(BIN)/grpo-job check

test: $(VENV)/.dev
	$(BIN)/pytest -n 2 --dist loadfile -m "not slow and not gpu"

test-all: $(VENV)/.dev
	$(BIN)/pytest -n 2 --dist loadfile -m "not gpu"

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev
	$(BIN)/mypy

lock:  ## resolve the four locks anew, keeping what is pinned where it still fits
	$(PYTHON) -m venv $(VENV)/uv && $(VENV)/uv/bin/pip install --quiet $(UV)
	cd locks && ../$(VENV)/uv/bin/uv pip compile ../pyproject.toml --extra cpu --excludes cpu.excludes \
	  --generate-hashes --python-version 3.11 --no-emit-index-url -o cpu.lock
	cd locks && ../$(VENV)/uv/bin/uv pip compile ../pyproject.toml --extra cpu --extra dev --excludes cpu.excludes \
	  --constraints cpu.lock --generate-hashes --python-version 3.11 --no-emit-index-url -o dev.lock
	cd locks && ../$(VENV)/uv/bin/uv pip compile ../pyproject.toml --extra gpu --excludes gpu.excludes \
	  --generate-hashes --python-version 3.12 --python-platform x86_64-manylinux_2_35 --no-emit-index-url -o gpu.lock
	cd locks && ../$(VENV)/uv/bin/uv pip compile tools.in --universal \
	  --generate-hashes --python-version 3.11 --no-emit-index-url -o tools.lock
	$(PYTHON) grpo_job/locked_versions.py locks/cpu.lock locks/gpu.lock

campaign: $(VENV)/.dev  ## the full count of one PART, written to benchmarks/CAMPAIGNS.md
	$(BIN)/python -m tests.campaigns.record $(PART)

readme: $(VENV)/.dev  ## the tables of the README, from the code
	$(BIN)/python -m tests.readme_tables

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis outputs
