"""A policy's parts as docs/protocol.md §12 says, and the company's clock."""

import datetime

from primitives import Refused, read_cbor

COUNCIL_ITEMS = [
    ("handover_council", 1, lambda x: x in (0, 1)),
    ("read_receipts", 0, lambda x: x in (0, 1)),
    ("typing", 0, lambda x: x in (0, 1)),
    ("last_seen", 0, lambda x: x in (0, 1)),
    ("statistics", 0, lambda x: x in (0, 1)),
    ("behaviour_days", 30, lambda x: number(x) and 1 <= x <= 365),
    ("alarms", [[], []], lambda x: callers(x)),
    ("history_for_members", 0, lambda x: x in (0, 1)),
]
GENERAL_ITEMS = [
    ("documents", None, lambda x: x is None or document_rule(x)),
    ("document_bytes", 2 << 30, lambda x: number(x) and 1 <= x <= (1 << 32) - (1 << 20)),
    ("upload_hours", 168, lambda x: number(x) and 1 <= x <= 2160),
    ("device_bytes", None, lambda x: x is None or number(x) and x <= 1 << 60),
    ("company_bytes", None, lambda x: x is None or number(x) and x <= 1 << 60),
    ("suite_code", None, lambda x: x in (None, 0x004F, 0x0003)),
    ("group_version", None, lambda x: x in (None, 1)),
    ("at_all", 0, lambda x: x in (0, 1, 2)),
    ("zone", None, lambda x: x is None or isinstance(x, list) and len(x) == 2),
    ("quiet_hours", [], lambda x: isinstance(x, list) and len(x) <= 64 and all(map(quiet_span, x))),
    ("queue_hours", 336, lambda x: number(x) and 1 <= x <= 2160),
]


def number(x):
    return isinstance(x, int)


def words(x):
    return isinstance(x, list) and all(isinstance(word, str) for word in x)


def callers(x):
    return isinstance(x, list) and len(x) == 2 and len(x[0]) + len(x[1]) <= 1024


def document_rule(x):
    return isinstance(x, list) and len(x) == 2 and words(x[0]) and (x[1] is None or words(x[1]))


def quiet_span(x):
    days, start, end = x
    return 1 <= days <= 127 and start < 1440 and end <= 1440


def read_part(part, known):
    """What a reader takes of a part that may be longer or shorter than he knows, and the faults."""
    try:
        items = read_cbor(part)
        if not isinstance(items, list):
            raise Refused("no list")
    except (Refused, IndexError):
        return [default for _, default, _ in known], True
    taken, faults = [], []
    for place, (name, default, valid) in enumerate(known):
        if place >= len(items):
            taken.append(default)
        elif valid(items[place]):
            taken.append(items[place])
        else:
            faults.append(name)
            taken.append(default)
    return taken + items[len(known):], faults


def offset(rule, t):
    """Seconds east of UTC, for the two rules that the vectors use."""
    if rule == "UTC0":
        return 0
    if rule != "CET-1CEST,M3.5.0,M10.5.0/3":
        raise ValueError(f"no such rule here: {rule}")
    year = datetime.datetime.fromtimestamp(t, datetime.timezone.utc).year

    def last_sunday(month):
        last = datetime.datetime(year, month, 31, 1, tzinfo=datetime.timezone.utc)
        return (last - datetime.timedelta(days=(last.weekday() + 1) % 7)).timestamp()

    return 7200 if last_sunday(3) <= t < last_sunday(10) else 3600


def quiet(span, weekday, minute):
    days, start, end = span
    if start < end:
        return days >> weekday & 1 == 1 and start <= minute < end
    yesterday = (weekday + 6) % 7
    return days >> weekday & 1 == 1 and minute >= start or days >> yesterday & 1 == 1 and minute < end
