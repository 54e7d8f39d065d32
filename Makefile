# Every target that needs the package first installs it into .venv, once.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
# What setup.cfg says of shards and torchvision
SHARDS := litdata boto3 botocore jmespath s3transfer
WEIGHTS := sdnet-fast sdnet-fast-trimap sdnet sdnet-trimap
TABLE ?= 5
SCALE ?= mini
PORT ?= 8000
LONG ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup lock audit licences release peers fit test coverage test-slow test-lowest test-long lint format clean bench-inference bench-data bench-train bench-video ablations ablations-page gallery notebooks decoder-page docs web sweep reproduce rehearsal \
	reproduce-mini reproduce-weights

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## Make .venv and install the package with the tested versions
$(READY): setup.cfg pyproject.toml constraints.txt requirements.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else "sdnet_pl needs Python 3.11 to 3.13, and $(PYTHON) is %d.%d; name another: make PYTHON=python3.12 setup" % v[:2])'
	@echo "Installing into .venv (minutes; PyTorch is large) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
# What is left is PyTorch, by its version alone: the file differs between PyPI, PyTorch's own index and local folders.
# --no-warn-conflicts: the lock has litdata without torchvision and what else its code here does not touch.
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install -q --disable-pip-version-check --no-build-isolation \
		--no-warn-conflicts -c constraints.txt -e '.[dev]'
	@touch $(READY)

fit: setup  ## Train a tiny SDNet on built-in portraits and score it (minutes on two cores)
	$(BIN)/sdnet-pl fit --config experiments/quickstart/synthetic.yaml

peers: setup  ## Install the networks to compare with
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[peers]'

build/no-torch.txt:
	@mkdir -p build
	@printf '%s\n' torch torchvision > $@

LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11.5 -c constraints.txt --generate-hashes --no-header --no-annotate
lock: setup build/no-torch.txt  ## Write requirements.lock anew: what make setup installs, with the hashes of PyPI's files
	printf '%s\n' $(SHARDS) | $(LOCK) --no-deps - -o build/shards.lock
	$(LOCK) --excludes build/no-torch.txt --extra dev setup.cfg -o build/dev.lock
	cat build/dev.lock build/shards.lock > requirements.lock

audit: setup  ## List known vulnerabilities of the versions in constraints.txt (asks PyPI)
	$(BIN)/pip-audit --strict --disable-pip --no-deps -r constraints.txt

licences: setup  ## Check that all that is installed is under a licence that pyproject.toml allows
	$(BIN)/pip-licenses --order=license

release: setup  ## Build dist/: sdist, wheel, and the bill of materials of the wheel installed alone (CycloneDX)
	rm -rf dist build/release
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m twine check --strict dist/*
	$(PYTHON) -m venv --without-pip build/release
	$(BIN)/python -m pip --python build/release install -q --disable-pip-version-check -c constraints.txt dist/*.whl
	$(BIN)/cyclonedx-py environment --output-reproducible -o dist/sdnet_pl.cdx.json build/release

# Some tests start many processes, each of which would compile the package anew where bytecode is not kept.
TEST := env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 \
	--dist loadfile --no-loadscope-reorder

test: setup  ## Run the tests
	$(TEST)

coverage: setup  ## Run the tests and list the package's lines that none of them runs; under 90 % is an error
	$(TEST) --cov

test-long: setup  ## Run an hour's training, 5,000 frames and 20 minutes of the server; a share of it: LONG=0.05
	SDNET_LONG=$(LONG) $(BIN)/python -m pytest -m long

test-slow: peers  ## Run the tests that take minutes
	$(BIN)/python -m pytest -m 'slow and not long'

LOWEST := .venv/lowest/bin/python
test-lowest: setup  ## Run the tests with the oldest packages that setup.cfg allows, on Python 3.11 (ARGS=tests/... for some)
	$(BIN)/uv venv -q --clear --python 3.11 .venv/lowest
	$(BIN)/uv pip install -q --python $(LOWEST) --resolution lowest-direct -e '.[export,formats,hub,notebooks,serve,sweep]' \
		'pytest>=8' 'pytest-timeout>=2.3' 'pytest-xdist>=3.6' 'hypothesis>=6.100' 'scikit-image>=0.22' 'mypy>=1.13'
	env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(LOWEST) -m pytest -n logical --maxprocesses 4 --dist loadfile $(ARGS)

bench-inference: peers  ## Time the networks against peers (ARGS=--help for options)
	$(BIN)/python -m benchmarks.inference $(ARGS)

bench-data: setup  ## Time the data path by stage, and against the naive order (ARGS=...)
	$(BIN)/python -m benchmarks.data $(ARGS)

bench-train: setup  ## Time a training step by part (ARGS=...)
	$(BIN)/python -m benchmarks.train $(ARGS)

bench-video: setup  ## Flicker, error and speed of cut-outs of videos (needs SDNET_DATA; ARGS=...)
	$(BIN)/python -m benchmarks.video $(ARGS)

ablations: setup  ## Train what the ablations compare, and keep its scores (days of a core; resumes; needs SDNET_DATA)
	OMP_NUM_THREADS=1 nice -n 19 $(BIN)/python -m experiments.ablations.compare $(ARGS)

ablations-page: setup  ## Write docs/ablations.md from the scores that are kept
	$(BIN)/python -m experiments.ablations.page

reproduce: setup  ## A table of the paper: make reproduce TABLE=5 SCALE=mini (stand-ins, minutes) or SCALE=full
	$(BIN)/sdnet-pl reproduce --table $(TABLE) --scale $(SCALE) $(ARGS)

rehearsal: setup  ## Rehearse `reproduce --scale full` on stand-ins as many as the real pictures (ten minutes of a core)
	$(BIN)/python -m experiments.paper.rehearse $(ARGS)

notebooks: setup  ## Run the notebooks on built-in data (minutes) into runs/notebooks, as .ipynb and .html
	$(BIN)/jupyter nbconvert --execute --ExecutePreprocessor.timeout=900 --to notebook --output-dir runs/notebooks notebooks/*.ipynb
	$(BIN)/jupyter nbconvert --to html runs/notebooks/*.ipynb

decoder-page: setup  ## Write docs/decoder.md from the notebook decoder_outputs and the weights that ship
	$(BIN)/jupyter nbconvert --execute --ExecutePreprocessor.timeout=900 --to notebook --output-dir runs/notebooks notebooks/decoder_outputs.ipynb
	rm -rf docs/images/decoder
	$(BIN)/jupyter nbconvert --to markdown --no-input --TagRemovePreprocessor.remove_cell_tags="['training', 'interactive']" \
		--NbConvertApp.output_files_dir=images/decoder --output-dir docs --output decoder \
		runs/notebooks/decoder_outputs.ipynb

docs: setup  ## Build the site into site/, without a network; any warning is an error
	$(BIN)/zensical build --strict --clean

web/node_modules/onnxruntime-web: web/package-lock.json
	cd web && npm ci --omit=dev --ignore-scripts --no-audit --no-fund
	@touch $@

web/dist: web/node_modules/onnxruntime-web $(wildcard web/*.*) src/sdnet_pl/weights/sdnet-fast.onnx
	cd web && npm run --silent build

web: web/dist  ## Build the page that runs in the browser, and serve it to this machine (needs Node 20)
	@echo "http://127.0.0.1:$(PORT)"
	@$(PYTHON) -m http.server $(PORT) --bind 127.0.0.1 --directory web/dist

reproduce-mini: setup  ## All six tables on stand-ins, into docs/reproduction.md (five minutes of a core; resumes)
	$(BIN)/sdnet-pl reproduce --table 1 2 3 4 5 6 --page docs/reproduction.md

sweep: setup  ## Run a sweep file without W&B: make sweep FILE=experiments/sweeps/NAME.yaml (resumes)
	$(BIN)/sdnet-pl sweep $(FILE) $(ARGS)

gallery: setup  ## Show the weights at work on hard pictures (needs SDNET_DATA)
	$(BIN)/python -m experiments.weights.gallery runs/gallery.png $(ARGS)

reproduce-weights: setup  ## Train the recipes from nothing (days on two cores; resumes; needs SDNET_DATA; what ships: experiments/README.md)
	set -e; for name in $(WEIGHTS); do \
		run=runs/weights/$$name; resume=; \
		test ! -f $$run/last.ckpt || resume="--ckpt_path $$run/last.ckpt"; \
		test -f $$run/metrics.md || \
			$(BIN)/sdnet-pl fit --config experiments/weights/sdnet-fast.yaml --config experiments/weights/$${name%-trimap}.yaml \
				--config experiments/weights/$$name.yaml --run_dir $$run $$resume; \
		$(BIN)/sdnet-pl export $$run/$$name.safetensors --weights $$run/best.ckpt --overwrite \
			--licence "that of the pictures it was trained on: see MODEL_CARD.md"; \
		case $$name in (sdnet-fast*) \
			$(BIN)/sdnet-pl export $$run/$$name.onnx --weights $$run/$$name.safetensors --precision fp16-weights --overwrite; \
		esac; \
	done

lint: setup  ## Check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup  ## Put the code into the common style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove .venv and caches; runs/ stays
	rm -rf .venv build web/node_modules web/dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .coverage
