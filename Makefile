# make quickstart   set up .venv and run the embedded experiment
# make test         set up .venv and run the tests
# make slurm-profile  set up `snakemake --profile slurm`
PYTHON ?= python3
CORES ?= 2
VENV := .venv
BIN := $(VENV)/bin
CONFIG ?= config/config.yaml
# Tests of a file share what they made, so a file is one process's; tests/conftest.py says which files begin.
SIDE_BY_SIDE := --numprocesses $(CORES) --dist loadfile --no-loadscope-reorder

.PHONY: quickstart report test test-fast test-all test-cluster lint format bench bench-full plan gc slurm-profile soak audit mutants docs docs-numbers

quickstart: $(VENV)/.run
	$(BIN)/rewind quickstart --cores $(CORES)

report: $(VENV)/.run
	$(BIN)/rewind report $(CONFIG) --snakemake

plan: $(VENV)/.run
	$(BIN)/rewind plan $(CONFIG)

gc: $(VENV)/.run
	$(BIN)/rewind gc config/config.yaml config/experiments/*.yaml

test: $(VENV)/.dev
	$(BIN)/python -m pytest tests $(SIDE_BY_SIDE)

# What one runs while editing.
test-fast: $(VENV)/.dev lint
	$(BIN)/python -m pytest tests/unit -m "not long and not slow" $(SIDE_BY_SIDE)

test-all: $(VENV)/.dev
	$(BIN)/python -m pytest tests -m "not cluster" $(SIDE_BY_SIDE)

# As root: installs what is missing of a Slurm from Debian's packages, starts it on the loopback interface, and stops it.
test-cluster: $(VENV)/.dev $(VENV)/.slurm $(VENV)/.storage
	$(BIN)/python -m pytest tests/cluster -m cluster

# For example: make slurm-profile ACCOUNT=physics PARTITION=short GPU_PARTITION=gpu
slurm-profile: $(VENV)/.slurm
	@$(BIN)/python workflow/profiles/install.py account=$(ACCOUNT) partition=$(PARTITION) gpu_partition=$(GPU_PARTITION) \
		gpus=$(GPUS) gpu_model=$(GPU_MODEL) together=$(TOGETHER)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/snakemake --lint
	$(BIN)/mypy pipeline_lib benchmarks
	$(BIN)/python -m pipeline_lib.planning.keys.loose_ends
	$(BIN)/python -m pytest -q tests/unit/test_architecture.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt workflow

# What is written from declarations (stages, tables, config keys and their schema, the library, the gallery), and site/ of all pages.
docs: $(VENV)/.dev $(VENV)/.docs
	$(BIN)/python -m pipeline_lib.planning.documentation
	$(BIN)/typer pipeline_lib.commands.app utils docs --name rewind --title Commands --output docs/commands.md
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Numbers in docs/reproductions, from the tables there.
docs-numbers: $(VENV)/.dev
	$(BIN)/python docs/numbers_in_documents.py

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

bench-full: $(VENV)/.dev
	$(BIN)/python -m benchmarks --full

# Hundreds of random faults, then random files and configs: half an hour or more. Rewrites a part of docs/reliability.md.
soak: $(VENV)/.dev $(VENV)/.soak
	OMP_NUM_THREADS=1 $(BIN)/python tests/faults/soak.py --write docs/reliability.md
	if [ -d results/plans ]; then $(BIN)/python tests/faults/recompute.py results --sample 20 --seed $$$$; fi
	REWIND_MUTATIONS=600 REWIND_MOMENTS=24 $(BIN)/python -m pytest -q tests/unit/stages/test_mutations.py tests/faults/test_edits.py
	REWIND_FUZZ=20 $(BIN)/python -m pytest -q tests/faults/test_fuzz.py
	REWIND_WORLDS=200 $(BIN)/python -m pytest -q tests/oracle/claims/test_every_claim.py
	if [ "$$(uname)" = Linux ]; then $(BIN)/python tests/faults/guided.py -max_total_time=300; fi

# Known vulnerabilities of the pinned packages. Needs a network; in an environment of its own, which is no part of the project's pins.
audit:
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet pip-audit==2.10.1
	$(VENV)-audit/bin/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip

# A sample of small changes of the numeric core, each of which some test must notice: an hour on two cores. In an environment of its own.
mutants: $(VENV)/.dev
	$(PYTHON) -m venv $(VENV)-mutants
	$(VENV)-mutants/bin/python -m pip install --quiet cosmic-ray==8.7.0
	$(VENV)-mutants/bin/python tests/mutants.py --python $(BIN)/python --side-by-side $(CORES)

# What running needs, and what developing needs on top. A stamp is renewed when the pins change.
$(VENV)/.run: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[report]"
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

$(VENV)/.slurm $(VENV)/.storage $(VENV)/.soak $(VENV)/.docs: $(VENV)/.run
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[$(patsubst .%,%,$(@F))]"
	@touch $@
