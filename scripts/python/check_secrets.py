#!/usr/bin/env python3
"""Finds secrets in files: keys and tokens of well-known services, private keys, passwords in URLs, and assignments of
random-looking values to names such as `api_key`. Prints no more of a secret than its first characters.

A line that says `rungate:allow-secret REASON` allows what stands in it and in the next line. The reason is required.
"""

from __future__ import annotations

import bisect
import math
import os
import re
import sys
from collections import Counter

sys.dont_write_bytecode = True  # The repository stays as it is.

from validation import Report, argument_parser, check_each, files_to_check, open_regular, run  # noqa: E402

EXAMPLES = """\
Without PATH it reads the files that $RUNGATE_FILES lists (NUL-separated), else everything below the current folder.

examples:
  check_secrets.py
  check_secrets.py --format text src config
  check_secrets.py --exclude 'tests/fixtures/*'

exit codes: 0 nothing found, 1 findings, 2 wrong usage
"""

# A file is read in blocks. Each one is searched together with the end of the one before, so that a secret on the
# border is seen; no pattern below matches more than OVERLAP bytes.
BLOCK = 1 << 20
OVERLAP = 1 << 13
LONGEST_UTF16 = 1 << 24

# Rule, what people call it, pattern. A group named `secret` is the secret; without one it is the whole match.
KNOWN_FORMS = [
    ("aws-access-key", "an AWS access key id", rb"(?<![A-Z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Z0-9])"),
    (
        "aws-secret-key",
        "an AWS secret access key",
        rb"(?i:aws_?(?:secret)?_?(?:access)?_?key)[\"']?\s{0,9}[:=]\s{0,9}[\"']?(?P<secret>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])",
    ),
    ("github-token", "a GitHub token", rb"(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36,255}"),
    ("github-token", "a GitHub token", rb"(?<![A-Za-z0-9])github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    ("gitlab-token", "a GitLab token", rb"(?<![A-Za-z0-9])gl(?:pat|dt|rt|ptt|oas)-[A-Za-z0-9_-]{20,64}"),
    ("slack-token", "a Slack token", rb"(?<![A-Za-z0-9])xox[abeoprs]-[A-Za-z0-9-]{10,250}"),
    (
        "slack-webhook",
        "a Slack webhook",
        rb"hooks\.slack\.com/services/(?P<secret>T[A-Z0-9]{6,14}/B[A-Z0-9]{6,14}/[A-Za-z0-9]{16,40})",
    ),
    ("google-api-key", "a Google API key", rb"(?<![A-Za-z0-9_-])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])"),
    ("stripe-key", "a Stripe key", rb"(?<![A-Za-z0-9])[sr]k_live_[A-Za-z0-9]{20,250}"),
    ("npm-token", "an npm token", rb"(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
    ("pypi-token", "a PyPI token", rb"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,500}"),
    ("azure-storage-key", "an Azure storage key", rb"AccountKey=(?P<secret>[A-Za-z0-9+/]{86}==)"),
    (
        "private-key",
        "a private key",
        rb"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
        rb"(?:\\[nr]|[\s\"',+\\]){1,64}"
        rb"(?:[A-Za-z-]{1,20}: [^\r\n]{0,100}(?:\\[nr]|[\s\"',+\\]){1,64}){0,4}(?P<secret>[A-Za-z0-9+/=]{40})",
    ),
    (
        "url-password",
        "a password in a URL",
        rb"(?<![a-z])[a-z][a-z0-9+]{1,20}://[A-Za-z0-9._~%-]{1,64}:(?P<secret>[^\s:/@\"'<>{}$*]{6,128})@[A-Za-z0-9.-]{1,253}",
    ),
]
NAME = (
    rb"(?i:(?:secret|token|passwo?r?d|passphrase|api_?-?key|access_?-?key|private_?-?key|auth_?-?key|credentials?)"
    rb"(?:[A-Za-z0-9_.-]{0,24}))"
)
GENERIC = re.compile(NAME + rb"[\"']?\s{0,9}(?::=|=>|==|=|:)\s{0,9}[brf]?[\"'](?P<secret>[^\s\"'\\]{16,200})[\"']")
GENERIC_BARE = re.compile(
    NAME + rb"[\"']?[ \t]{0,9}[=:][ \t]{0,9}(?P<secret>[A-Za-z0-9+/_=.~!@#%^&*-]{16,200})[ \t]{0,9}(?=\r?\n|$)"
)
BARE_FILES = re.compile(r"(?:^|/)(?:\.env[^/]*|[^/]*\.(?:env|ini|cfg|conf|properties|ya?ml|toml))$")
PLACEHOLDER = re.compile(
    rb"(?i)example|sample|placeholder|change.?me|dummy|redacted|your[_-]|xxxx|\*\*\*|\.\.\.|<|\$\{|\{\{|%\(|secrets\.|"
    rb"^(.)\1*$|^(?:0123456789|1234567890|abcdefgh)"
)
DIGEST = re.compile(rb"(?i)sha-?[0-9]{1,3}[-:=]|^(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$")
DIGEST_NAME = re.compile(rb"(?i)hash|digest|checksum|fingerprint|sha-?[0-9]|commit|integrity|public")
ALLOW = re.compile(rb"rungate:allow-secret(?::|[ \t])?[ \t]*(?P<reason>[^\r\n]{0,200})")
FORMS = [(rule, what, re.compile(pattern)) for rule, what, pattern in KNOWN_FORMS]


def entropy(value):
    """Shannon's entropy in bits a byte: about 3 for a word, over 4 for twenty random characters."""
    counts = Counter(value)
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts.values())


def looks_random(name, value):
    """Whether a value that was assigned to a telling name is worth a finding: mixed, and not made of words."""
    if PLACEHOLDER.search(value) or DIGEST_NAME.search(name) or (DIGEST.search(value) and b"key" not in name.lower()):
        return False
    classes = sum(bool(re.search(kind, value)) for kind in (rb"[a-z]", rb"[A-Z]", rb"[0-9]"))
    # A path, a dotted name or words with hyphens: parts that are all words or numbers of their own.
    if all(re.fullmatch(rb"[A-Za-z]*|[0-9]*", part) for part in re.split(rb"[/_.:-]", value)):
        return False
    return classes >= 2 and entropy(value) >= 3.6


def masked(secret):
    """Enough of a secret to find it, too little to use it."""
    shown = secret[:4].decode("ascii", "replace") if len(secret) >= 20 else ""
    return f"{shown}*** ({len(secret)} characters)"


def matches(block, bare):
    """(rule, what, start, secret) for each secret in a block."""
    for rule, what, pattern in FORMS:
        for match in pattern.finditer(block):
            group = "secret" if "secret" in pattern.groupindex else 0
            secret = match.group(group)
            plain = rule in ("url-password", "aws-access-key") and PLACEHOLDER.search(secret)
            if not plain and len(set(secret[4:])) >= 5:
                yield rule, what, match.start() if rule == "private-key" else match.start(group), secret
    for pattern in [GENERIC] + ([GENERIC_BARE] if bare else []):
        for match in pattern.finditer(block):
            secret = match.group("secret")
            if looks_random(block[match.start() : match.start("secret")], secret):
                yield "assigned-secret", "what looks like a secret", match.start("secret"), secret


class Block:
    """A piece of a file, with the end of the piece before it."""

    def __init__(self, data, offset, line, column):
        self.data = data
        self.offset = offset
        self.line = line
        self.column = column
        self.starts = [0] + [match.end() for match in re.finditer(b"\n", data)]

    def place(self, start):
        """Line in the file, column in characters, and index of the line in this block."""
        index = bisect.bisect_right(self.starts, start) - 1
        before = self.data[self.starts[index] : start].decode("utf-8", "replace")
        return self.line + index, len(before) + (self.column if index == 0 else 1), index

    def text(self, index):
        """The bytes of a line of this block."""
        if index < 0:
            return b""
        end = self.starts[index + 1] if index + 1 < len(self.starts) else len(self.data)
        return self.data[self.starts[index] : end]

    def followed_by(self, more):
        """The next block. It begins with the end of this one."""
        kept = max(0, len(self.data) - OVERLAP)
        line, column, _ = self.place(kept)
        return Block(self.data[kept:] + more, self.offset + kept, line, column)


def check_block(path, block, reported, bare, report):
    """Reports the secrets of a block that are not in `reported`, the offsets of those found so far."""
    # What begins in the first half of the overlap was judged whole with the block before.
    judged = OVERLAP // 2 if block.offset else 0
    found = sorted(matches(block.data, bare), key=lambda match: (match[2], match[0] == "assigned-secret"))
    for rule, what, start, secret in found:
        if start < judged or block.offset + start in reported:
            continue
        reported.add(block.offset + start)
        line, column, index = block.place(start)
        allowed = ALLOW.search(block.text(index)) or ALLOW.search(block.text(index - 1))
        if allowed and re.search(rb"[A-Za-z]{2}", allowed.group("reason")):
            continue
        message = what if rule == "private-key" else f"{what}: {masked(secret)}"
        message += ". Revoke it, then remove it from the history"
        if allowed:
            message += ". (rungate:allow-secret needs a reason)"
        report.finding("error", rule, message, path, line, column)


def check_file(path, report):
    """Searches one file, block by block. Binary files are left out, UTF-16 text is read as text."""
    bare = BARE_FILES.search(path.replace(os.sep, "/")) is not None
    with open_regular(path) as stream:
        data = stream.read(BLOCK)
        if data.startswith((b"\xff\xfe", b"\xfe\xff")):
            data += stream.read(LONGEST_UTF16)
            data = data.decode("utf-16", "replace").encode("utf-8", "replace")
        elif b"\0" in data[:8192]:
            return
        block, reported = Block(data, 0, 1, 1), set()
        while block.data:
            check_block(path, block, reported, bare, report)
            more = stream.read(BLOCK)
            if not more:
                return
            reported = {offset for offset in reported if offset >= block.offset + len(block.data) - OVERLAP}
            block = block.followed_by(more)


def main(argv):
    arguments = argument_parser(__doc__, EXAMPLES).parse_args(argv)
    report = Report(arguments.format)
    check_each(files_to_check(arguments, report), lambda path: check_file(path, report), report)
    return report


if __name__ == "__main__":
    sys.exit(run(main))
