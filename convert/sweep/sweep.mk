# Which network to take: trials of several on the same photos, and the page that compares them.

##@ pipeline
# what `make sweep` tries: BACKBONE@SIZE or @SIZE,SIZE;
# BACKBONE for all its sizes; @SIZE for all backbones
SWEEP ?= all
# how many trials of a sweep are at work at once
JOBS ?= 1

sweep: $(VARS)/trials $(DATA_FILES) $(STRANGERS) | $(READY) ## try networks, and say which to take: sweep/index.html
	@$(PY) -m convert sweep --trials "$$(cat $<)" --jobs $(call given,JOBS) \
	  --make '$(trial_make)' --training $(BUILD)/train --out $(BUILD)/sweep
	@$(PY) -m train tidy $(BUILD)/sweep/*/cache $(BUILD)/sweep/*/teacher/*/cache

# Not in the recipe, which `make -n` would run then.
trial_make = $(MAKE)

# Named first, before any photo is read.
.PRECIOUS: $(VARS)/trials
$(VARS)/trials: force | $(READY)
	@mkdir -p $(@D)
	@named=$$($(PY) -m train trials $(call given,SWEEP)); printf '%s\n' "$$named" > $@
