"""Days and instants from text: by a pattern in the feed's zone, by a pattern with an offset, or since 1970."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from ronghe.contracts.patterns import EPOCHS, reads_an_offset

# Type of the number and microseconds in one, by format. Ten digits of seconds reach from 1653 to 2286.
_NUMBERS = dict(zip(EPOCHS, (("DECIMAL(16,6)", 1_000_000), ("DECIMAL(16,3)", 1_000)), strict=True))
# A letter, or a sign and a digit, behind the time of day.
_SAYS_ITS_OFFSET = r":[0-9.]+ ?(?:[A-Za-z]|[+-][0-9])"


def read_instant(text: Column, pattern: str | None, timezone: str) -> Column:
    """Return the instant that text means, null where it means none.

    Args:
        text: the value.
        pattern: a Spark datetime pattern, `epoch_seconds` or `epoch_millis`; none reads ISO 8601.
        timezone: the clock of text that does not say its offset.
    """
    if pattern in _NUMBERS:
        return _since_1970(text, pattern)
    if pattern is None:
        parsed = F.try_to_timestamp(text)
        return F.when(text.rlike(_SAYS_ITS_OFFSET), parsed).otherwise(F.to_utc_timestamp(parsed, timezone))
    parsed = F.try_to_timestamp(text, F.lit(pattern))
    return parsed if reads_an_offset(pattern) else F.to_utc_timestamp(parsed, timezone)


def read_day(text: Column, pattern: str | None, timezone: str) -> Column:
    """Return the day that text means, null where it means none; arguments as for `read_instant`.

    A day has no clock: only where the text means an instant, the day is that of the zone at the instant.
    """
    if pattern is not None and reads_an_offset(pattern):
        return F.from_utc_timestamp(read_instant(text, pattern, timezone), timezone).cast("date")
    return F.try_to_timestamp(text, F.lit(pattern or "yyyy-MM-dd")).cast("date")


def _since_1970(text: Column, pattern: str) -> Column:
    number, microseconds = _NUMBERS[pattern]
    return F.timestamp_micros((text.try_cast(number) * microseconds).cast("bigint"))
