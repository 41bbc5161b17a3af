# Everything a person types. Bare `make` lists the targets; CI runs `make check test`.
MODELS ?= classifier
ifeq ($(MODELS),all)
override MODELS := $(notdir $(patsubst %/model.py,%,$(wildcard training/*/model.py)))
endif
PRESET ?= demo
SEED ?= 1
STORE ?= model_store/archives
OVERLAY ?= cpu
URL ?= localhost:8001
N ?= 2
ENGINE ?= onnx
PROCESSES ?= 2
# What measuring in the load test of `make demo` may take in all; none: some four for one model, one for each of several.
MINUTES ?=

TOOLS := .tools
UV := $(shell command -v uv 2>/dev/null || echo $(TOOLS)/bin/uv)
RUN := $(UV) run --no-sync
PYTHON ?= python3
# Without PYTHON=… what `setup` installed, where it did: the machine's own Python seldom has torch.
CHECKED_PYTHON = $(if $(filter file,$(origin PYTHON)),$(or $(wildcard .venv/bin/python),$(PYTHON)),$(PYTHON))
# Demos of several models share the cores, since most of a training or release takes one; other presets take them all.
ARE_TOGETHER = $(and $(filter demo,$(PRESET)),$(word 2,$(MODELS)))
comma := ,
space := $(subst ,, )
MODEL_LIST = $(subst $(space),$(comma),$(strip $(MODELS)))

# Run a command for each MODEL of MODELS, two at once where they are together: then the lines say whose they are.
for_each_model = printf '%s\n' $(MODELS) | xargs -P $(if $(ARE_TOGETHER),2,1) -I MODEL bash -o pipefail -c \
  '$(1) $(if $(ARE_TOGETHER),2>&1 | sed -u "s/^/MODEL: /")'
train_models = $(call for_each_model,$(if $(ARE_TOGETHER),OMP_NUM_THREADS=$$(( ($$(nproc) + 1) / 2 ))) \
  $(RUN) train MODEL --preset $(PRESET) --seed $(SEED) --out runs/MODEL/$(PRESET) $(1))
# A number of threads would be compiled into what is released.
release_models = $(call for_each_model,$(RUN) release runs/MODEL/$(PRESET) --store $(STORE))

# A demo's is what the load test itself takes: several models are measured more briefly than one.
load_preset = $(if $(filter-out demo,$(PRESET)),--preset $(PRESET))

# Where it is set, each of the many processes below would compile this project, and each test file, for itself.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo train release serve loadtest report deploy smoke fleet images image-check check format test test-all gpu-check clean

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'
	@echo
	@echo "  MODELS=\"$(MODELS)\" PRESET=$(PRESET) SEED=$(SEED) STORE=$(STORE) can be set: make demo PRESET=full"

$(TOOLS)/bin/uv:
	@echo "uv is not installed: putting it into $(TOOLS)/"
	@$(PYTHON) -m venv $(TOOLS) 2>/dev/null && $(TOOLS)/bin/python -m pip install -q uv \
	  || $(PYTHON) -m pip install -q --target $(TOOLS) uv \
	  || { echo "Neither 'python3 -m venv' nor 'python3 -m pip' works. Install one (Debian: python3-venv) or uv itself, then try again."; exit 1; }

# Bytecode too: where PYTHONDONTWRITEBYTECODE is set, each process would compile torch for itself, for some ten seconds.
setup: $(if $(findstring $(TOOLS),$(UV)),$(UV))  ## Install everything from the committed lock
	@$(UV) sync --locked --quiet --compile-bytecode
	@$(if $(filter setup,$(MAKECMDGOALS)),echo "installed into .venv; 'source .venv/bin/activate' puts the commands on the PATH",true)

demo: setup  ## Train, release, serve, call, load-test and report MODELS: a few minutes each
	@$(call train_models,--overwrite)
	@$(release_models)
	@$(RUN) loadtest run $(MODELS) --serve --store $(STORE) $(load_preset) $(if $(MINUTES),--minutes $(MINUTES))

train: setup  ## Train each of MODELS into runs/<model>/<preset>
	@$(train_models)

release: setup  ## Release the runs of MODELS: capture, variants, gate, signed archives
	@$(release_models)

serve: setup  ## Serve everything in the store until Ctrl-C
	@$(RUN) serve --store $(STORE)

loadtest: setup  ## Serve MODELS, measure their variants and write the report
	@$(RUN) loadtest run $(MODELS) --serve --store $(STORE) $(load_preset)

deploy: setup  ## Put MODELS onto the cluster of the current kubectl context: OVERLAY=cpu, IMAGE=…
	@$(RUN) k8s deploy --store $(STORE) --models "$(MODEL_LIST)" --overlay $(OVERLAY) --image "$(IMAGE)"

smoke: setup  ## Call each of MODELS once with a signed example, at URL=host:port or by its name at the edge of DOMAIN
	@$(RUN) k8s smoke --store $(STORE) --models "$(MODEL_LIST)" --url "$(URL)" --domain "$(DOMAIN)"

fleet: setup  ## Run N nodes behind Envoy on this machine until Ctrl-C
	@$(RUN) k8s fleet --store $(STORE) --models "$(MODEL_LIST)" --nodes $(N)

images: setup  ## Build IMAGE and its SBOM: ENGINE=onnx, cpu or cuda; PART=gateway or engine for one of two
	@ENGINE=$(ENGINE) PART=$(PART) k8s/images/build $(or $(IMAGE),localhost/millrace$(if $(PART),-$(PART)):$(ENGINE))

image-check: setup  ## Build the images of ENGINE=onnx or cpu on a bare Debian, look at them, call them; takes root, buildah, debootstrap
	@ENGINE=$(ENGINE) k8s/images/check

check: setup  ## Lint, format and types; every fleet's manifests against schemas and policy
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy
	@$(RUN) k8s check

format: setup  ## Format the code and fix what ruff can fix
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

test: setup  ## Run the tests that need no GPU, network or long time, in PROCESSES=2 processes
	@$(RUN) python -m slipcover --out .coverage.json -m pytest -n $(PROCESSES)
	@$(RUN) python -c "import json; print('coverage of lines, in percent:', round(json.load(open('.coverage.json'))['summary']['percent_covered']))"

test-all: setup  ## Run every test, the slow ones too
	@$(RUN) pytest -n $(PROCESSES) -m 'slow or not slow'

gpu-check:  ## Train, release, run and time the handlers on the GPU (on the CPU where there is none); needs only torch and numpy
	@$(CHECKED_PYTHON) -m training.gpu_check

clean:  ## Remove runs, reports and caches (not the store)
	@rm -rf runs reports logs .pytest_cache .ruff_cache .mypy_cache
