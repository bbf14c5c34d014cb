"""Where things lie in the checkout, wherever a test is."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
BENCHMARKS = ROOT / "scripts" / "benchmarks"
