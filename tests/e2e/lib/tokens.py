"""Tokens made in pure Python (HS256) and with openssl (RS256, ES256): good ones, and hostile ones that no honest issuer makes."""

import base64
import hashlib
import hmac
import json
import subprocess
import time
import uuid

HS_ISSUER = "https://hs.example.com"
RS_ISSUER = "https://rs.example.com"
AUDIENCE = "bailiff"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims(issuer=HS_ISSUER, role="TAIPY_ADMIN", **changes):
    """Good claims; a change to None takes a claim out."""
    now = int(time.time())
    made = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": "somebody",
        "iat": now,
        "exp": now + 600,
        "jti": str(uuid.uuid4()),
        "roles": [role],
    }
    made.update(changes)
    return {name: value for name, value in made.items() if value is not None}


def signed_part(header, payload):
    return b64(json.dumps(header).encode()) + "." + b64(json.dumps(payload).encode())


def hs256(secret, payload, **header):
    signed = signed_part({"alg": "HS256", "typ": "JWT", **header}, payload)
    return signed + "." + b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())


def rs256(key_file, payload, **header):
    named = {"alg": "RS256", "typ": "JWT", **header}
    signed = signed_part({name: value for name, value in named.items() if value is not None}, payload)
    run = subprocess.run(
        ["openssl", "dgst", "-sha256", "-sign", key_file], input=signed.encode(), capture_output=True, check=True
    )
    return signed + "." + b64(run.stdout)


def unsigned(payload, alg="none"):
    return signed_part({"alg": alg, "typ": "JWT"}, payload) + "."


def decode(token):
    """(header, claims), unverified."""
    header, payload, _ = token.split(".")
    return json.loads(unb64(header)), json.loads(unb64(payload))
