"""HTTP with bounds: on bytes, on time, on tries, and on where a reply may lead.

Everything that comes over the network comes through here. `Http` sends requests to
one registry or hub and follows its redirects; `read_document` reads a small
document with all caps; `ask_again` says when to try once more.
"""

from localkit.io.http.address import Origin, Reach, reach_of
from localkit.io.http.client import Http, Reply
from localkit.io.http.document import Document, read_document
from localkit.io.http.failures import check_status
from localkit.io.http.pace import Pace, ask_again
from localkit.io.http.watch import Deadline

__all__ = [
    "Deadline",
    "Document",
    "Http",
    "Origin",
    "Pace",
    "Reach",
    "Reply",
    "ask_again",
    "check_status",
    "reach_of",
    "read_document",
]
