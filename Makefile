# Every target sets up what it needs. `make smoke` and `make test` are the two to know.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where pip finds no CPU build of PyTorch by itself, TORCH_INDEX is the address of PyTorch's CPU index.
TORCH := torch==2.13.0
TORCH_INDEX ?=
CUDA_BUILD := pip found a CUDA build of PyTorch: the NVIDIA libraries that it needs come too (TORCH_INDEX spares them)
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
UV := uv==0.13.9

# Processes of the fast tests: each takes up to 1 GB, and half a minute of a processor to find the tests.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

# What an image is called, and who builds it; BUILD_FLAGS go to the builder as they are.
CONTAINER_TOOL ?= docker
IMAGE ?= grpo-job
GPU_TAG ?= gpu
CPU_TAG ?= cpu
BUILD_FLAGS ?=
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION ?= $(shell git describe --always --exclude '*' --abbrev=40 --dirty=-changed 2>/dev/null || echo unknown)
CREATED ?= $(shell date -u +%Y-%m-%dT%H:%M:%SZ)
SOURCE ?= unknown
export CONTAINER_TOOL BUILD_FLAGS REVISION CREATED SOURCE

.PHONY: smoke gpu check test test-slow test-all real-model campaign lint format types lock readme wheel clean
.PHONY: image image-cpu image-lint image-test vulnerabilities

$(VENV)/.run: locks/cpu.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(PIP) --require-hashes --no-deps -r locks/cpu.lock
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) --no-deps $(TORCH)
	@$(BIN)/python -c "import torch" 2>/dev/null || { echo "$(CUDA_BUILD)"; $(PIP) $(TORCH); }
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.dev: $(VENV)/.run locks/dev.lock
	$(PIP) --require-hashes --no-deps -r locks/dev.lock
	touch $@

smoke: $(VENV)/.run  ## train the embedded sample on the CPU: no GPU, no network services
	GRPO_RECIPE=smoke GRPO_RUN_ID=smoke-$$(date +%Y%m%d-%H%M%S) $(BIN)/python entrypoint.py

gpu:  ## set up a machine with an NVIDIA GPU: uv, Python 3.12, the packages of locks/gpu.lock, this package
	tools/gpu_machine.sh

check: $(VENV)/.run  ## check whether a run with these settings can succeed
	$(BIN)/grpo-job check

# These processes share the processors: threads of one that wait for each other there cost more than they bring.
test test-slow: export OMP_NUM_THREADS ?= 1

test: $(VENV)/.dev
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m "not slow and not gpu"

test-slow: $(VENV)/.dev .cache/swift/.done  ## whole runs, faults, real servers; `image-test` has the containers
	$(BIN)/pytest -n 2 --dist loadfile -m "slow and not gpu" --ignore tests/image --ignore tests/k8s/test_in_podman.py

test-all: test test-slow

real-model: .cache/real-model/README.md  ## a small pretrained model for tests and benchmarks: SmolLM2-135M-Instruct

.cache/real-model/README.md: $(VENV)/.run locks/real-model.lock
	$(BIN)/python -m tools.real_model $(@D)

.cache/swift/.done: locks/swift.lock
	$(PYTHON) -m venv .cache/swift
	.cache/swift/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps -r locks/swift.lock
	touch $@

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev
	$(BIN)/mypy

wheel: $(VENV)/.run  ## dist/*.whl; SOURCE, the address of the repository, becomes its links
	$(BIN)/python -m pip --disable-pip-version-check wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

lock:  ## resolve the locks again, keeping pinned versions that still fit
	$(PYTHON) -m venv $(VENV)/uv && $(VENV)/uv/bin/pip install --quiet $(UV)
	cd locks && ../$(VENV)/uv/bin/uv pip compile ../pyproject.toml --extra cpu --extra trackers --excludes cpu.excludes \
	  --generate-hashes --python-version 3.11 --no-emit-index-url -o cpu.lock
	cd locks && ../$(VENV)/uv/bin/uv pip compile ../pyproject.toml --extra cpu --extra trackers --extra dev --excludes cpu.excludes \
	  --constraints cpu.lock --generate-hashes --python-version 3.11 --no-emit-index-url -o dev.lock
	cd locks && ../$(VENV)/uv/bin/uv pip compile ../pyproject.toml --extra gpu --extra trackers --excludes gpu.excludes \
	  --generate-hashes --python-version 3.12 --python-platform x86_64-manylinux_2_35 --no-emit-index-url -o gpu.lock
	cd locks && ../$(VENV)/uv/bin/uv pip compile tools.in --universal \
	  --generate-hashes --python-version 3.11 --no-emit-index-url -o tools.lock
	cd locks && ../$(VENV)/uv/bin/uv pip compile swift.in --universal \
	  --generate-hashes --python-version 3.11 --no-emit-index-url -o swift.lock
	$(PYTHON) -m tools.lock_versions locks/cpu.lock locks/gpu.lock

campaign: $(VENV)/.dev  ## all cases of one PART, written to benchmarks/CAMPAIGNS.md
	$(BIN)/python -m tests.campaigns.record $(PART)

readme: $(VENV)/.dev  ## regenerate the tables of README and docs
	$(BIN)/python -m tools.readme_tables

# build TARGET,TAG: the image, and beside it the list of its parts. OCI's own format has no HEALTHCHECK.
define build
	$(CONTAINER_TOOL) build $(if $(findstring podman,$(CONTAINER_TOOL)),--format docker) --target $(1) --tag $(IMAGE):$(2) \
	  --build-arg TORCH_INDEX=$(TORCH_INDEX) --build-arg VERSION=$(VERSION) \
	  --build-arg REVISION=$(REVISION) --build-arg CREATED=$(CREATED) --build-arg SOURCE=$(SOURCE) $(BUILD_FLAGS) .
	mkdir -p dist
	$(CONTAINER_TOOL) run --rm --entrypoint cat $(IMAGE):$(2) /app/sbom.cdx.json > dist/sbom-$(1).cdx.json
endef

image:  ## the image that trains, IMAGE:GPU_TAG
	$(call build,gpu,$(GPU_TAG))

image-cpu:  ## the small image without CUDA, IMAGE:CPU_TAG
	$(call build,cpu,$(CPU_TAG))

image-test: $(VENV)/.dev image-cpu  ## the CPU image, run under every restriction, with its pods
	GRPO_TEST_IMAGE=$(IMAGE):$(CPU_TAG) $(BIN)/pytest -n 2 --dist loadfile tests/image tests/k8s/test_in_podman.py
	GRPO_TEST_IMAGE=$(IMAGE):$(CPU_TAG) $(BIN)/python -m tests.image.cold_start

$(VENV)/tools/.done: locks/tools.lock
	$(PYTHON) -m venv $(VENV)/tools
	$(VENV)/tools/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-deps -r locks/tools.lock
	touch $@

image-lint: $(VENV)/tools/.done
	$(VENV)/tools/bin/hadolint Dockerfile

vulnerabilities: $(VENV)/tools/.done  ## check the locks against known vulnerabilities, if a database can be reached
	$(PYTHON) tools/audit_locks.py $(VENV)/tools/bin/pip-audit locks/cpu.lock locks/gpu.lock

clean:
	rm -rf $(VENV) .venv-gpu build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis outputs
