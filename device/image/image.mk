# The SD card: making an image with package and bundle, and writing it to a card.

##@ boards
# host name of the SD card's system
IMAGE_HOSTNAME ?= fieldguide
# its user
IMAGE_USER ?= pi
# the user's public key, or a file with one
SSH_KEY ?=
# name of its Wi-Fi network; empty: cable only
WIFI_SSID ?=
# password of that network
WIFI_PASSWORD ?=
# country code for the radio rules, such as DE
WIFI_COUNTRY ?=
# 1: the network hides its name
WIFI_HIDDEN ?=
# the web page's token
WEB_TOKEN ?=
# a stock Raspberry Pi OS to start from (.img or .img.xz);
# empty: Debian
BASE ?=
# the card's device, for `make flash`; disks that are not
# removable are refused
DISK ?=
# larger disks are refused, too
FLASH_LIMIT_GB ?= 256
# 1: write to DISK even if it would be refused
FORCE ?=
# Debian archive for images and boards; empty: apt's
DEBIAN_MIRROR ?=
# Debian's archive of security updates; empty: apt's
DEBIAN_SECURITY ?=

# As given: make would read a $ in them as the start of a variable.
override WIFI_SSID := $(value WIFI_SSID)
override WIFI_PASSWORD := $(value WIFI_PASSWORD)
override WEB_TOKEN := $(value WEB_TOKEN)
export IMAGE_HOSTNAME IMAGE_USER SSH_KEY WIFI_SSID WIFI_PASSWORD WIFI_COUNTRY WIFI_HIDDEN WEB_TOKEN
IMAGE = $(BUILD)/image/$(if $(BASE),raspios-fieldguide.img,fieldguide.img)

# Parts with the same content are reused; the rest takes seconds.
image: $(VARS)/identity $(PACKED) $(BUILD)/wheel/ready ## make an SD-card image: build/image/fieldguide.img
	@$(PY) -m device.image make --bundle $(BUNDLE) --wheel $(BUILD)/wheel \
	  --requirements device/locks/device.txt --out $(BUILD)/image $(if $(BASE),--base "$(BASE)") \
	  --mirror "$(DEBIAN_MIRROR)" --security-mirror "$(DEBIAN_SECURITY)"

ifneq ($(filter image test-image flash,$(MAKECMDGOALS)),)
$(if $(BASE),$(if $(wildcard $(BASE)),,$(error BASE=$(BASE): no such image)))
$(call whole_number,FLASH_LIMIT_GB)
endif
ifneq ($(filter flash,$(MAKECMDGOALS)),)
$(if $(DISK),,$(error name the card: DISK=/dev/sdX))
$(if $(wildcard $(DISK)),,$(error DISK=$(DISK): no such disk))
$(if $(wildcard $(IMAGE))$(filter image,$(MAKECMDGOALS)),,$(error $(IMAGE) is not there: make it with `make image`))
endif

# Named first, before any photo is read.
$(VARS)/identity: force | $(READY)
	@$(PY) -m device.image check

flash: $(READY) ## write the image to the card DISK=/dev/sdX and verify it
	@$(PY) -m device.image flash --image $(IMAGE) --disk "$(DISK)" \
	  --limit-gb $(FLASH_LIMIT_GB) $(if $(filter-out 0,$(FORCE)),--force)
