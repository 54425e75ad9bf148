"""From records as read to canonical rows: one pass of native expressions compiled from the feed's contract.

parse -> normalise -> code -> check -> tokenise -> deduplicate. Every record gets exactly one fate: a row of std, a
line in quarantine with all its reasons, or a duplicate of a row that stands.
"""

from collections.abc import Mapping
from datetime import date
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from ronghe.contracts import Catalogue, ColumnMap, Feed, Table
from ronghe.contracts import Column as Canonical
from ronghe.contracts.checks import quoted
from ronghe.contracts.ddl import raw_column
from ronghe.contracts.rules import row_rules
from ronghe.contracts.source import PROVENANCE, UnitFactor
from ronghe.privacy.keyed_hash import key_frame
from ronghe.privacy.keys import KeyStore
from ronghe.standardise.coordinates import with_wgs84
from ronghe.standardise.instants import read_day, read_instant
from ronghe.standardise.normalisers import NORMALISERS
from ronghe.standardise.tokens import tokenise

# Prefix of a value's text before it is parsed, so that a fault can tell what was there from what was not.
_TEXT = "text__"


def judge(raw: DataFrame, deliveries: DataFrame, feed: Feed, catalogue: Catalogue) -> DataFrame:
    """Parse records and say what is wrong with each.

    Args:
        raw: the feed's raw table, any deliveries; all text.
        deliveries: `delivery_id`, `business_date` of the deliveries to take.
        feed: the feed's contract.
        catalogue: the declarations in force.

    Returns:
        One row per record: the target's canonical columns (tokens not made yet), `business_date`, `reasons` (array,
        empty for a right record) and `record` (a wrong record as JSON, null for a right one).
    """
    table = catalogue.table(feed.target)
    frame = raw.join(F.broadcast(deliveries), "delivery_id").withColumn("source_code", F.lit(feed.source_code))
    frame = _with_texts(frame, feed)
    frame = _with_codes(frame, feed, table, catalogue)
    frame = frame.withColumns({name: _typed(name, column, feed, table) for name, column in _filled(feed).items()})
    empty = {c.name: F.lit(None).cast(c.physical_type) for c in table.columns if c.name not in frame.columns}
    frame = frame.withColumns(empty) if empty else frame
    # Judged before positions move: half a position cannot be moved, and is not badly written.
    frame = frame.withColumn("reasons", _reasons(feed, table))
    # Of wrong records only: nobody reads those of right ones, and they cost more than all the rest.
    frame = frame.withColumn("record", F.when(F.size("reasons") > 0, as_read(feed)))
    if system := feed.coordinate_system:
        for longitude, latitude in _positions(table):
            frame = with_wgs84(frame, longitude, latitude, system)
    # A table may keep the business day for itself.
    kept = dict.fromkeys((*table.column_names, "business_date"))
    return frame.select(*kept, "reasons", "record")


def as_read(feed: Feed) -> Column:
    """Return a raw record as JSON."""
    return F.to_json(F.struct(*(quoted(raw_column(c.name)) for c in feed.columns)))


def _positions(table: Table) -> list[tuple[str, str]]:
    """Return the pairs of columns that hold positions: `longitude` and `latitude`, also with a prefix (`from_`)."""
    prefixes = [name.removesuffix("longitude") for name in table.column_names if name.endswith("longitude")]
    return [(f"{prefix}longitude", f"{prefix}latitude") for prefix in prefixes]


def _filled(feed: Feed) -> dict[str, ColumnMap | None]:
    """Return the canonical columns the feed fills: from a source column, or (none) from a constant or an expression."""
    filled: dict[str, ColumnMap | None] = dict.fromkeys(feed.constants)
    return filled | {str(column.to): column for column in feed.mapped} | dict.fromkeys(feed.computed)


def _with_texts(frame: DataFrame, feed: Feed) -> DataFrame:
    """Add each value as normalised text, null where the source says that there is none."""
    texts = {f"{_TEXT}{name}": F.lit(value) for name, value in feed.constants.items()}
    # Over raw columns only, so that an expression means the same whatever is made of them.
    texts |= {f"{_TEXT}{name}": F.expr(text).cast("string") for name, text in feed.computed.items()}
    for column in feed.mapped:
        text = F.col(quoted(raw_column(column.name)))
        value = reduce(lambda c, name: NORMALISERS[name](c), column.normalise, text)
        # A wide blank or a full-width token is seen as one only when normalised.
        missing = F.trim(text).isin(*feed.reader.null_tokens) | value.isin("", *feed.reader.null_tokens)
        texts[f"{_TEXT}{column.to}"] = F.when(~missing, value)
    return frame.withColumns(texts)


def _with_codes(frame: DataFrame, feed: Feed, table: Table, catalogue: Catalogue) -> DataFrame:
    """Join each coded column's text with the spellings of its code set, one small table each."""
    spark = frame.sparkSession
    for name in _filled(feed):
        codes = table.column(name).codes
        if codes is None:
            continue
        spellings = spark.createDataFrame(list(catalogue.codeset(codes).spellings()), "spelling STRING, code STRING")
        spellings = spellings.select(F.col("spelling").alias(f"{_TEXT}{name}"), F.col("code").alias(f"code__{name}"))
        frame = frame.join(F.broadcast(spellings), f"{_TEXT}{name}", "left")
    return frame


def _typed(name: str, column: ColumnMap | None, feed: Feed, table: Table) -> Column:
    """Return a value in its canonical type, null where it cannot be read as one."""
    target = table.column(name)
    text = F.col(f"{_TEXT}{name}")
    if target.codes:
        return F.col(f"code__{name}")
    if target.logical_type in ("date", "timestamp"):
        read = read_day if target.logical_type == "date" else read_instant
        return read(text, column.format if column else None, feed.timezone)
    if target.logical_type == "string":
        return text
    return _number(text, target, _factor(column))


def _factor(column: ColumnMap | None) -> Column | None:
    """Return what a number is multiplied by, null where the record's unit is not a declared one; none for nothing."""
    if column is None or column.factor is None:
        return None
    if not isinstance(column.factor, UnitFactor):
        return _exact(column.factor)
    unit = F.trim(F.col(quoted(raw_column(column.factor.by))))
    return F.coalesce(*(F.when(unit == name, _exact(factor)) for name, factor in column.factor.of.items()))


def _exact(factor: float) -> Column:
    return F.lit(factor).cast("DECIMAL(12,4)")


def _number(text: Column, target: Canonical, factor: Column | None) -> Column:
    """Return a number, a whole number or a truth value; a factor is applied before rounding to the column's scale."""
    if factor is None:
        return text.try_cast(target.physical_type)
    return (text.try_cast("DECIMAL(24,6)") * factor).try_cast(target.physical_type)


def _reasons(feed: Feed, table: Table) -> Column:
    """Return every reason against a record; a record that could not be read whole has that one reason."""
    faults = [_unparsed(name, column, table.column(name)) for name, column in _filled(feed).items()]
    faults += [_breach(rule.reason, rule.predicate) for rule in row_rules(table, feed.timezone)]
    found = F.array_compact(F.array(*faults))
    return F.when(F.col("defect").isNotNull(), F.array(F.col("defect"))).otherwise(found)


def _unparsed(name: str, column: ColumnMap | None, target: Canonical) -> Column:
    """Return the reason against a value that is there and could not be read; a missing one is another rule's."""
    reason = F.lit(f"{'code' if target.codes else 'format'}:{name}")
    if column is not None and isinstance(column.factor, UnitFactor):
        # A number that is well written and has no declared unit is the unit's fault.
        unknown = F.col(f"{_TEXT}{name}").try_cast("DECIMAL(24,6)").isNotNull()
        reason = F.when(unknown, F.lit(f"unit:{name}")).otherwise(reason)
    return F.when(F.col(f"{_TEXT}{name}").isNotNull() & F.col(name).isNull(), reason)


def _breach(reason: str, predicate: str) -> Column:
    """Return the reason where a rule is broken. `required` is silent where the value was there but unreadable."""
    rule, _, name = reason.partition(":")
    broken = ~F.coalesce(F.expr(predicate), F.lit(True))
    if rule == "required":
        text = f"{_TEXT}{name}"
        # Columns nothing fills have no text; the catalogue refuses those that are required.
        broken = broken & F.expr(f"{quoted(text)} IS NULL") if name not in PROVENANCE else broken
    return F.when(broken, F.lit(reason))


def with_tokens(
    right: DataFrame, feed: Feed, table: Table, keys: KeyStore, keyless_until: date | None = None
) -> DataFrame:
    """Replace identifiers by keyed tokens, as the table's contract declares.

    A card's key is the random key of its service day. A record later than the feed's lateness window, or of a day whose
    key was destroyed, gets a key of its day and delivery: it changes counts, and pairs with nothing delivered in time
    (guard rail 3).

    Args:
        right: rows without reasons, with identifiers.
        feed: the feed's contract.
        table: the target's contract.
        keys: where token keys are kept.
        keyless_until: last service day whose key was destroyed.
    """
    frame = right
    for column in table.columns:
        if column.tokenise is None:
            continue
        if column.tokenise.key == "purpose":
            frame = frame.withColumn("key_id", F.lit(f"purpose_{column.tokenise.purpose}"))
        else:
            frame = frame.withColumn(
                "key_id", _day_key(str(column.tokenise.day_column), feed.lateness_days, keyless_until)
            )
        key_ids = [row["key_id"] for row in frame.select("key_id").distinct().collect()]
        known = key_frame(frame.sparkSession, keys.ensure(key_ids))
        frame = tokenise(frame, column.name, "key_id", known, column.name).drop("key_id")
    return frame


def of_open_key_days(table: Table, keyless_until: date) -> Column:
    """Say of a row whether the keys of its service days are there still.

    Args:
        table: the contract of the row's table.
        keyless_until: last service day whose key was destroyed.
    """
    days = (c.tokenise.day_column for c in table.tokenised if c.tokenise and c.tokenise.key == "service_day")
    return reduce(Column.__and__, (F.col(str(day)) > F.lit(keyless_until) for day in days), F.lit(True))


def _day_key(day_column: str, lateness_days: int, keyless_until: date | None) -> Column:
    day = F.date_format(day_column, "yyyy-MM-dd")
    late = F.concat(F.lit("late_"), day, F.lit("_"), F.col("delivery_id"))
    in_time = F.date_diff("business_date", day_column) <= lateness_days
    if keyless_until is not None:
        in_time &= F.col(day_column) > F.lit(keyless_until)
    return F.when(in_time, F.concat(F.lit("day_"), day)).otherwise(late)


def with_other_side(right: DataFrame, present: DataFrame | None, table: Table) -> DataFrame:
    """Say of each right row which row of its business day contradicts it: equal key, other content.

    Rows of one day have no order in which one could correct the other, so neither is believed.

    Args:
        right: rows without reasons, with `business_date`, `delivery_id`, `record_number`.
        present: the table's rows of accepted deliveries of these days, with `business_date`, or none.
        table: the table's contract.

    Returns:
        The rows with `other_delivery_id` and `other_record_number`, null where nothing contradicts.
    """
    key = [*table.primary_key, *({"business_date"} - set(table.primary_key))]
    day = Window.partitionBy(*key)
    frame = right.withColumn("own", _side(table))
    frame = frame.withColumns({"low": F.min("own").over(day), "high": F.max("own").over(day)})
    sides = ["low", "high"]
    if present is not None:
        there = present.select(*(F.col(name).alias(f"there_{name}") for name in key), _side(table).alias("there"))
        same = reduce(lambda a, b: a & b, (F.col(name).eqNullSafe(F.col(f"there_{name}")) for name in key))
        frame, sides = frame.join(there, same, "left"), ["there", *sides]
    # A side that is not there has no content; a row's own content is never null.
    other = F.coalesce(*(F.when(F.col(side)["content"] != F.col("own")["content"], F.col(side)) for side in sides))
    named = {f"other_{name}": other[name] for name in ("delivery_id", "record_number")}
    return frame.withColumns(named).select(*right.columns, *named)


def _side(table: Table) -> Column:
    """Return what a row says beside its key, as the table would hold it, and where it stands in its delivery.

    Where a row came from is no content, nor is a token under the key of a day: a late one depends on the delivery.
    """
    content = [
        F.col(quoted(c.name)).cast(c.physical_type).alias(c.name)
        for c in table.columns
        if c.name not in {*table.primary_key, *PROVENANCE} and (c.tokenise is None or c.tokenise.key == "purpose")
    ]
    return F.struct(F.struct(F.lit(0), *content).alias("content"), "delivery_id", "record_number")


def with_standing(
    right: DataFrame, present: DataFrame | None, key: tuple[str, ...], believed: Column | None = None
) -> DataFrame:
    """Say of each right row which row stands for its key.

    Args:
        right: rows without reasons, with `business_date`, `delivery_id`, `record_number`.
        present: the table's rows of accepted deliveries, or none where there are none.
        key: the table's primary key; nulls count as equal.
        believed: which rows can stand, none for all; what is said of the others means nothing.

    Returns:
        The rows with `kept_delivery_id` and `kept_record_number`: their own where they stand. A row that was there
        before stands; among new ones the earliest business day, delivery and position.
    """
    first = [] if believed is None else [believed.desc()]
    order = Window.partitionBy(*key).orderBy(*first, "business_date", "delivery_id", "record_number")
    frame = right.withColumns({f"first_{name}": F.first(name).over(order) for name in ("delivery_id", "record_number")})
    kept: Mapping[str, Column] = {f"kept_{name}": F.col(f"first_{name}") for name in ("delivery_id", "record_number")}
    if present is not None:
        standing = present.select(
            *(F.col(k).alias(f"present_{k}") for k in key),
            F.col("delivery_id").alias("present_delivery"),
            F.col("record_number").alias("present_record"),
        )
        same = reduce(lambda a, b: a & b, (F.col(k).eqNullSafe(F.col(f"present_{k}")) for k in key))
        frame = frame.join(standing, same, "left")
        kept = {
            "kept_delivery_id": F.coalesce("present_delivery", "first_delivery_id"),
            "kept_record_number": F.coalesce("present_record", "first_record_number"),
        }
    return frame.withColumns(dict(kept))


def stands() -> Column:
    """Return whether a row stands for its key itself."""
    return (F.col("kept_delivery_id") == F.col("delivery_id")) & (F.col("kept_record_number") == F.col("record_number"))
