"""Every oracle of a night, in the order of the way of the data."""

from collections.abc import Callable

from ronghe.home import Home
from tests import oracles
from tests.oracles import (
    ecology,
    education,
    events,
    organisations,
    pipe_network,
    risk,
    road_traffic,
    service_request,
    transit_supply,
)

ORACLES: tuple[Callable[[Home], list[str]], ...] = (
    oracles.conservation_faults,
    oracles.fate_faults,
    oracles.twice_faults,
    organisations.linkage_faults,
    pipe_network.asset_faults,
    events.service_item_faults,
    events.request_faults,
    events.event_faults,
    oracles.passenger_flow_faults,
    oracles.social_security_faults,
    education.education_faults,
    service_request.service_request_faults,
    road_traffic.road_traffic_faults,
    transit_supply.transit_supply_faults,
    pipe_network.pipe_network_faults,
    ecology.ecology_faults,
    risk.risk_index_faults,
    oracles.disclosure_faults,
)


def night_faults(home: Home) -> list[str]:
    """Return what any oracle finds wrong after a night, with its name."""
    return [f"{oracle.__name__}: {fault}" for oracle in ORACLES for fault in oracle(home)]
