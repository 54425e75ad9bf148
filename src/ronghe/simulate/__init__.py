"""Made-up deliveries of three cities, true to form, with the truth about every defect in them.

Usage: ``simulate(Path("data/landing"), Path("data/truth"), scale=0.1)``. No job reads the truth; tests do.
"""

from ronghe.simulate.run import simulate
from ronghe.simulate.truth import FeedCounts, SimulationSummary

__all__ = ["FeedCounts", "SimulationSummary", "simulate"]
