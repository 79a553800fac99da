# Edgemood, one target a station of the line. A target makes or updates .venv by itself, with just
# what it needs, and passes its variables on. Works with GNU Make 3.81, which macOS has.

.PHONY: help run train export models bench race soak data test lint clean

PYTHON ?= python3
VENV = .venv
# Left empty, pip takes the newest packages within the bounds of pyproject.toml: whatever of them
# exists for this system. constraints.txt pins the set that CI uses, which may lack a wheel
# elsewhere: `make test CONSTRAINTS=constraints.txt`.
CONSTRAINTS ?=

EDGEMOOD = $(VENV)/bin/edgemood
# $(call option,SEED,seed): --seed "$(SEED)" where that variable is set.
option = $(if $($1), --$2 "$($1)")
run_needs = $(or $(strip $(if $(filter %.tflite,$(MODEL)),tflite) $(if $(findstring --serve,$(ARGS)),serve)),lean)

help: ## this list
	@echo "Edgemood reads the expressions of faces on small computers."
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "  ARGS='...' passes further options to any of them: make run ARGS=--help"
	@echo "  PYTHON=python3.12 makes .venv with another Python (3.11 to 3.13)"

run: $(addprefix $(VENV)/.stamp-,$(run_needs)) ## read faces: camera 0, or SOURCE=clip.mp4; MODEL=file
	$(EDGEMOOD) run$(if $(SOURCE), "$(SOURCE)")$(call option,MODEL,model) $(ARGS)

train: $(VENV)/.stamp-train ## train a network: DATA=path RECIPE=small EPOCHS=60 SEED=1
	$(EDGEMOOD) train$(call option,RECIPE,recipe)$(call option,DATA,data)$(call option,EPOCHS,epochs)$(call option,SEED,seed) $(ARGS)

export: $(VENV)/.stamp-export ## turn the last run, or RUN=folder, into files in models/: DATA=path
	$(EDGEMOOD) export$(if $(RUN), "$(RUN)")$(call option,DATA,data) $(ARGS)

models: $(VENV)/.stamp-export ## train and export all that ships, hours on two cores, resumable: DATA=path
	$(EDGEMOOD) models$(call option,DATA,data) $(ARGS)

bench: $(VENV)/.stamp-tflite ## measure speed, size and accuracy of the files in models/ here: CLIP=file
	$(EDGEMOOD) bench$(call option,CLIP,clip) $(ARGS)

race: $(VENV)/.stamp-lean ## race other programs, installed below build/peers: CLIP=file DATA=path
	$(VENV)/bin/python -m edgemood.benchmarks.peers$(call option,CLIP,clip)$(call option,DATA,data) $(ARGS)

soak: $(VENV)/.stamp-lean ## an hour, or SECONDS=n, on a camera that misbehaves: nothing may grow
	$(VENV)/bin/python -m edgemood.benchmarks.soak$(if $(SECONDS), "$(SECONDS)")$(call option,CLIP,clip) $(ARGS)

data: $(VENV)/.stamp-data ## fetch FER-2013 into data/, or say what is in DATA=path
	$(EDGEMOOD) data$(if $(DATA), "$(DATA)") $(ARGS)

test: $(VENV)/.stamp-dev ## run the tests
	@$(VENV)/bin/python -m pytest --durations=5 $(ARGS)

lint: $(VENV)/.stamp-dev ## check style and types
	@rm -rf build/types && mkdir -p build/types/edgemood
	@# Type checkers cannot see through the editable install: show them the package it makes.
	@cd build/types/edgemood && ln -s ../../../core/* \
	    $(addprefix ../../../,train export runtime benchmarks models) .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

clean: ## remove what was built; data/, runs/, reports/, models/ and .venv stay
	rm -rf build dist edgemood.egg-info .*_cache
	find . -path './.*' -prune -o -name __pycache__ -prune -exec rm -rf {} +

# --- .venv --------------------------------------------------------------------------------------

# Extras that a target needs, and the targets whose needs are then met too.
EXTRAS_lean =
EXTRAS_data = [data]
EXTRAS_tflite = [tflite]
EXTRAS_serve = [serve]
EXTRAS_train = [train]
EXTRAS_export = [train,export,tflite]
EXTRAS_dev = [dev]
MEETS_data = lean
MEETS_tflite = lean
MEETS_serve = lean
MEETS_train = lean data
MEETS_export = lean data tflite train
MEETS_dev = lean data tflite serve train export

# One shell, so that `stop` ends it; what this call has made of $(VENV) then goes. pip shows its
# progress on a terminal and is silent in a pipe.
$(VENV)/.stamp-%: pyproject.toml $(CONSTRAINTS)
	@stop() { \
	    [ -z "$$made" ] || rm -rf $(VENV); \
	    echo "edgemood: $$1" >&2; exit 2; \
	}; \
	trap 'stop interrupted.' INT TERM; \
	if ! $(VENV)/bin/python -c 'import pip' 2>/dev/null; then \
	    version=$$($(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null); \
	    case "$$version" in \
	        3.11|3.12|3.13) ;; \
	        "") stop "$(PYTHON) is not a Python that runs: install Python 3.11, 3.12 or 3.13, or name one with PYTHON=path." ;; \
	        *) stop "$(PYTHON) is Python $$version, 3.11, 3.12 or 3.13 was wanted: name one, for example PYTHON=python3.12." ;; \
	    esac; \
	    $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	        stop "$(PYTHON) cannot make a virtual environment, since its module ensurepip is missing: install it, on Debian, Ubuntu and Raspberry Pi OS with 'sudo apt install python3-venv'."; \
	    made=yes; \
	    said=$$($(PYTHON) -m venv --clear $(VENV) 2>&1) || stop "$(PYTHON) could not make $(VENV): $$said"; \
	fi; \
	echo "Installing what '$*' needs into $(VENV) ..." >&2; \
	$(VENV)/bin/python -m pip install --disable-pip-version-check $$([ -t 1 ] || echo --quiet) \
	    $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS)) --editable '.$(EXTRAS_$*)' 2>$(VENV)/pip.log || \
	{ \
	    grep -q -e 'Retrying (' -e 'NewConnectionError' -e 'ProxyError' $(VENV)/pip.log && \
	        stop "the packages cannot be fetched, since the package index does not answer: check the network and run this again."; \
	    grep -v '^WARNING' $(VENV)/pip.log >&2; \
	    stop "pip could not install what '$*' needs: mend what it says above and run this again."; \
	}
	@touch $@ $(patsubst %,$(VENV)/.stamp-%,$(MEETS_$*))
