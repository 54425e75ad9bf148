"""A paged HTTP API as records: pages are asked for until one is short.

Loss is not silent: a total that shrinks while pages are read, pages smaller than asked for before all records came, and
a source that sends the same page again are errors.
"""

import logging
from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from ronghe.contracts import ContractError, Feed
from ronghe.contracts.source import Transport
from ronghe.ingest.json_text import compact, decoded_json
from ronghe.ingest.transports import Fetched, SourceUnavailable

PAGES = 100_000
PAGE_BYTES = 64 << 20
ATTEMPTS = 5
TIMEOUT = httpx.Timeout(60, connect=10)
LONGEST_WAIT = 60.0
TOTAL = "total"
_HEADERS = {"Accept": "application/json"}

# httpx logs every address it asks, and an address may hold a token.
logging.getLogger("httpx").setLevel(logging.WARNING)


class _Passing(Exception):
    """What may pass: the source is busy or cannot be reached. `after` is how long it asks to wait, in seconds."""

    def __init__(self, what: str, after: float = 0) -> None:
        super().__init__(what)
        self.after = after


def records(feed: Feed, url: str, since: date | None) -> Iterator[Fetched]:
    """Yield the records of a paged API from a day on, as they were sent.

    Raises:
        SourceUnavailable: it does not answer, or not with JSON, or changed while it was read.
        ContractError: it refuses the request, or its pages are not as the transport says.
    """
    transport = feed.transport
    if transport is None or transport.path is None:
        raise ContractError(f"{feed.id}: its transport names no path")
    pages = _Pages(feed, transport, url)
    known = {transport.since_param: since.isoformat()} if since else {}
    # `trust_env` asks the machine's proxy, which is for other machines.
    with httpx.Client(timeout=TIMEOUT, trust_env=not pages.is_here, headers=_HEADERS) as client:
        for found in pages.read(client, known):
            for record in found:
                day = _at(record, transport.day_column.split("."))
                yield compact(record), day if isinstance(day, str) else None


class _Pages:
    """Asks for one page after the other and holds them against one another."""

    def __init__(self, feed: Feed, transport: Transport, url: str) -> None:
        self._where = f"{feed.id}: connection {transport.connection!r}"
        self._transport = transport
        try:
            address = httpx.URL(url)
        except httpx.InvalidURL:
            address = httpx.URL("")
        if address.scheme not in ("http", "https") or not address.host:
            raise ContractError(f"{self._where} is no http or https URL: correct it")
        path = f"{address.path.rstrip('/')}/{str(transport.path).lstrip('/')}"
        self._address = address.copy_with(path=path)
        self._total: int | None = None
        self._count = 0
        self._last = ""

    @property
    def is_here(self) -> bool:
        """Whether the source is on this machine."""
        return self._address.host in ("localhost", "127.0.0.1", "::1")

    def read(self, client: httpx.Client, known: dict[str, str]) -> Iterator[list[Any]]:
        """Yield the records of each page."""
        size = self._transport.page_size
        for number in range(1, PAGES + 1):
            asked = {**known, self._transport.page_param: str(number), self._transport.size_param: str(size)}
            page = self._page(client, asked, number)
            found = self._records(page, number)
            self._compare(page, found, number)
            yield found
            if len(found) < size:
                return
        raise ContractError(f"{self._where}: {PAGES:,} pages and no end: raise `pageSize` or ask the source")

    def _page(self, client: httpx.Client, asked: dict[str, str], number: int) -> Any:
        """Return a page's JSON, asking again while the source is busy."""
        retrying = Retrying(
            retry=retry_if_exception_type(_Passing), stop=stop_after_attempt(ATTEMPTS), wait=_wait, reraise=True
        )
        try:
            body = retrying(self._body, client, asked)
        except _Passing as error:
            raise SourceUnavailable(
                f"{self._where}: page {number} does not come ({error}, asked {ATTEMPTS} times): see that the source"
                " runs and that the address is right; the fetch is tried again"
            ) from None
        try:
            return decoded_json(body.decode("utf-8-sig"))
        except ValueError:
            raise SourceUnavailable(
                f"{self._where}: page {number} is no JSON, as when a source is under maintenance; the fetch is tried"
                " again"
            ) from None

    def _body(self, client: httpx.Client, asked: dict[str, str]) -> bytes:
        """Ask once for a page."""
        body = bytearray()
        try:
            with client.stream("GET", self._address.copy_merge_params(asked)) as answer:
                self._look_at(answer)
                for block in answer.iter_bytes():
                    body += block
                    if len(body) > PAGE_BYTES:
                        raise ContractError(f"{self._where}: a page has over {PAGE_BYTES:,} bytes: lower `pageSize`")
        except httpx.HTTPError as error:
            raise _Passing(type(error).__name__) from None
        return bytes(body)

    def _look_at(self, answer: httpx.Response) -> None:
        """Tell what may pass from what will not."""
        status = answer.status_code
        if status == httpx.codes.TOO_MANY_REQUESTS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
            after = answer.headers.get("Retry-After", "")
            raise _Passing(f"status {status}", float(after) if after.isdigit() else 0)
        if status != httpx.codes.OK:
            raise ContractError(
                f"{self._where} answers {status} at {self._transport.path}: correct the path, the address or the"
                " right to ask"
            )

    def _records(self, page: Any, number: int) -> list[Any]:
        """Return the records of a page."""
        found = _at(page, self._transport.records.split("."))
        if not isinstance(found, list):
            raise ContractError(
                f"{self._where}: page {number} has no array {self._transport.records!r}: correct `records` in the"
                " contract's transport, or ask the source"
            )
        return found

    def _compare(self, page: Any, found: list[Any], number: int) -> None:
        """Hold a page against the ones before it."""
        text = compact(found)
        if found and text == self._last:
            raise ContractError(
                f"{self._where}: page {number} is page {number - 1} again: correct `pageParam` in the contract's"
                " transport"
            )
        self._last = text
        self._count += len(found)
        total = _whole(page.get(TOTAL)) if isinstance(page, dict) else None
        if total is None:
            return
        if self._total is not None and total < self._total:
            raise SourceUnavailable(
                f"{self._where}: the total shrank from {self._total:,} to {total:,} while pages were read, so records"
                " may have been passed over; the fetch is tried again"
            )
        self._total = total
        if len(found) < self._transport.page_size and self._count < total:
            raise ContractError(
                f"{self._where}: page {number} has {len(found)} records where {self._transport.page_size} were asked"
                f" for, and {self._count:,} of {total:,} came: set `pageSize` to what the source sends"
            )


def _wait(state: RetryCallState) -> float:
    """Return how long to wait: what the source asks for, at least a growing time with some chance."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.after if isinstance(error, _Passing) else 0
    return min(LONGEST_WAIT, max(asked, wait_exponential_jitter(multiplier=0.5, max=30)(state)))


def _at(value: Any, keys: list[str]) -> Any:
    """Return the value at a path of names, none where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _whole(text: Any) -> int | None:
    try:
        return int(text)
    except (TypeError, ValueError):
        return None
