# Measurements: comparisons with other methods, and all figures of the results pages.

##@ measurements
# builds whose networks `make bench-quant` quantizes; their
# photos are pooled
BUILDS ?= $(BUILD)

# what `make bench-train` compares, with "tutorial ours"
# among them; empty: all recipes
RECIPES ?=
$(if $(strip $(RECIPES)),$(if $(filter 2,$(words $(sort $(filter tutorial ours,$(RECIPES))))),,$(error RECIPES=$(RECIPES): the table compares with tutorial and ours: name them, too)))

# photos that `make bench-scale` splits and trains on, as
# "1000 2000"; empty: up to a million, and up to 10,000
SIZES ?=

bench: $(PACKED) ## measure speed and memory of the frame loop
	@$(PY) -m device benchmark --bundle $(BUILD)/bundle --runtime $(RUNTIME)

bench-device: $(PACKED) $(BUILD)/venv-bench/ready ## compare the service with a typical hand-written loop
	@$(PY) -m tests.bench.device --bundle $(BUILD)/bundle \
	  --plain-python $(BUILD)/venv-bench/bin/python

bench-train: $(SPLIT) $(WEIGHTS_READY) ## compare training with others' recipes (over an hour)
	@$(PY) -m train.bench.recipes --training $(BUILD)/train --weights $(BUILD)/weights $(size) \
	  --seed $(SEED) --out $(BUILD)/bench/train.json \
	  $(if $(RECIPES),--recipes $(RECIPES))

bench-features: $(SPLIT) $(call weights_ready,$(BACKBONE)) ## a linear classifier on the frozen features of BACKBONE
	@$(PY) -m train.bench.features --training $(BUILD)/train --weights $(BUILD)/weights \
	  --backbone $(BACKBONE) $(size) --seed $(SEED)

bench-scale: $(WEIGHTS_READY) ## time and memory of splitting and training
	@$(PY) -m tests.bench.scale --weights $(BUILD)/weights --out $(BUILD)/bench/split $(if $(SIZES),--photos $(SIZES) --rows $(SIZES))
	@$(PY) -m train.bench.scale --weights $(BUILD)/weights --out $(BUILD)/bench/scale $(if $(SIZES),--photos $(SIZES))

bench-engines: $(RAY_READY) $(WEIGHTS_READY) ## what a Ray cluster costs beside threads; installs Ray
	@.venv-ray/bin/python -m train.bench.engines --weights $(BUILD)/weights

bench-honesty: $(WEIGHTS_READY) | $(READY) ## reported against true accuracy, before fixed cameras
	@$(PY) -m tests.bench.honesty --weights $(BUILD)/weights --out $(BUILD)/bench/honesty

bench-look: | $(READY) ## visits found in films of fixed cameras, and false ones
	@$(PY) -m tests.bench.look --out $(BUILD)/bench/look

bench-drift: $(PACKED) ## false alarms and faults found in 1,000 simulated years
	@$(PY) -m tests.bench.drift --build $(BUILD) --out $(BUILD)/bench/drift

bench-fleet: | $(READY) ## good and bad releases to 1,000 simulated boards, load
	@$(PY) -m tests.bench.fleet --out $(BUILD)/bench/fleet

# SEED=1 BUILD=build1 make train ...; then BUILDS="build build1" pools the photos of both.
bench-quant: $(if $(filter $(BUILD),$(BUILDS)),$(NETWORK)) | $(READY) ## compare ways to quantize, on networks of BUILDS
	@$(PY) -m convert.bench.quantizers $(BUILDS) --out $(BUILD)/bench

bench-intervals: | $(READY) ## how often 95% intervals hold the truth, by event
	@$(PY) -m tests.bench.intervals

# Each seed has its own build folder: build, build1, build2.
FIGURE_BUILDS := $(BUILD) $(BUILD)1 $(BUILD)2
# Three recipes of six: the others take as long again, and `make bench-train` runs them all.
figures: $(READY) ## make the main tables again, on three seeds (over an hour)
	@for seed in 0 1 2; do \
	  $(MAKE) --no-print-directory SEED=$$seed BUILD="$(BUILD)$${seed#0}" bundle; \
	done
	@{ $(PY) -m convert figures $(FIGURE_BUILDS); \
	  $(MAKE) --no-print-directory SEED=0 RECIPES="tutorial head_only ours" bench-train; \
	  $(MAKE) --no-print-directory SEED=0 BUILDS="$(FIGURE_BUILDS)" bench-quant; \
	  $(MAKE) --no-print-directory SEED=0 micro; \
	  $(PY) -m convert summary --training $(MICRO)/train --bundle $(MICRO)/bundle; \
	  $(MAKE) --no-print-directory SEED=0 bench bench-device; } | tee $(BUILD)/figures.md

# What users would install instead: the same runtime, and OpenCV.
OPENCV := opencv-python-headless==5.0.0.93
$(BUILD)/venv-bench/ready: device/locks/device.txt | $(READY)
	@$(call environment,$(PY))
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check $(OPENCV)
	@touch $@
