"""`scripts/ray`: Ray in an environment of its own, at the pinned version, and the trial in it."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from pathlib import Path

import click

from bundler.freeze.packages import new_environment, pip
from bundler.freeze.pins import pins
from bundler.store.cache import cached, key_of, log_file

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
_BYTES = 1_000_000_000


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path), default=ROOT / "dist" / "demo.loaf")
def ray(file: Path) -> None:
    """Serve FILE, a bundle [dist/demo.loaf], with Ray Serve, and see what becomes of conversations.

    Exits with 1 where something did not hold. It takes two minutes, and some more the first time.
    """
    packages = (*pins("ray"), *(pin for pin in pins("test") if pin.startswith("openai==")))

    def make(folder: Path) -> None:
        log = log_file("ray")
        python = new_environment(folder, log)
        pip(python, ["install", *packages], step="installing Ray", wanted="Ray", log=log)

    installed = cached("ray", key_of(packages=" ".join(packages), python=sys.version), make, needs=_BYTES)
    environment = {
        "PYTHONPATH": str(ROOT / "templates" / "deploy"),  # Ray's processes import from there, too
        "RAY_AUTH_TOKEN": secrets.token_hex(32),  # else one is written into the home
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    command = [installed / "bin" / "python", HERE / "trial.py", file.resolve()]
    done = subprocess.run(command, env=os.environ | environment)
    sys.exit(done.returncode)


if __name__ == "__main__":
    ray(prog_name="scripts/ray")
