"""An OpenID Connect issuer on loopback, for tests: it logs in whoever the test says, without asking."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "ronghe", "canary-client-secret-5d1e"


@dataclass
class Issuer:
    """The issuer's address, who is logged in next, and the key that signs."""

    address: str
    claims: dict[str, Any] = field(default_factory=dict)
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "tests", "use": "sig"}))
    nonces: dict[str, str] = field(default_factory=dict)

    def id_token(self, code: str) -> str:
        now = int(time.time())
        own = {"iss": self.address, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": self.nonces.pop(code)}
        return str(jwt.encode({"alg": "RS256", "kid": "tests"}, {**own, **self.claims}, self.key))


@contextmanager
def running() -> Iterator[Issuer]:
    """Start an issuer and end it afterwards."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            if asked.path == "/.well-known/openid-configuration":
                self._json(
                    {
                        "issuer": issuer.address,
                        "authorization_endpoint": f"{issuer.address}/authorize",
                        "token_endpoint": f"{issuer.address}/token",
                        "jwks_uri": f"{issuer.address}/keys",
                        "id_token_signing_alg_values_supported": ["RS256"],
                    }
                )
            elif asked.path == "/keys":
                self._json({"keys": [issuer.key.as_dict(private=False)]})
            elif asked.path == "/authorize":
                query = {name: values[0] for name, values in parse_qs(asked.query).items()}
                assert query["code_challenge_method"] == "S256"
                code = f"code-{len(issuer.nonces)}-{time.monotonic_ns()}"
                issuer.nonces[code] = query["nonce"]
                back = urlencode({"code": code, "state": query["state"]})
                self.send_response(302)
                self.send_header("Location", f"{query['redirect_uri']}?{back}")
                self.end_headers()
            else:
                self.send_error(404)

        def do_POST(self) -> None:
            body = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            token = issuer.id_token(body["code"][0])
            self._json({"access_token": "opaque", "token_type": "Bearer", "expires_in": 300, "id_token": token})

        def _json(self, content: object) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer = Issuer(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
