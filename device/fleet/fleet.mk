# Signed releases that boards fetch themselves: a folder of files for any web server.

##@ boards
# folder of a fleet: keys, and the public folder to serve
FLEET ?=
# another folder with keys, such as a stick
KEYS ?=
# name of releases, such as birds; software: the device
# package
NAME ?=
# share of a group's boards that are offered a release
PERCENT ?=
# group of boards in `make promote` and `make halt`
GROUP ?= all
# 1: NAME in `make publish`, or GROUP, is new to the
# fleet, and not misspelt
NEW ?=
# number of the release to offer; empty: the newest
RELEASE ?=
# 1: PERCENT may fall
LOWER ?=
# 1: a halted release may go on
RESUME ?=
# whose keys change or sign again: root, targets, software,
# rollout, snapshot, timestamp, model-NAME
ROLE ?=
# a file for `make fleet-status` and `make ramp`: in each
# line the address of a board's metrics, and a token if
# it needs one; or mqtt: and a board's id
BOARDS ?=
# settings as boards have them, whose [output.mqtt] says
# where such boards are; without BOARDS, all that are there
MQTT ?=
# hours for which `make ramp` watches each stage
WINDOW ?= 48
# boards that software is for: Python, machine and glibc
SYSTEMS ?= 3.11.2-aarch64-2.36 3.13.5-aarch64-2.41

FLEET_VENV := $(BUILD)/venv-fleet
FLEET_READY := $(FLEET_VENV)/ready
fleet_goals := fleet-init publish publish-software promote halt fleet-refresh fleet-tidy fleet-renew fleet-keys fleet-status ramp
$(if $(filter $(fleet_goals),$(MAKECMDGOALS)),$(if $(value FLEET),,$(error name the folder of the fleet: FLEET=folder)))
$(if $(filter promote,$(MAKECMDGOALS)),$(if $(value PERCENT),,$(error say to how many boards: PERCENT=10)))
$(if $(filter ramp,$(MAKECMDGOALS)),$(if $(value BOARDS)$(value MQTT),,$(error list the boards: BOARDS=boards.txt, or name their broker: MQTT=fieldguide.toml)))
$(if $(filter publish promote halt ramp,$(MAKECMDGOALS)),$(if $(value NAME),,$(error name the releases: NAME=birds)))
$(if $(filter fleet-keys fleet-renew,$(MAKECMDGOALS)),$(if $(value ROLE),,$(error name the role: ROLE=root; see `make help`)))
# The words of a command: $(call fleet_words,COMMAND). No secret is among them: passphrases are asked
# for, or come from the environment.
fleet_words = $(1) --fleet=$(call given,FLEET) $(words_$(1)) \
  $(if $(filter init,$(1)),,$(if $(value KEYS),--keys=$(call given,KEYS)))
new = $(if $(filter-out 0,$(NEW)),--new)
stage = --name=$(call given,NAME) --group=$(call given,GROUP) $(new)
asked = $(if $(value BOARDS),--boards=$(call given,BOARDS)) $(if $(value MQTT),--mqtt=$(call given,MQTT))
words_publish = --name=$(call given,NAME) --bundle=$(to_release) $(new)
words_software = --wheel=$(BUILD)/wheel --lock=device/locks/device.txt \
  --wheels=$(BUILD)/wheels $(addprefix --unit=,$(wildcard device/deploy/*.service)) \
  $(foreach system,$(SYSTEMS),--system='$(subst ','\'',$(system))')
words_promote = $(stage) --percent=$(call given,PERCENT) \
  $(if $(value RELEASE),--release=$(call given,RELEASE)) \
  $(if $(filter-out 0,$(LOWER)),--lower) $(if $(filter-out 0,$(RESUME)),--resume)
words_halt = $(stage)
words_ramp = $(stage) $(asked) --hours=$(call given,WINDOW)
words_status = $(asked)
words_renew = --role=$(call given,ROLE)
words_keys = $(foreach role,$(ROLE),--role='$(subst ','\'',$(role))')
# TAR, or BUNDLE if it is given.
released := $(if $(filter command line,$(origin BUNDLE)),BUNDLE,TAR)
to_release = $(if $(filter file,$(origin $(released))),$($(released)),$(call given,$(released)))
# Before anything is installed, or built from photos.
$(if $(filter publish,$(MAKECMDGOALS)),$(if $(filter file,$(origin $(released))),,$(if $(shell test -e $(to_release) && echo there),,$(error $(released)=$(value $(released)): no such file))))

# So is what a command itself would refuse, with any Python.
of_goal = $(subst publish-software,software,$(1:fleet-%=%))
refusal = $(shell python=$$($(find_python)) && "$$python" -m device.fleet $(call fleet_words,$(1)) --check 2>&1)
refuse_if = $(if $(1),$(error $(strip $(1:error:%=%))))
$(foreach goal,$(filter $(fleet_goals),$(MAKECMDGOALS)),$(call refuse_if,$(call refusal,$(call of_goal,$(goal)))))
fleet = $(FLEET_VENV)/bin/python -m device.fleet $(call fleet_words,$(1))

fleet-init: $(FLEET_READY) ## make keys and an empty repository in FLEET
	@$(call fleet,init)

publish: $(FLEET_READY) $(READY) $(if $(filter $(BUILD)/bundle.tar,$($(released))),$(BUILD)/bundle.tar) ## sign TAR, or BUNDLE=, as a release of NAME in FLEET
	@$(PY) -m device selftest --bundle $(to_release) >/dev/null
	@$(call fleet,publish)

publish-software: $(FLEET_READY) $(BUILD)/wheel/ready ## sign the device package and its wheels as a release
	@$(call fleet,software)

promote: $(FLEET_READY) ## offer a release of NAME to PERCENT of GROUP
	@$(call fleet,promote)

halt: $(FLEET_READY) ## offer the release of NAME to no more boards of GROUP
	@$(call fleet,halt)

ramp: $(FLEET_READY) ## raise what GROUP is offered by a stage, or halt it
	@$(call fleet,ramp)

fleet-refresh: $(FLEET_READY) ## sign again what expires soon, for a daily timer
	@$(call fleet,refresh)

fleet-tidy: $(FLEET_READY) ## remove files that boards cannot want any more
	@$(call fleet,tidy)

fleet-status: $(FLEET_READY) ## say what FLEET offers, and what BOARDS run
	@$(call fleet,status)

fleet-renew: $(FLEET_READY) ## sign ROLE again, so that it expires later
	@$(call fleet,renew)

fleet-keys: $(FLEET_READY) ## give ROLE other keys; it may name several roles
	@$(call fleet,keys)

# Needs no TensorFlow, so that a small server can sign daily.
$(FLEET_READY): device/fleet/lock.txt
	@python=$$($(find_python)); $(call environment,"$$python")
	@touch $@
