# Deploying bundles and the package to boards, over ssh.

##@ boards
# the board to deploy to, as ssh names it: user@board
HOST ?=
# instead of HOST: an Ansible inventory of many boards
HOSTS ?=
# the bundle to deploy
TAR ?= $(BUILD)/bundle.tar
# boards at once: a number, or a share such as 20%
BATCH ?= 1
# percentage of them that may fail before all stop
MAX_FAIL ?= 0
# seconds until the first label after a deployment; 0: the
# service only has to run
LABELS_S ?= 30
# settings for a board that has none
SETTINGS ?= device/fieldguide.example.toml
# boards and SD cards: the address of the folder of signed
# releases that they fetch; file:///media/fieldguide is a
# USB stick
UPDATE_URL ?=
# which model of it
UPDATE_NAME ?=
# the boards' group in its rollouts
UPDATE_GROUP ?= all
# the folder's first root metadata, 1.root.json
UPDATE_ROOT ?=
# the Edge TPU's library: a .deb file or a package's name
EDGETPU ?=
# more options of ansible-playbook, such as "--check" or
# "--ask-become-pass"
ANSIBLE ?=

# $(call whole_number,NAME,what else it may be,suffix of that)
whole_number = $(if $(shell grep -Ex '[0-9]+$(3)?' <<< '$($(1))'),,$(error $(1)=$($(1)): a whole number$(2)))
ifneq ($(filter deploy rollback status,$(MAKECMDGOALS)),)
$(if $(HOST)$(HOSTS),,$(error name the board: HOST=user@board, or HOSTS=inventory.ini for many))
$(if $(HOST),$(if $(HOSTS),$(error name HOST or HOSTS, not both)))
$(if $(HOSTS),$(if $(shell test -f "$(HOSTS)" && echo 1),,$(error HOSTS=$(HOSTS): no such inventory)))
$(if $(shell test -f "$(SETTINGS)" && echo 1),,$(error SETTINGS=$(SETTINGS): no such file))
$(if $(UPDATE_ROOT),$(if $(wildcard $(UPDATE_ROOT)),,$(error UPDATE_ROOT=$(UPDATE_ROOT): no such file)))
$(if $(value UPDATE_URL),$(if $(UPDATE_NAME),,$(error UPDATE_URL is set, but UPDATE_NAME is not: which model is fetched?)))
$(if $(filter %.deb,$(EDGETPU)),$(if $(wildcard $(EDGETPU)),,$(error EDGETPU=$(EDGETPU): no such file)))
$(call whole_number,MAX_FAIL)
$(call whole_number,LABELS_S)
$(call whole_number,BATCH, or a share of all boards such as 20%,%)
endif
# A bundle named by the user is used as it is; no rule makes it.
ifneq ($(filter deploy,$(MAKECMDGOALS)),)
$(if $(word 2,$(TAR)),$(error TAR=$(TAR) must not contain spaces))
$(if $(filter $(BUILD)/bundle.tar,$(TAR)),,$(if $(wildcard $(TAR)),,$(error TAR=$(TAR): no such bundle)))
endif

# As given: make would read a $ in a password as the start of a variable.
override UPDATE_URL := $(value UPDATE_URL)
export UPDATE_URL UPDATE_NAME UPDATE_GROUP UPDATE_ROOT
DEPLOYER := $(BUILD)/venv-deploy/ready
playbook = ANSIBLE_CONFIG=device/deploy/ansible.cfg $(BUILD)/venv-deploy/bin/ansible-playbook \
  -i $(if $(HOSTS),"$(HOSTS)","$(HOST)$(comma)") -e batch="$(BATCH)" -e max_fail="$(MAX_FAIL)" \
  -e labels_s="$(LABELS_S)" $(ANSIBLE) device/deploy/$@.yml
comma := ,

# Before any photo is read, and by READY before anything is installed.
$(VARS)/updates: force | $(READY)
	@$(PY) -m device.image.identity deploy

deploy: $(VARS)/updates $(DEPLOYER) $(TAR) $(BUILD)/wheel/ready ## deploy bundle and package to HOST or HOSTS, over ssh
	@$(playbook) -e bundle=$(call quoted,$(TAR)) -e wheel=$(call quoted,$(BUILD)/wheel/*.whl) \
	  -e wheels=$(call quoted,$(BUILD)/wheels) -e lock=$(call quoted,device/locks/device.txt) \
	  -e settings=$(call quoted,"$(SETTINGS)") \
	  -e '{"update_url": "{{ lookup(\"env\", \"UPDATE_URL\") }}", "update_name": "$(UPDATE_NAME)", "update_group": "$(UPDATE_GROUP)"}' \
	  -e update_root=$(if $(UPDATE_ROOT),$(call quoted,"$(UPDATE_ROOT)"),"''") \
	  -e edgetpu=$(if $(filter %.deb,$(EDGETPU)),$(call quoted,"$(EDGETPU)"),"$(EDGETPU)")
# Ansible needs absolute paths, and splits values at spaces like a shell.
quoted = "'$$($(PY) -c 'import os, sys; print(os.path.realpath(sys.argv[1]))' $(1))'"

rollback: $(DEPLOYER) ## go back to the previous bundle on HOST or HOSTS
	@$(playbook)

status: $(DEPLOYER) ## show what HOST or HOSTS run
	@$(playbook)

$(DEPLOYER): device/deploy/lock.txt | $(READY)
	@$(call environment,$(PY))
	@touch $@
