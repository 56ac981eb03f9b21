# Teachers: trainings of other backbones on the same split, of whose answers this one learns.

$(if $(filter-out none $(BACKBONES),$(TEACHER)),$(error TEACHER=$(TEACHER): give none, or some of $(BACKBONES)))
teacher_folders := $(addsuffix /train,$(addprefix $(BUILD)/teacher/,$(filter-out none,$(TEACHER))))
teacher = $(if $(teacher_folders),--teacher $(teacher_folders))
$(TIMINGS): $(addsuffix /timings.json,$(teacher_folders)) | $(addsuffix /model.keras,$(teacher_folders))

# As for build/train: one run makes all files, and the last one tells that it has ended. A teacher
# learns by the recipe of its own backbone, whatever EPOCHS, VIEWS and WEIGHTS of its pupil are; but
# it must know the faults of cameras that it is asked about.
.PRECIOUS: $(addprefix $(BUILD)/teacher/%/train/,timings.json model.keras) $(call weights_ready,%)
$(eval $(call stamp,teacher,$(SEED) $(filter-out 100000,$(TRAIN_PHOTOS)) $(filter-out 0,$(ROBUST))))
$(BUILD)/teacher/%/train/timings.json: $(DATA_FILES) $(VARS)/teacher $(VARS)/code-train $(call weights_ready,%) | $(READY)
	@mkdir -p $(@D) && cp $(DATA_FILES) $(@D)
	@echo "training the teacher, $*"
	@$(PY) -m train fit --out $(@D) --weights=$(SHARED)/weights --backbone $* --seed $(SEED) \
	  $(robust) $(sample) $(caches)

$(BUILD)/teacher/%/train/model.keras: $(BUILD)/teacher/%/train/timings.json
	@test -e $@ -a -e $(@D)/metrics.json || { rm -f $<; $(MAKE) --no-print-directory $<; }
