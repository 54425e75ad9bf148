"""Telling a person: one call, to the log and to a webhook where `RONGHE_WEBHOOK_URL` names one.

A message names things and counts, never the content of a row. The webhook's URL may hold a secret, so it is in no log.
"""

import logging
import os
from dataclasses import asdict, dataclass
from typing import Literal

WEBHOOK = "RONGHE_WEBHOOK_URL"
_SECONDS = 5.0

Kind = Literal[
    "late_source", "delivery_stopped", "delivery_rejected", "task_failed", "deadline_missed", "release_failed"
]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """Something a person should know: what kind, about what, in one sentence, and the runbook that says what to do."""

    kind: Kind
    subject: str
    text: str
    runbook: str

    @property
    def runbook_path(self) -> str:
        """Where the runbook stands in the repository."""
        return f"docs/runbooks/{self.runbook}.md"


def notify(event: Event) -> bool:
    """Tell an event; whatever goes wrong with the telling is logged and stops nothing.

    Returns:
        Whether the webhook took it; true without a webhook.
    """
    log.warning("%s: %s: %s (%s)", event.kind, event.subject, event.text, event.runbook_path)
    url = os.environ.get(WEBHOOK)
    if not url:
        return True
    import httpx

    # These log the whole address of each request.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        httpx.post(url, json={**asdict(event), "runbook": event.runbook_path}, timeout=_SECONDS).raise_for_status()
    except httpx.HTTPStatusError as error:
        log.warning("the webhook of %s answered %s", WEBHOOK, error.response.status_code)
    except Exception as error:
        # The message of the error may hold the URL.
        log.warning("the webhook of %s was not reached: %s", WEBHOOK, type(error).__name__)
    else:
        return True
    return False
