"""What `format` says of a string, as patterns.

Dates are real dates. Lengths are not counted: a label of a host's name may be longer than 63 characters. What is left
out is as rare as it is hard to read for others: leap seconds, e-mail addresses in quotes, zones of IPv6 addresses.
Formats that are not listed do not constrain, as JSON Schema has it.
"""

from __future__ import annotations

_DAY = (
    r"\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))"
    r"|(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29"
)
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)"
_DURATION_TIME = r"T(?:\d{1,9}H(?:\d{1,9}M(?:\d{1,9}S)?)?|\d{1,9}M(?:\d{1,9}S)?|\d{1,9}S)"
_DURATION_DAYS = r"(?:\d{1,9}Y(?:\d{1,9}M(?:\d{1,9}D)?)?|\d{1,9}M(?:\d{1,9}D)?|\d{1,9}D)"
_LABEL = r"[0-9A-Za-z]+(?:-+[0-9A-Za-z]+)*"
_BYTE = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_GROUP = r"[0-9a-fA-F]{1,4}"
_ATOM = r"[0-9A-Za-z!#$%&'*+/=?^_`{|}~-]+"
_URI_CHAR = r"[0-9A-Za-z._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}"


def _ipv6() -> str:
    """Eight groups, or fewer with one `::` that stands for one or more groups of zeros (RFC 4291)."""
    ways = [f"(?:{_GROUP}:){{7}}{_GROUP}"]
    for before in range(8):
        head = f"{_GROUP}(?::{_GROUP}){{{before - 1}}}" if before else ""
        after = 7 - before
        ways.append(f"{head}::" + (f"(?:{_GROUP}(?::{_GROUP}){{0,{after - 1}}})?" if after else ""))
    return "|".join(ways)


FORMATS = {
    "date": f"^(?!0000)(?:{_DAY})$",
    "time": f"^{_TIME}$",
    "date-time": f"^(?!0000)(?:{_DAY})T{_TIME}$",
    "duration": f"^P(?:{_DURATION_DAYS}(?:{_DURATION_TIME})?|{_DURATION_TIME}|\\d{{1,9}}W)$",
    "uuid": "^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    "ipv4": rf"^{_BYTE}(?:\.{_BYTE}){{3}}$",
    "ipv6": f"^(?:{_ipv6()})$",
    "hostname": rf"^{_LABEL}(?:\.{_LABEL})*$",
    "email": rf"^{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+$",
    "uri": rf"^[A-Za-z][0-9A-Za-z+.-]*:(?:{_URI_CHAR}|/)+(?:\?(?:{_URI_CHAR}|[/?])*)?(?:#(?:{_URI_CHAR}|[/?])*)?$",
}
"""Patterns, by the names of JSON Schema 2020-12 (section 7.3 of its validation vocabulary)."""
