"""From files to records as read: parsed once, staged as Parquet in bounded memory, written to raw by the engine."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ronghe.contracts import Feed
from ronghe.contracts.ddl import raw_column
from ronghe.ingest.deliveries import Delivery, Event
from ronghe.ingest.records import RejectedFile, open_records
from ronghe.ingest.unpack import PREFIX


@dataclass(frozen=True)
class Staged:
    """The outcome of reading deliveries: an event for each, and the Parquet file of each that could be read."""

    events: tuple[Event, ...]
    files: dict[str, Path]


def stage(
    feed: Feed, deliveries: Iterable[Delivery], landing: Path, folder: Path, known: dict[tuple[date, str], str]
) -> Staged:
    """Read deliveries one after the other into Parquet files of `folder`.

    Args:
        feed: the contract that says how to read.
        deliveries: what to read.
        landing: the landing zone the deliveries' paths are relative to.
        folder: where the Parquet files go; columns `delivery_id`, `record_number`, `defect` and the feed's, all text.
        known: path of content that was landed before, by business day and SHA-256; the same again is a duplicate.

    A file that cannot be taken as a whole is rejected with its reason; the others go on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{PREFIX}*"):
        shutil.rmtree(left)  # of a run that was killed while it read a packed file
    contents = dict(known)
    events, files = [], {}
    for delivery in deliveries:
        if earlier := contents.get((delivery.business_date, delivery.content_sha256)):
            reason = f"same content as {earlier}; nothing to do"
            events.append(Event(delivery, "duplicate", feed.version, reason=reason))
            continue
        target = folder / f"{delivery.delivery_id}.parquet"
        try:
            encoding, count = _write(feed, delivery, landing / delivery.path, target)
        except RejectedFile as error:
            target.unlink(missing_ok=True)
            events.append(Event(delivery, "rejected", feed.version, reason=f"{error.reason}: {error}"))
            continue
        contents[delivery.business_date, delivery.content_sha256] = delivery.path
        files[delivery.delivery_id] = target
        events.append(Event(delivery, "landed", feed.version, encoding, {"read": count}))
    return Staged(tuple(events), files)


def _write(feed: Feed, delivery: Delivery, source: Path, target: Path) -> tuple[str | None, int]:
    """Copy one file's records into Parquet; return the encoding found and the number of records."""
    stream = open_records(source, feed.reader, feed.column_names, feed.refuse, target.parent)
    names = ["delivery_id", "record_number", "defect", *(raw_column(name) for name in feed.column_names)]
    types = [pa.string(), pa.int64(), *(pa.string() for _ in names[2:])]
    schema = pa.schema(list(zip(names, types, strict=True)))
    count = 0
    with pq.ParquetWriter(target, schema, compression="zstd", compression_level=1) as writer:
        for batch in stream:
            ids = pa.repeat(pa.scalar(delivery.delivery_id), batch.num_rows)
            writer.write_table(pa.Table.from_arrays([ids, *batch.columns], schema=schema))
            count += batch.num_rows
    return stream.encoding, count
