# Long tests: on emulated boards, and with real peers.

##@ upkeep
# Raspberry Pis that `make test-arm` and `make sweep-arm`
# emulate
CORES ?= pi3 pi4 pi5
# what `make test-image` boots: the image on these
# machines, and a stock system adapted as with BASE=
BOOTS ?= virt raspi3b stock
# how often it cuts the power during an installation
CUTS ?= 5

test-arm: $(PACKED) $(SAMPLES) $(BUILD)/wheel/ready $(BUILD)/venv-tflite/ready ## test on emulated Raspberry Pis: build/arm/report.json
	@FIELDGUIDE_BUILD="$(BUILD)" FIELDGUIDE_CORES="$(CORES)" DEBIAN_MIRROR="$(DEBIAN_MIRROR)" \
	  $(PY) -m pytest tests/emulated/test_arm.py $(PYTEST)
	@$(MAKE) --no-print-directory bundle

sweep-arm: $(BUILD)/wheel/ready | $(READY) ## count the instructions of what `make sweep` tried
	@FIELDGUIDE_BUILD="$(BUILD)" DEBIAN_MIRROR="$(DEBIAN_MIRROR)" \
	  $(PY) -m tests.emulated.count_sweep --sweep $(BUILD)/sweep --cores "$(CORES)"
	@$(PY) -m convert compare --out $(BUILD)/sweep

tolerances: $(READY) ## keep the results of `make test-arm` for other networks
	@$(PY) -m convert tolerances --measured $(BUILD)/arm/tolerances.json

test-ha: $(READY) $(BUILD)/venv-ha/ready ## test with real Home Assistant and MQTT broker (minutes)
	@FIELDGUIDE_BUILD="$(BUILD)" $(PY) -m pytest -s tests/emulated/test_home_assistant.py $(PYTEST)

test-deploy: $(READY) $(DEPLOYER) $(BUILD)/wheel/ready ## test deploying to containers (root; minutes)
	@FIELDGUIDE_BOARDS=1 FIELDGUIDE_BUILD="$(BUILD)" $(PY) -m pytest $(PYTEST) \
	  tests/emulated/test_deploy_for_real.py tests/emulated/test_updates_for_real.py \
	  tests/emulated/test_software_for_real.py

test-image: image ## boot the image on emulated machines, with power cuts
	@FIELDGUIDE_BUILD="$(BUILD)" FIELDGUIDE_BOOTS="$(BOOTS)" FIELDGUIDE_CUTS="$(CUTS)" \
	  $(PY) -m pytest -v tests/emulated/test_image_boot.py tests/emulated/test_image_releases.py

test-all: test test-long test-ha test-scale test-arm test-image test-deploy ## all tests on all cores and machines (root; hours)

soak: $(READY) ## an hour of faults, a thousand interrupted updates
	@FIELDGUIDE_SOAK_S=3600 FIELDGUIDE_KILLS=1000 $(PY) -m pytest -s -k "(long_life or killed_anywhere) and not seven" \
	  tests/device/service/test_faults.py tests/device/update/test_slots_cut_short.py \
	  tests/device/update/releases/test_cut_short.py tests/device/update/software/test_cut_short.py
