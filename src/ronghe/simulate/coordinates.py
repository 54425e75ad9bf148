"""From WGS-84 to GCJ-02 and BD-09, the shifted coordinates Chinese maps use, by the published formulas.

Constants and series are those of the widely reproduced "eviltransform"; the axes are the Krasovsky 1940 ellipsoid's.
"""

from math import atan2, cos, hypot, pi, radians, sin, sqrt

_SEMI_MAJOR_AXIS = 6378245.0
_ECCENTRICITY_SQUARED = 0.00669342162296594323


def to_gcj02(longitude: float, latitude: float) -> tuple[float, float]:
    """Return the shifted longitude and latitude of a place inside mainland China."""
    x, y = longitude - 105.0, latitude - 35.0
    ripple = (20.0 * sin(6.0 * x * pi) + 20.0 * sin(2.0 * x * pi)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x)) + ripple
    east += (20.0 * sin(x * pi) + 40.0 * sin(x / 3.0 * pi)) * 2.0 / 3.0
    east += (150.0 * sin(x / 12.0 * pi) + 300.0 * sin(x / 30.0 * pi)) * 2.0 / 3.0
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x)) + ripple
    north += (20.0 * sin(y * pi) + 40.0 * sin(y / 3.0 * pi)) * 2.0 / 3.0
    north += (160.0 * sin(y / 12.0 * pi) + 320.0 * sin(y * pi / 30.0)) * 2.0 / 3.0
    phi = radians(latitude)
    bulge = 1.0 - _ECCENTRICITY_SQUARED * sin(phi) ** 2
    meridian = _SEMI_MAJOR_AXIS * (1.0 - _ECCENTRICITY_SQUARED) / (bulge * sqrt(bulge))
    parallel = _SEMI_MAJOR_AXIS / sqrt(bulge) * cos(phi)
    return longitude + east / radians(1.0) / parallel, latitude + north / radians(1.0) / meridian


def to_bd09(longitude: float, latitude: float) -> tuple[float, float]:
    """Return the twice shifted longitude and latitude of a place inside mainland China."""
    x, y = to_gcj02(longitude, latitude)
    radius = hypot(x, y) + 0.00002 * sin(y * pi * 3000.0 / 180.0)
    angle = atan2(y, x) + 0.000003 * cos(x * pi * 3000.0 / 180.0)
    return radius * cos(angle) + 0.0065, radius * sin(angle) + 0.006
