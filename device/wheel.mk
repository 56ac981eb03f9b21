# The wheel of the device package, in build/wheel.

##@ boards
# The files in the wheel, from all sub-packages.
DEVICE_FILES := $(shell find device -path device/image -prune -o -path device/deploy -prune -o -path device/fleet -prune -o -path device/workstation -prune -o \( -name '*.py' -o -name '*.css' -o -name '*.html' -o -name '*.js' -o -name '*.toml' -o -name py.typed \) -print)

wheel: $(BUILD)/wheel/ready ## build the device package's wheel
$(BUILD)/wheel/ready: pyproject.toml $(DEVICE_FILES) LICENSE | $(READY)
	@rm -rf $(@D); mkdir -p $(@D)
	@$(PY) -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --wheel-dir $(@D) .
	@rm -rf build/lib build/bdist.*
	@touch $@
