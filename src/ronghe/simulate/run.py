"""The one entry point: make all feeds for a window of days, then write down the truth."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from ronghe.simulate.delivery import Window
from ronghe.simulate.enterprises import write_enterprises
from ronghe.simulate.environment import write_air_quality, write_water_quality
from ronghe.simulate.host_scans import write_host_scans
from ronghe.simulate.incidents import write_incidents
from ronghe.simulate.network_events import write_network_events
from ronghe.simulate.permits import write_permits
from ronghe.simulate.pipe_assets import write_pipe_assets
from ronghe.simulate.pipe_incidents import write_pipe_incidents
from ronghe.simulate.public_places import write_pois, write_service_offices
from ronghe.simulate.regions import write_risk_truth
from ronghe.simulate.road_counts import write_road_counts
from ronghe.simulate.schools import write_schools
from ronghe.simulate.security_surveys import write_security_surveys
from ronghe.simulate.service_items import write_service_items
from ronghe.simulate.service_requests import write_service_requests
from ronghe.simulate.social_security import write_social_security
from ronghe.simulate.stations import PLACES
from ronghe.simulate.swipes import write_swipes
from ronghe.simulate.threat_reports import write_threat_reports
from ronghe.simulate.timetables import write_timetables
from ronghe.simulate.truth import SimulationSummary, TruthLog
from ronghe.simulate.vulnerabilities import write_exploit_predictions, write_known_exploited

# Registers come before the others: the truth about an organisation is the register's where it has any.
WRITERS: tuple[Callable[[Window, TruthLog], None], ...] = (
    write_swipes,
    write_enterprises,
    write_permits,
    write_schools,
    write_social_security,
    write_pipe_assets,
    write_pipe_incidents,
    write_network_events,
    write_known_exploited,
    write_exploit_predictions,
    write_host_scans,
    write_security_surveys,
    write_threat_reports,
    write_risk_truth,
    write_pois,
    write_service_offices,
    write_timetables,
    write_road_counts,
    write_service_items,
    write_service_requests,
    write_incidents,
    write_air_quality,
    write_water_quality,
)


def simulate(
    landing: Path,
    truth: Path,
    *,
    upstream: Path | None = None,
    scale: float = 1.0,
    seed: int = 20261123,
    days: int = 28,
    last_day: date = date(2026, 11, 22),
) -> SimulationSummary:
    """Write a file per feed and day, or week, below `landing`, and what is true of them below `truth`.

    The same arguments give the same bytes. Files of an earlier run with the same names are replaced; others stay.

    Args:
        landing: folder of the deliveries, `<source>/<feed>/<business date>/<file>`.
        truth: folder of the truth (deliveries, defects, identifiers, organisations, places, summary).
        upstream: folder of the sources' own systems, which are asked (a database, what an API serves); by default
            `upstream` beside the truth.
        scale: 1 gives about 430,000 swipes, 100,000 network events, 80,000 scanned hosts, 60,000 contributions, 32,000
            pipe segments, 10,000 registrations, 6,000 schools and 6,000 pipe incidents in 28 days.
        seed: any number from 0; every feed draws from streams of its own below it.
        days: number of days. Events, weekly snapshots and defects grow with it; the stock of a register does not.
        last_day: business date of the last day.

    Returns:
        What was written, by feed.

    Raises:
        ValueError: scale or days is not positive, or the seed is negative.
    """
    if scale <= 0 or days < 1 or seed < 0:
        raise ValueError(f"need scale > 0, days >= 1, seed >= 0; got {scale}, {days}, {seed}")
    first_day = last_day - timedelta(days=days - 1)
    window = Window(
        landing=landing,
        upstream=upstream or truth.parent / "upstream",
        days=tuple(first_day + timedelta(days=offset) for offset in range(days)),
        scale=scale,
        seed=seed,
    )
    log = TruthLog()
    for write in WRITERS:
        write(window, log)
    for place in PLACES:
        log.add_place("shenzhen", place.name, place.codes, place.kind, place.longitude, place.latitude)
    summary = log.summary(seed=seed, scale=scale, days=window.days)
    log.write(truth, summary)
    return summary
