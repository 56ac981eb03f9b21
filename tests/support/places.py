"""Where the checkout and its build folder are."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("FIELDGUIDE_BUILD", "build")
