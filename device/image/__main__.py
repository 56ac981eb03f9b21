"""Command line of the images: make one, customise a stock one, write one to a card."""

import device.interrupt  # noqa: F401

import argparse
import os
import sys
from pathlib import Path

from device import console
from device.image import build, customise, flash
from device.image.identity import from_environment
from device.image.tools import archive_of_apt

EXAMPLES = """Host name, user, keys and Wi-Fi come from the environment: IMAGE_HOSTNAME, IMAGE_USER,
SSH_KEY, WIFI_SSID, WIFI_PASSWORD, WIFI_COUNTRY, WIFI_HIDDEN, WEB_TOKEN. See `make help`.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    return console.run(_parser(), arguments)


def check_identity(options: argparse.Namespace) -> int:
    """Refuse settings of an image before the time is spent that its bundle takes."""
    from_environment(os.environ)
    return 0


def make_image(options: argparse.Namespace) -> int:
    """Make an image, or customise a stock one."""
    identity = from_environment(os.environ)
    config = build.ImageConfig(
        bundle=options.bundle,
        wheel=options.wheel,
        requirements=options.requirements,
        out=options.out,
        mirror=options.mirror or archive_of_apt("debian"),
        security_mirror=options.security_mirror or archive_of_apt("debian-security"),
    )
    parts = build.make_parts(config)
    if options.base:
        image = customise.customise(options.base, parts, options.out, identity)
    else:
        image = build.make_image(config.out, parts, identity)
    login = f"ssh {identity.user}@ADDRESS" if identity.ssh_key else "nobody"
    console.say(f"image        {image} ({image.stat().st_size / 1e9:.1f} GB)")
    print(f"logs in      {login}{'' if identity.ssh_key else ': no SSH_KEY was given'}")
    base = f" BASE={options.base}" if options.base else ""
    console.say(f"write it     sudo make flash DISK=/dev/sdX{base}")
    return 0


def write_card(options: argparse.Namespace) -> int:
    """Write an image to a card and compare."""
    flash.flash(
        options.image, options.disk, limit_bytes=options.limit_gb * 10**9, force=options.force
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = console.parser(
        "python -m device.image",
        "Make SD-card images for a Raspberry Pi, and write them.",
        EXAMPLES,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("make", help="make fieldguide.img")
    command.add_argument("--bundle", type=Path, required=True, help="bundle.tar")
    command.add_argument("--wheel", type=Path, required=True, help="folder with the device wheel")
    command.add_argument("--requirements", type=Path, required=True, help="the wheels' lock file")
    command.add_argument("--out", type=Path, required=True, help="output folder")
    command.add_argument("--mirror", default="", help="Debian mirror; default: that of apt here")
    command.add_argument(
        "--security-mirror", default="", help="mirror of Debian's security updates"
    )
    command.add_argument("--base", type=Path, help="stock Raspberry Pi OS, .img or .img.xz")
    command.set_defaults(command=make_image)

    command = commands.add_parser("check", help="check the settings of the environment")
    command.set_defaults(command=check_identity)

    command = commands.add_parser("flash", help="write an image to a card and compare")
    command.add_argument("--image", type=Path, required=True)
    command.add_argument("--disk", default="", help="the card's device, a whole disk")
    command.add_argument("--limit-gb", type=int, required=True, help="refuse larger disks")
    command.add_argument("--force", action="store_true", help="also a disk that is not removable")
    command.set_defaults(command=write_card)
    return parser


if __name__ == "__main__":
    sys.exit(main())
