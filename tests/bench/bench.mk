# Measurements: our ways beside others, and every figure of the README once more.

##@ measurements
# builds whose networks `make bench-quant` quantizes, their
# photos pooled
BUILDS ?= $(BUILD)

bench: $(PACKED) ## measure speed and memory of the frame loop
	@$(PY) -m device benchmark --bundle $(BUILD)/bundle --runtime $(RUNTIME)

bench-device: $(PACKED) $(BUILD)/venv-bench/ready ## the service beside the loop one would write today
	@$(PY) -m tests.bench.device --bundle $(BUILD)/bundle \
	  --plain-python $(BUILD)/venv-bench/bin/python

bench-train: $(SPLIT) $(WEIGHTS_READY) ## our training beside two recipes of today (20 minutes)
	@$(PY) -m train.bench.recipes --training $(BUILD)/train --weights $(BUILD)/weights --size $(SIZE) \
	  --seed $(SEED) --out $(BUILD)/bench/train.json

bench-scale: $(WEIGHTS_READY) ## time and memory of training on up to 10,000 photos
	@$(PY) -m train.bench.scale --weights $(BUILD)/weights --out $(BUILD)/bench/scale

# SEED=1 BUILD=build1 make train ...; then BUILDS="build build1" pools the photos of both.
bench-quant: $(if $(filter $(BUILD),$(BUILDS)),$(NETWORK)) | $(READY) ## compare ways to quantize, on networks of BUILDS
	@$(PY) -m convert.bench.quantizers $(BUILDS) --out $(BUILD)/bench

# Seeds beside that of BUILD have builds of their own: build, build1, build2.
FIGURE_BUILDS := $(BUILD) $(BUILD)1 $(BUILD)2
figures: $(READY) ## every table again, on three seeds (an hour and more)
	@for seed in 0 1 2; do \
	  $(MAKE) --no-print-directory SEED=$$seed BUILD="$(BUILD)$${seed#0}" bundle; \
	done
	@{ $(PY) -m convert figures $(FIGURE_BUILDS); \
	  $(MAKE) --no-print-directory SEED=0 bench-train; \
	  $(MAKE) --no-print-directory SEED=0 BUILDS="$(FIGURE_BUILDS)" bench-quant; \
	  $(MAKE) --no-print-directory SEED=0 micro; \
	  $(PY) -m convert summary --training $(MICRO)/train --bundle $(MICRO)/bundle; \
	  $(MAKE) --no-print-directory SEED=0 bench bench-device; } | tee $(BUILD)/figures.md

# What a user would install today instead: the same runtime, and OpenCV.
OPENCV := opencv-python-headless==5.0.0.93
$(BUILD)/venv-bench/ready: device/locks/device.txt | $(READY)
	@$(call environment,$(PY))
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check $(OPENCV)
	@touch $@
