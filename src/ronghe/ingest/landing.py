"""From files to records as read: parsed once, staged as Parquet in bounded memory, written to raw by the engine."""

import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ronghe.contracts import Feed
from ronghe.contracts.ddl import raw_column
from ronghe.ingest.deliveries import Delivery, Event
from ronghe.ingest.records import RejectedFile, listed, open_records


@dataclass(frozen=True)
class Staged:
    """The outcome of reading deliveries: an event for each, and the Parquet file of each that could be read."""

    events: tuple[Event, ...]
    files: dict[str, Path]


def stage(
    feed: Feed,
    deliveries: Iterable[Delivery],
    landing: Path,
    folder: Path,
    known: Mapping[tuple[date, str], str],
    newest: Mapping[str, str],
) -> Staged:
    """Read deliveries one after the other into Parquet files of `folder`.

    Args:
        feed: the contract that says how to read.
        deliveries: what to read.
        landing: the landing zone the deliveries' paths are relative to.
        folder: where the Parquet files go, and nothing else, for it is emptied first; columns `delivery_id`,
            `record_number`, `defect` and the feed's, all text.
        known: path of content that was landed before, by business day and SHA-256; the same again is a duplicate.
        newest: id of the delivery that was landed last, by path; other content under its path restates it.

    A file that cannot be taken as a whole is rejected with its reason; the others go on. One that its source wrote to
    since it was found has no event and is found again by the next run.
    """
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)  # of a run that was killed
    folder.mkdir(parents=True)
    contents = dict(known)
    events, files = [], {}
    for delivery in deliveries:
        earlier = contents.get((delivery.business_date, delivery.content_sha256))
        # What restates a delivery is taken in even then: its name no longer means what was taken under it.
        if earlier and delivery.path not in newest:
            reason = f"same content as {earlier}; nothing to do"
            events.append(Event(delivery, "duplicate", feed.version, reason=reason))
            continue
        target = folder / f"{delivery.delivery_id}.parquet"
        try:
            encoding, count, missing = _write(feed, delivery, landing / delivery.path, target)
        except RejectedFile as error:
            target.unlink(missing_ok=True)
            if _is_as_found(landing, delivery):
                events.append(Event(delivery, "rejected", feed.version, reason=f"{error.reason}: {error}"))
            continue
        if not _is_as_found(landing, delivery):
            target.unlink()
            continue
        contents[delivery.business_date, delivery.content_sha256] = delivery.path
        files[delivery.delivery_id] = target
        notes = [f"restates delivery {newest[delivery.path]} of the same name"] if delivery.path in newest else []
        notes += [f"no record has {listed(missing)}: ask the source if they were dropped"] if missing else []
        events.append(Event(delivery, "landed", feed.version, encoding, {"read": count}, "; ".join(notes) or None))
    return Staged(tuple(events), files)


def _is_as_found(landing: Path, delivery: Delivery) -> bool:
    """Tell whether a file has the size it had when it was found."""
    path = landing / delivery.path
    return path.exists() and path.stat().st_size == delivery.byte_count


def _write(feed: Feed, delivery: Delivery, source: Path, target: Path) -> tuple[str | None, int, list[str]]:
    """Copy one file's records into Parquet.

    Returns:
        The encoding found, the number of records, and the columns that none of them has.
    """
    stream = open_records(source, feed.reader, feed.column_names, feed.refuse, target.parent)
    names = ["delivery_id", "record_number", "defect", *(raw_column(name) for name in feed.column_names)]
    types = [pa.string(), pa.int64(), *(pa.string() for _ in names[2:])]
    schema = pa.schema(list(zip(names, types, strict=True)))
    count = 0
    missing = set(feed.column_names)
    with pq.ParquetWriter(target, schema, compression="zstd", compression_level=1) as writer:
        for batch in stream:
            ids = pa.repeat(pa.scalar(delivery.delivery_id), batch.num_rows)
            writer.write_table(pa.Table.from_arrays([ids, *batch.columns], schema=schema))
            count += batch.num_rows
            missing -= {name for name in missing if batch[name].null_count < batch.num_rows}
    return stream.encoding, count, sorted(missing) if count else []
