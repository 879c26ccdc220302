# Everything a contributor needs; `make` alone lists it. Only Python >= 3.11, git and make are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NAPARI := .venv-napari

.PHONY: help demo test soak test-napari lint types bench docs links clean

help:
	@echo "make demo   install segjax, evaluate a real sample, print where the report is"
	@echo "make test   install the development extras, lint, check types, run the tests"
	@echo "make soak   kill commands, fill disks, damage 110,000 files, score 10^9 voxels: 20 minutes"
	@echo "make test-napari   the same for the napari plugin, in an environment of its own (1.5 GB)"
	@echo "make bench  time segjax against its peers, interleaved"
	@echo "make docs   run the notebooks, write the book: build/docs/index.html"
	@echo "make lint   ruff"
	@echo "make types  pyright"

# Installed anew when the list of dependencies changes.
$(VENV)/segjax: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/dev: $(VENV)/segjax
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

demo: $(VENV)/segjax
	$(BIN)/segjax demo

test: lint types
	$(BIN)/python -m pytest -n auto

# The same tests as in make test, thoroughly: more moments at which commands are killed, more
# damaged files, more and larger cases; with figures.
soak: $(VENV)/dev
	SEGJAX_SOAK=1 $(BIN)/python -m pytest -s tests/test_kills.py tests/test_hosts.py \
	  tests/test_full_disk.py tests/test_corrupt_files.py tests/test_fuzz.py tests/test_load.py

# napari and Qt are large, and nothing else needs them.
$(NAPARI)/ready: pyproject.toml
	test -x $(NAPARI)/bin/python || $(PYTHON) -m venv $(NAPARI)
	$(NAPARI)/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[napari-test]"
	touch $@

# What napari itself imports warns of pydantic's future.
test-napari: $(NAPARI)/ready $(VENV)/dev
	$(BIN)/pyright --pythonpath $(NAPARI)/bin/python segjax/napari/qt/*.py
	$(NAPARI)/bin/python -m pytest -W ignore::pydantic.warnings.PydanticDeprecatedSince20 \
	  tests/napari tests/test_public.py

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/dev
	$(BIN)/pyright --pythonpath $(BIN)/python

# Sets segjax against the peers that are installed: pip install ".[bench]" brings all of them.
bench: $(VENV)/dev
	$(BIN)/segjax bench -o experiments/results/bench
	$(BIN)/python -m experiments.folder_speed
	$(BIN)/python -m experiments.boundary_speed
	$(BIN)/python -m experiments.components_speed
	$(BIN)/python -m experiments.instance_speed
	$(BIN)/python -m experiments.leaderboard_speed
	$(BIN)/python -m experiments.losses_speed
	$(BIN)/python -m experiments.quality_speed

# Notebooks run in full, some ten minutes on two cores; what did not change is kept in build/.
docs: $(VENV)/dev
	$(BIN)/python -m sphinx -W --keep-going notebooks build/docs
	@echo "build/docs/index.html"

# Also asks whether the addresses of other places are still there.
links: $(VENV)/dev
	$(BIN)/python -m sphinx -D nb_execution_mode=off -b linkcheck notebooks build/links

clean:
	rm -rf $(VENV) $(NAPARI) segjax-demo build notebooks/generated
