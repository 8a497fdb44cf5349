"""Wall time and energy of a run, estimated by CodeCarbon's offline tracker."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def measure(country_iso_code: str | None = None) -> Iterator[dict[str, Any]]:
    """Measure the wall time of a block and estimate its energy; what is yielded holds both once the block ends.

    CodeCarbon reads hardware counters where it may and otherwise estimates from the processor's rated power. Emissions depend on where
    the machine stands, so they are kept only when the country is given. A run that was resumed is not measured: this sees only its end.
    """
    logging.getLogger("codecarbon").setLevel(logging.CRITICAL)  # it speaks before it reads its own log_level
    from codecarbon import OfflineEmissionsTracker

    tracker = OfflineEmissionsTracker(
        country_iso_code=country_iso_code or "USA",  # the tracker insists; emissions are dropped below if unknown
        measure_power_secs=15,
        save_to_file=False,
        log_level="critical",
    )
    found: dict[str, Any] = {}
    began = time.perf_counter()
    tracker.start()
    try:
        yield found
    finally:
        tracker.stop()
    data = tracker.final_emissions_data
    found |= {
        "duration_seconds": round(time.perf_counter() - began, 1),
        "energy_kwh": float(data.energy_consumed),
        "emissions_kg": float(data.emissions) if country_iso_code else None,
        "country_iso_code": country_iso_code,
        "method": f"CodeCarbon {data.codecarbon_version}, offline tracker, {data.tracking_mode} mode",
        "cpu": data.cpu_model,
        "gpu": data.gpu_model or None,
    }
