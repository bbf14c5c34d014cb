"""Which devices compute, and why: the policy, without a driver or a file in sight.

CUDA before ROCm before Metal before Vulkan, among the packs in the file; all discrete devices of the first that has
one. Integrated and software devices are taken only by those who name them: the processor is often the faster one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import get_args

import msgspec

from runtime.backends.devices import TITLES, Device, Kind, Report
from runtime.bundle import Backend
from runtime.engine.placement import Verdict
from runtime.errors import LoafError
from runtime.settings import GpuSettings

_BY_PREFERENCE: tuple[Backend, ...] = get_args(Backend)
_KINDS_CHOSEN = ("discrete", "virtual")
_RANKS = {"discrete": 0, "virtual": 1, "integrated": 2, "software": 3}


_LIKE_THE_PROCESSOR: dict[Kind, str] = {
    "software": "a software device, which is slower",
    "integrated": "an integrated device, which shares the processor's memory",
    "discrete": "which is not in GGML_VK_VISIBLE_DEVICES",
    "virtual": "which is not in GGML_VK_VISIBLE_DEVICES",
}


class Choice(msgspec.Struct, frozen=True):
    """The devices that compute, all of one backend; none: the processor, for the reason that the sentence gives.

    `verdicts` has one for each backend that there is a report on, the preferred one first.
    """

    devices: tuple[Device, ...] = ()
    sentence: str = ""
    verdicts: tuple[Verdict, ...] = ()


class GpuUnavailable(LoafError):
    """What was asked for with `flag` cannot be had."""

    def __init__(self, flag: str, problem: str, hint: str) -> None:
        super().__init__(f"{flag}: {problem}", hint)
        self.flag = flag


def choose(wanted: GpuSettings, visible: tuple[int, ...] | None, reports: Sequence[Report]) -> Choice:
    """Of `reports`, one for each pack in the file, the devices that compute.

    `visible` are the numbers that GGML_VK_VISIBLE_DEVICES gives: whoever sets it has named Vulkan's devices.
    Raises `GpuUnavailable` where a flag names what is not there.
    """
    if wanted.backend == "disable" or wanted.devices == ("none",) or wanted.n_layers == 0:
        return Choice(sentence="Computing on the processor, as it was asked for")
    ordered = sorted(reports, key=lambda report: _BY_PREFERENCE.index(report.backend))
    if wanted.devices is not None:
        return _choice(_named(wanted.devices, ordered), ordered, "--device names others")
    if wanted.backend != "auto":
        return _choice(_best_of(wanted.backend, visible, ordered), ordered, f"--gpu names {TITLES[wanted.backend]}")
    for report in ordered:
        if taken := _taken_by_itself(report, visible):
            return _choice(taken, ordered, f"{TITLES[report.backend]} comes before it")
    return _choice((), ordered, "")


def _choice(taken: tuple[Device, ...], reports: Sequence[Report], why_not_others: str) -> Choice:
    """`taken` compute, for which `why_not_others` is the reason of backends that could have computed, too."""
    verdicts = []
    for report in reports:
        if taken and report.backend == taken[0].backend:
            named = " and ".join(f"{device.label} ({device.name}, {device.total / 1e9:.1f} GB)" for device in taken)
            verdicts.append(Verdict(TITLES[report.backend], True, f"computing on {named}"))
        else:
            reason = why_not_others if taken and report.devices else why_not(report)
            verdicts.append(Verdict(TITLES[report.backend], False, reason))
    if taken:
        return Choice(taken, "", tuple(verdicts))
    reasons = "; ".join(f"{verdict.backend}: {verdict.reason}" for verdict in verdicts)
    return Choice((), f"Computing on the processor: {reasons}", tuple(verdicts))


def _taken_by_itself(report: Report, visible: tuple[int, ...] | None) -> tuple[Device, ...]:
    if report.backend == "vulkan" and visible is not None:
        return _visible(report.devices, visible)
    return _each_once(device for device in report.devices if device.kind in _KINDS_CHOSEN)


def _best_of(backend: Backend, visible: tuple[int, ...] | None, reports: Sequence[Report]) -> tuple[Device, ...]:
    """All devices of `backend` that are of its best kind."""
    flag = f"--gpu {backend}"
    report = next((report for report in reports if report.backend == backend), None)
    if report is None:
        packs = ", ".join(report.backend for report in reports) or "none"
        raise GpuUnavailable(
            flag, f"this file has no {TITLES[backend]} pack (it has: {packs})", f"Build it with --backend {backend}."
        )
    devices = report.devices if visible is None or backend != "vulkan" else _visible(report.devices, visible)
    if not devices:
        raise GpuUnavailable(flag, _named_reason(report), "Without the flag, the processor computes.")
    best = min(_RANKS[device.kind] for device in devices)
    return _each_once(device for device in devices if _RANKS[device.kind] == best)


def _each_once(devices: Iterable[Device]) -> tuple[Device, ...]:
    """Without those that another driver has listed before: a model split over one device twice would not fit it."""
    kept: dict[str, Device] = {}
    for device in devices:
        kept.setdefault(device.identity or device.label, device)
    return tuple(kept.values())


def _visible(devices: Sequence[Device], numbers: tuple[int, ...]) -> tuple[Device, ...]:
    by_number = {device.number: device for device in devices}
    return tuple(by_number[number] for number in dict.fromkeys(numbers) if number in by_number)


def _named(labels: tuple[str, ...], reports: Sequence[Report]) -> tuple[Device, ...]:
    by_label = {device.label.lower(): device for report in reports for device in report.devices}
    unknown = [label for label in labels if label.lower() not in by_label]
    if unknown:
        there = ", ".join(device.label for device in by_label.values()) or "; ".join(map(_named_reason, reports))
        raise GpuUnavailable(
            "--device", f"there is no {unknown[0]} (there is: {there or 'no pack in this file'})", "See --list-devices."
        )
    devices = tuple(dict.fromkeys(by_label[label.lower()] for label in labels))
    if len({device.backend for device in devices}) > 1:
        raise GpuUnavailable("--device", "devices of two backends cannot compute together", "Name those of one.")
    return devices


def _named_reason(report: Report) -> str:
    return f"{TITLES[report.backend]}: {why_not(report)}"


def why_not(report: Report) -> str:
    """A clause: why none of its devices is taken by itself."""
    if report.problem:
        return report.problem
    if not report.devices:
        return "its driver lists no device"
    first = report.devices[0]
    return f"there is only {first.name}, {_LIKE_THE_PROCESSOR[first.kind]} (--device {first.label} takes it)"
