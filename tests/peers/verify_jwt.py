#!/usr/bin/env python3
"""Have an independent library verify every JWT in a log of front.py.

verify_jwt.py LOG PUBLIC_KEY ISSUER
"""

import json
import sys
from pathlib import Path

import jwt

# GitHub's own limit is 600 seconds; exactly that is refused when clocks differ by less than a second.
LONGEST = 599


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    log, key, issuer = sys.argv[1:]
    public_key = Path(key).read_text(encoding="utf-8")
    entries = [json.loads(line) for line in Path(log).read_text(encoding="utf-8").splitlines()]
    credentials = {entry["authorization"] or "" for entry in entries if "/app" in entry["path"]}
    tokens = {credential.removeprefix("Bearer ") for credential in credentials if credential.startswith("Bearer ey")}
    if not tokens:
        sys.exit("no JWT in the log")
    for token in tokens:
        header = jwt.get_unverified_header(token)
        if header != {"typ": "JWT", "alg": "RS256"}:
            sys.exit(f"header {header}")
        claims = jwt.decode(
            token, public_key, algorithms=["RS256"], issuer=issuer, options={"require": ["iat", "exp", "iss"]}
        )
        if set(claims) != {"iat", "exp", "iss"}:
            sys.exit(f"claims {sorted(claims)}")
        if not 0 < claims["exp"] - claims["iat"] - 60 <= LONGEST:
            sys.exit(f"good for {claims['exp'] - claims['iat']} seconds")
    print(f"{len(tokens)} JWT verified by PyJWT {jwt.__version__}")


if __name__ == "__main__":
    main()
