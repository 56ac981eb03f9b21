# A small network for microcontrollers, distilled from the trained one.

##@ pipeline
# epochs of the distillation in `make micro`
MICRO_EPOCHS ?= 30

# side of the pictures that `make micro` works on, pixels;
# a multiple of 32, such as 96 or 128
MICRO_SIZE ?= 96

MICRO := $(BUILD)/micro
MICRO_TRAINED := $(addprefix $(MICRO)/train/,model.keras $(NAMES) split.csv events.csv cuts.csv data.json timings.json)
.PRECIOUS: $(MICRO_TRAINED)
$(eval $(call stamp,micro,$(MICRO_EPOCHS) $(MICRO_SIZE) $(SEED)))

micro: $(MICRO)/cpp/ready ## a small network for microcontrollers: build/micro/cpp

$(MICRO_TRAINED) &: $(NETWORK) $(SPLIT) $(OCCASIONS) $(CUT_BOXES) $(VARS)/micro $(VARS)/code-micro | $(READY) $(TRAINED)
	@$(PY) -m train distill --training $(BUILD)/train --out $(MICRO)/train \
	  --size $(MICRO_SIZE) --epochs $(MICRO_EPOCHS) --seed $(SEED)

# This one is small enough as it is: no pupil of a size of its own is made.
ifeq ($(BACKBONE),efficientnet-lite0-short)
ifneq ($(filter micro,$(MAKECMDGOALS)),)
$(if $(filter file,$(origin MICRO_SIZE)),,$(error MICRO_SIZE=$(MICRO_SIZE) is for the pupil of mobilenet-v2: with BACKBONE=efficientnet-lite0-short give SIZE=$(MICRO_SIZE)))
endif
$(MICRO)/cpp/ready: $(PACKED) | $(READY)
	@$(PY) -m convert micro --bundle $(BUILD)/bundle --out $(@D)
	@touch $@
else
# Any other pupil begins as a reduced copy of its teacher, which must be of its own kind.
ifneq ($(filter micro,$(MAKECMDGOALS)),)
$(if $(filter mobilenet-v2,$(BACKBONE)),,$(error make micro needs BACKBONE=mobilenet-v2 or efficientnet-lite0-short: others are too large, and its pupil begins as a reduced copy of a MobileNetV2))
endif
$(MICRO)/cpp/ready: $(MICRO_TRAINED) $(addprefix $(VARS)/,convert verify code-convert code-bundle) | $(READY)
	@$(PY) -m convert export --training $(MICRO)/train --out $(MICRO)/convert \
	  --calibration-photos $(CALIBRATION) --seed $(SEED)
	@$(PY) -m convert verify --training $(MICRO)/train --models $(MICRO)/convert \
	  --out $(MICRO)/bundle $(allowed)
	@$(PY) -m convert bundle --training $(MICRO)/train --models $(MICRO)/convert \
	  --out $(MICRO)/bundle
	@$(PY) -m convert micro --bundle $(MICRO)/bundle --out $(@D)
	@touch $@
endif
