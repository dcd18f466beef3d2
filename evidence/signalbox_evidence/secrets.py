"""Which plain values look like secrets, and which variables are public settings whose value may be shown.

A detector, not a proof: it knows the forms below, names that promise a secret, and long texts of high entropy.
"""

import math
import re
from collections import Counter

PUBLIC_VARIABLES = frozenset({"PGSSLMODE", "PGSSLROOTCERT"})
"""Read by a control and never secret: the only variables whose values are kept."""

_FORMS = (
    ("an AWS access key", re.compile(r"\b(AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("a JSON web token", re.compile(r"\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*")),
    ("a GitHub token", re.compile(r"\bgh[pousr]_\w{30,}\b")),
    ("a Slack token", re.compile(r"\bxox[abprs]-[\w-]{10,}")),
    ("a URL with a password", re.compile(r"\b[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s@]+@", re.IGNORECASE)),
    ("a reference that is resolved into plain text", re.compile(r"\{\{resolve:(secretsmanager|ssm-secure):")),
)
_SECRET_NAME = re.compile(
    r"(PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|(API|ACCESS|PRIVATE|SIGNING|ENCRYPTION)_?KEY)", re.IGNORECASE
)
_NAME_OF_A_PLACE = re.compile(r"_(ARN|FILE|ID|NAME|PATH|TTL|URL|SECONDS)$", re.IGNORECASE)
_OPAQUE = re.compile(r"[A-Za-z0-9+/=_-]{24,}")
_BITS_PER_CHARACTER = 4.2  # random base64 has about 5 at this length, prose and hexadecimal digests less than 4


def _entropy(text: str) -> float:
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts)


def resembles(name: str, value: str) -> str | None:
    """What kind of secret the variable looks like, or None. `value` may hold `${...}` where only AWS knows the text."""
    for kind, form in _FORMS:
        if form.search(value):
            return kind
    if value and _SECRET_NAME.search(name) and not _NAME_OF_A_PLACE.search(name):
        return "a secret, by its name"
    if name.endswith("_ISSUER") and value.startswith("https://"):
        return None  # every token names its issuer, whose path may hold a random id: Cognito's does
    known = re.sub(r"\$\{[^}]*\}", " ", value)
    if any(_entropy(word) > _BITS_PER_CHARACTER for word in _OPAQUE.findall(known)):
        return "a random key"
    return None
