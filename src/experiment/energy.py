"""Wall time and energy of a run, estimated by CodeCarbon's offline tracker, also across interruptions."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.record.files import write_json


@dataclass
class Span:
    """The steps that one process of a run has done: from `start` to `end`, the end kept up to date by the run."""

    start: int
    end: int


@contextmanager
def track(ledger: Path, start: int, country_iso_code: str | None = None) -> Iterator[Span]:
    """Measure the wall time of a block, estimate its energy, and append both to a ledger.

    CodeCarbon reads hardware counters where it may and otherwise estimates from the processor's rated power.
    Emissions depend on where the machine stands, so they are kept only when the country is given.

    Yields:
        The span of steps; the block sets its `end`.
    """
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # it speaks before it reads its own log_level
    from codecarbon import OfflineEmissionsTracker

    tracker = OfflineEmissionsTracker(
        country_iso_code=country_iso_code or "USA",  # the tracker insists; emissions are dropped below if unknown
        measure_power_secs=15,
        save_to_file=False,
        log_level="critical",
    )
    span = Span(start, start)
    began = time.perf_counter()
    tracker.start()
    try:
        yield span
    finally:
        tracker.stop()
        data = tracker.final_emissions_data
        entries = json.loads(ledger.read_text(encoding="utf-8")) if ledger.exists() else []
        entries.append(
            {
                "from_step": span.start,
                "to_step": span.end,
                "duration_seconds": round(time.perf_counter() - began, 1),
                "energy_kwh": float(data.energy_consumed),
                "emissions_kg": float(data.emissions) if country_iso_code else None,
                "country_iso_code": country_iso_code,
                "method": f"CodeCarbon {data.codecarbon_version}, offline tracker, {data.tracking_mode} mode",
                "cpu": data.cpu_model,
                "gpu": data.gpu_model or None,
            }
        )
        write_json(ledger, entries)


def total(ledger: Path, steps: int) -> dict[str, Any]:
    """Sum a ledger up.

    Returns:
        `duration_seconds`, `energy_kwh`, `emissions_kg` (CO2 equivalent; None when no country was given),
        `country_iso_code`, `method`, `cpu`, `gpu` and `steps_measured`, which is less than `steps` when a
        process of the run was killed before it could write what it had used.
    """
    entries = json.loads(ledger.read_text(encoding="utf-8"))
    last = entries[-1]
    covered = {step for e in entries for step in range(e["from_step"], e["to_step"])}
    known = [e["emissions_kg"] for e in entries if e["emissions_kg"] is not None]
    return {
        "duration_seconds": round(sum(e["duration_seconds"] for e in entries), 1),
        "energy_kwh": sum(e["energy_kwh"] for e in entries),
        "emissions_kg": sum(known) if len(known) == len(entries) else None,
        "country_iso_code": last["country_iso_code"],
        "method": last["method"],
        "cpu": last["cpu"],
        "gpu": last["gpu"],
        "steps": steps,
        "steps_measured": len(covered),
    }
