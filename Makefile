# Everything a new machine needs is made here: `make demo` and `make test` are all the set-up there is.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test browser lint types check benchmarks clean help

help:            ## these lines
	@grep -hE '^[a-z]+: .*##' Makefile | sed -E 's/:.*## /\t/'

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "fieldguide needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) --version 2>&1`. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

demo: $(READY)   ## train on the embedded digits, evaluate, predict
	@rm -rf demo && mkdir demo
	$(BIN)/fieldguide sample digits demo/digits
	$(BIN)/fieldguide train demo/digits -o demo/digits.guide
	$(BIN)/fieldguide evaluate demo/digits.guide demo/digits
	$(BIN)/fieldguide predict demo/digits.guide demo/digits/3/00003.png demo/digits/8/00008.png demo/digits/9/00039.png --top 3
	@echo "The guide is at $(CURDIR)/demo/digits.guide"
	@echo "For photos of your own: . $(VENV)/bin/activate, then: fieldguide train FOLDER"

test: $(READY)   ## every test, one process for each core
	$(BIN)/pytest --numprocesses auto --dist loadgroup --max-worker-restart 0

browser:         ## Chromium, which tests look at pages with; Debian, as root
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null

lint: $(READY)   ## style, with no change to the files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)  ## mypy, strict
	$(BIN)/mypy

check: lint types test  ## all of the above

benchmarks: $(READY)  ## run every benchmark (two hours); needs FIELDGUIDE_DATA or ../shared/data
	$(BIN)/python benchmarks/transfer.py
	$(BIN)/python benchmarks/throughput.py
	$(BIN)/python benchmarks/engines.py
	$(BIN)/python benchmarks/models.py
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/small_pictures.py
	$(BIN)/python benchmarks/finetuning.py
	$(BIN)/python benchmarks/doctor.py
	$(BIN)/python benchmarks/trust.py
	$(BIN)/python benchmarks/explain.py
	$(BIN)/python benchmarks/distillation.py
	$(BIN)/python benchmarks/pretraining.py

clean:           ## remove what make made
	rm -rf $(VENV) demo
