# Environments for tests (the device package alone, and programs as its peers), and all locks.

##@ upkeep
# Without a Python of that version the folder stays empty, and its tests are skipped with a message.
# $(call environment_on,version)
define environment_on
rm -rf $(@D); mkdir -p $(@D); \
for p in $(or $(PYTHON),python3) python$(1) "$$(pyenv root 2>/dev/null)"/versions/$(1)*/bin/python; do \
  if "$$p" -c 'import sys, ensurepip; sys.exit("%d.%d" % sys.version_info[:2] != "$(1)")' 2>/dev/null; then \
    $(call environment,"$$p"); \
    break; \
  fi; \
done; \
touch $@
endef

$(BUILD)/venv-device/ready: device/locks/device.txt | $(READY)
	@$(call environment,$(PY))
	@touch $@

# Readers of Parquet and S3, a server that is like S3, and WebDataset's own reader.
$(BUILD)/venv-shards/ready: tests/locks/shards.txt | $(READY)
	@$(call environment,$(PY))
	@touch $@

# tflite-runtime has no wheel for a Python above 3.11.
$(BUILD)/venv-tflite/ready: device/locks/device-tflite.txt
# The oldest ai-edge-litert, and other programs; they do not support a newer Python than 3.11 either.
$(BUILD)/venv-litert-oldest/ready: tests/locks/oldest-litert.txt
$(BUILD)/venv-readers/ready: tests/locks/readers.txt
ON_3_11 := $(patsubst %,$(BUILD)/venv-%/ready,tflite litert-oldest readers)
$(ON_3_11): | $(READY)
	@$(call environment_on,3.11)

# The real Home Assistant, as a test peer.
$(BUILD)/venv-ha/ready: tests/locks/home-assistant.txt | $(READY)
	@$(call environment_on,3.13)

# The environments that `make test` needs besides that of the workstation.
PEERS := $(addprefix $(BUILD)/,venv-device/ready venv-shards/ready) $(ON_3_11)

runtimes: $(EXPORTED) $(BUILD)/venv-device/ready $(BUILD)/venv-tflite/ready $(BUILD)/venv-litert-oldest/ready ## measure again which operators runtimes support
	@$(PY) -m convert runtimes --model $(firstword $(EXPORTED)) --python $(BUILD)/venv-tflite/bin/python \
	  --python $(BUILD)/venv-litert-oldest/bin/python --python $(BUILD)/venv-device/bin/python

lock: $(READY) ## resolve all locks again, with uv
	@$(PY) -m pip install --quiet --disable-pip-version-check uv
	@for group in workstation workstation-gpu; do \
	  $(compile) --group pyproject.toml:$$group -o train/locks/$$group.txt; done
	@$(compile) --group pyproject.toml:cluster --constraint train/locks/workstation.txt \
	  -o train/locks/cluster.txt
	@$(compile) --group pyproject.toml:light --constraint train/locks/workstation.txt \
	  -o tests/locks/light.txt
	@for group in oldest-litert readers shards; do \
	  $(compile) --group pyproject.toml:$$group -o tests/locks/$$group.txt; done
	@$(compile) --group pyproject.toml:deploy -o device/deploy/lock.txt
	@$(compile) --group pyproject.toml:fleet -o device/fleet/lock.txt
	@$(compile) pyproject.toml --extra litert --extra video --extra outputs --extra update \
	  -o device/locks/device.txt
	@$(subst 3.11,3.13,$(compile)) --group pyproject.toml:home-assistant \
	  -o tests/locks/home-assistant.txt
	@$(compile) pyproject.toml --extra tflite --extra video --extra outputs --extra update \
	  -o device/locks/device-tflite.txt
# No index address and no folder of this machine may be in a lock.
compile = env -u PIP_FIND_LINKS $(VENV)/bin/uv pip compile --quiet --universal --upgrade \
  --python-version 3.11 --generate-hashes --no-header --no-annotate \
  --no-emit-index-url --no-emit-find-links
