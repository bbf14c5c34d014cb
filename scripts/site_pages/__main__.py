"""`scripts/site`: makes the site, and looks through it for what a browser would fetch from elsewhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from site_faults import fetched_from_elsewhere, missing

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
SITE = ROOT / "dist" / "site"
PICTURES = Path("docs", "pictures")


def main() -> int:
    """Exit code 1 where there is anything to complain of."""
    shutil.rmtree(SITE, ignore_errors=True)
    cache = ROOT / "dist" / "site-cache"
    strictly = ["-W", "--keep-going", "-q", "-j", "auto"]
    command = [sys.executable, "-m", "sphinx", *strictly, "-c", HERE, "-d", cache, ROOT, SITE]
    made = subprocess.run(command, check=False)
    if made.returncode:
        return made.returncode
    shutil.copytree(ROOT / PICTURES, SITE / PICTURES)
    shutil.copyfile(SITE / "README.html", SITE / "index.html")
    complaints = [*fetched_from_elsewhere(SITE), *missing(SITE, ROOT / "docs")]
    for complaint in complaints:
        print(f"error: {complaint}", file=sys.stderr)
    if complaints:
        return 1
    print(SITE / "index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
