# Needs Python 3.11 to 3.13, git and make; everything else goes into .venv on first use.
# Another Python: make PYTHON=python3.12 test. Another photo: make demo PHOTO="my photo.jpg"

PYTHON ?= python3
PHOTO ?= examples/person.jpg

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# A Python that was named, and is another than that of $(VENV), sets it up anew.
VERSION_OF = $(shell $(1) -c 'import sys; print(sys.version_info[:2])' 2>/dev/null)
ifneq ($(origin PYTHON),file)
ifneq ($(call VERSION_OF,$(PYTHON)),$(call VERSION_OF,$(BIN)/python))
.PHONY: $(READY)
endif
endif

# Recipes read the photo's name from the environment, so that spaces and quotes in it survive.
export PHOTO

MAKEFLAGS += --no-print-directory
.PHONY: help demo test test-lowest fuzz check bench bench-ablation wheel clean

help:
	@echo "make demo    3D pose of one photo (PHOTO=examples/person.jpg) into out/demo"
	@echo "make test    run the tests"
	@echo "make kill-test  end each command at KILLS=20 random moments, and hold what it leaves against an undisturbed run"
	@echo "make test-lowest  tests with the lowest versions of other libraries (Python 3.11)"
	@echo "make test-scale  tables of photos in Ray, Hugging Face datasets and Dask (SCALE_PHOTOS=2000); training on two nodes"
	@echo "make fuzz    read N=10000 damaged files of all kinds"
	@echo "make check   formatting, lint and types"
	@echo "make bench   run the benchmarks (BENCH=\"--photos FOLDER\"; benchmarks/README.md)"
	@echo "make bench-peers  set up MediaPipe in .venv-peers, for make bench to compare with"
	@echo "make bench-ablation  the paper's four ablations on rendered people and photos, small: runs/ablation (docs/paper-tables.md)"
	@echo "make check-opensim, make check-blender  have OpenSim and Blender read files of the example clip"
	@echo "make wheel   build the wheel into dist/ and try it in an empty environment"
	@echo "make clean   remove .venv, .venv-peers, .venv-lowest, dist/, out/demo and caches"

demo: $(READY)
	$(BIN)/liftwild predict --view -o out/demo -- "$$PHOTO"
	@name=$${PHOTO##*/}; echo "To turn it, open in a browser: out/demo/$${name%.*}.html"
ifeq ($(origin PHOTO),file)
	@rm -rf out/demo/people out/demo/clip.spool
	$(BIN)/liftwild render wild -n 8 --size 256 --pictures out/demo/people -o out/demo/people.arrow --sheet out/demo/people.png
	$(BIN)/liftwild predict out/demo/people --boxes out/demo/people/labels.json -o out/demo/people
	$(BIN)/liftwild predict examples/clip.mp4 --view --format json,bvh -o out/demo
	@echo "The pose (.json) and its picture (.png) are in out/demo; rendered people and their poses in out/demo/people"
	@echo "A clip, followed and smoothed, for Blender: out/demo/clip.person0.bvh"
	@echo "To turn it, open in a browser: out/demo/clip.html"
endif

# Files of tests at once.
AT_ONCE ?= 2
test: $(READY)
	$(BIN)/python -m pytest -n $(AT_ONCE) --dist loadfile

KILLS ?= 20
.PHONY: kill-test
kill-test: $(READY)
	LIFTWILD_KILLS=$(KILLS) $(BIN)/python -m pytest -s tests/interrupts
# The rooms that lean most on other libraries, with the lowest versions that pyproject.toml allows. Golden losses are of the
# torch in constraints.txt; Python 3.11 alone has wheels of all of them.
LOWEST := .venv-lowest
LOWEST_TESTS := tests/network tests/io tests/media tests/data tests/inference tests/detection tests/evaluation tests/viz \
    tests/training/test_training.py tests/pipeline/test_predict.py tests/test_weights.py tests/test_crop.py
test-lowest: $(LOWEST)/.ready
	$(LOWEST)/bin/python -m pytest --deselect tests/training/test_training.py::test_golden_losses $(LOWEST_TESTS)

$(LOWEST)/.ready: pyproject.toml scripts/lowest.py
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if v == (3, 11) else \
	    "make test-lowest needs Python 3.11, but $(PYTHON) is %d.%d: make PYTHON=python3.11 test-lowest" % v)'
	@rm -f $@
	$(PYTHON) -m venv --clear $(LOWEST)
	@echo '*' > $(LOWEST)/.gitignore
	$(PYTHON) scripts/lowest.py > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install -qq --disable-pip-version-check -c $(LOWEST)/constraints.txt \
	    -e '.[train,datasets,parquet,pandas,figures,openvino,onnx,heic,c3d]' pytest hypothesis ezc3d pygltflib
	@touch $@

# Tables of so many photos in Ray, datasets and Dask, and training on two nodes; each with a process that is killed.
# Spark is half a gigabyte and needs Java: make test-scale SCALE_MORE=pyspark==4.3.0
SCALE_PHOTOS ?= 2000
SCALE_MORE ?=
.PHONY: test-scale
test-scale: .venv-scale/.ready
	$(if $(SCALE_MORE),.venv-scale/bin/python -m pip install -qq --disable-pip-version-check $(SCALE_MORE))
	LIFTWILD_SCALE_PHOTOS=$(SCALE_PHOTOS) .venv-scale/bin/python -m pytest tests/scale

.venv-scale/.ready: pyproject.toml constraints.txt
	@rm -f $@
	$(PYTHON) -m venv --clear .venv-scale
	@echo '*' > .venv-scale/.gitignore
	@# botocore wants an older one.
	grep -v python-dateutil constraints.txt > .venv-scale/constraints.txt
	.venv-scale/bin/python -m pip install -qq --disable-pip-version-check -c .venv-scale/constraints.txt -e '.[train,openvino,dev]' \
	    'ray[data]==2.60.0' datasets==5.2.0 'dask[dataframe,distributed]==2026.8.0' \
	    s3fs==2026.9.0 'moto[server]==5.2.5' boto3==1.43.117 botocore==1.43.117
	@touch $@

# What fails is kept in tests/fuzz/cases. Another SEED gives other cases.
N ?= 10000
SEED ?= 1
fuzz: $(READY)
	$(BIN)/python -m tests.support.fuzz.hunt $(N) --seed $(SEED)

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(READY)
	$(BIN)/python benchmarks/run.py $(BENCH)

# What make bench compares with, in an environment of its own: mediapipe 0.10.21 has wheels for Python up to 3.12.
PEERS_PYTHON ?= $(PYTHON)
.PHONY: bench-peers
bench-peers: .venv-peers/.ready

.venv-peers/.ready: benchmarks/peers.txt
	@$(PEERS_PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 12) else \
	    "mediapipe 0.10.21 has no wheel for Python %d.%d; choose 3.11 or 3.12: make PEERS_PYTHON=python3.12 bench-peers" % v)'
	$(PEERS_PYTHON) -m venv --clear .venv-peers
	@echo '*' > .venv-peers/.gitignore
	.venv-peers/bin/python -m pip install -qq --disable-pip-version-check --no-deps -r benchmarks/peers.txt
	@touch $@

# OpenSim and Blender read what is written, each in an environment of its own; neither is needed for anything else.
# Blender's package has wheels for Python 3.11 (4.5) and 3.13 (5.3).
CHECKED := out/check-files
.PHONY: check-opensim check-blender check-files
check-opensim: check-files .venv-opensim/.ready
	@# It leaves its log where it runs.
	cd $(CHECKED) && $(CURDIR)/.venv-opensim/bin/python $(CURDIR)/scripts/check_opensim.py .

check-blender: check-files .venv-blender/.ready
	.venv-blender/bin/python scripts/check_blender.py $(CHECKED)
	@echo "Look at $(CHECKED)/blender.png"

check-files: $(READY)
	@rm -rf $(CHECKED)
	$(BIN)/python scripts/make_files_to_check.py $(CHECKED)

.venv-opensim/.ready:
	$(PYTHON) -m venv --clear .venv-opensim
	@echo '*' > .venv-opensim/.gitignore
	.venv-opensim/bin/python -m pip install -qq --disable-pip-version-check opensim==4.6
	@touch $@

.venv-blender/.ready:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if v in ((3, 11), (3, 13)) else \
	    "bpy has no wheel for Python %d.%d; choose 3.11 or 3.13: make PYTHON=python3.11 check-blender" % v)'
	$(PYTHON) -m venv --clear .venv-blender
	@echo '*' > .venv-blender/.gitignore
	.venv-blender/bin/python -m pip install -qq --disable-pip-version-check 'bpy==4.5.15; python_version == "3.11"' \
	    'bpy==5.3.0; python_version == "3.13"'
	@touch $@

# ABLATION="--photos labels.json photos/ --real pose2sim.arrow --seeds 5": experiments/ablation.py --help
bench-ablation: $(READY)
	$(BIN)/python experiments/ablation.py --out runs/ablation $(ABLATION)

wheel: $(READY)
	scripts/check_wheel.sh dist

clean:
	rm -rf $(VENV) .venv-peers .venv-opensim .venv-blender .venv-scale $(LOWEST) dist out/demo $(CHECKED) .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks scripts -name __pycache__ -type d -exec rm -rf {} +

# The mark is removed first and written last: a set-up that was interrupted starts over.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else \
	    "liftwild needs Python 3.11 to 3.13, but $(PYTHON) is %d.%d; choose another: make PYTHON=python3.11" % v)'
	@echo "Setting up $(VENV) (once, takes a few minutes)"
	@rm -f $@
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[train,datasets,figures,openvino,onnx,heic,c3d,app,dev]'
	@touch $@
