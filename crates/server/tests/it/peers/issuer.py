"""An issuer whose tokens Authlib signs.

Prints its port. Publishes metadata and keys, and does what it is told by `POST /`: see `work`.
"""

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from authlib.common.encoding import urlsafe_b64encode
from authlib.jose import JsonWebEncryption, JsonWebKey, JsonWebSignature, JsonWebToken

KINDS = {"RS256": ("RSA", 2048), "PS256": ("RSA", 2048), "ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519")}
LOCK = threading.Lock()


def part(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(text)


def new_key(alg):
    kind, size = KINDS[alg]
    return JsonWebKey.generate_key(kind, size, is_private=True)


def signed(header, payload, key):
    """What Authlib itself would not make: the signature is its algorithm's all the same."""
    algorithm = JsonWebSignature([header["alg"]]).ALGORITHMS_REGISTRY[header["alg"]]
    text = part(header) + b"." + payload
    return text + b"." + part(algorithm.sign(text, algorithm.prepare_key(key)))


class Issuer:
    """Keys by generation, one for each algorithm. The last published one signs, unless it was only announced."""

    def __init__(self):
        self.made = 0
        self.asked = 0
        self.generations = [self.generate()]
        self.signing = self.generations[0]

    def generate(self):
        self.made += 1
        return {alg: (new_key(alg), f"{alg}-{self.made}") for alg in KINDS}

    def published(self):
        self.asked += 1
        keys = []
        for generation in self.generations:
            for alg, (key, kid) in generation.items():
                keys.append(key.as_dict(is_private=False, kid=kid, alg=alg, use="sig"))
        return {"keys": keys}

    def token(self, told):
        kind, alg, claims = told["kind"], told["alg"], told["claims"]
        key, kid = self.signing[alg]
        header = {"alg": alg, "kid": kid, "typ": "at+jwt"}
        if kind == "usual":
            return JsonWebToken([alg]).encode(header, claims, key)
        if kind == "none":
            payload = json.dumps(claims).encode()
            return JsonWebSignature(["none"]).serialize_compact({"alg": "none", "typ": "at+jwt"}, payload, None)
        if kind == "public key as secret":
            text = part({**header, "alg": "HS256"}) + b"." + part(claims)
            return text + b"." + part(hmac.digest(key.as_pem(is_private=False), text, hashlib.sha256))
        if kind == "unknown key":
            return JsonWebToken([alg]).encode({**header, "kid": "other"}, claims, new_key(alg))
        if kind == "another key":
            return JsonWebToken([alg]).encode(header, claims, new_key(alg))
        if kind == "critical":
            return signed({**header, "crit": ["urn:x"], "urn:x": 1}, part(claims), key)
        if kind == "unencoded":
            # Good to whoever does not look at `b64`: the payload that is not encoded looks as if it were.
            return signed({**header, "crit": ["b64"], "b64": False}, part(claims), key)
        if kind == "nested":
            inner = JsonWebToken([alg]).encode(header, claims, key)
            return JsonWebSignature([alg]).serialize_compact({**header, "cty": "JWT"}, inner, key)
        if kind == "encrypted":
            payload = json.dumps(claims).encode()
            outer = {"alg": "dir", "enc": "A256GCM", "kid": kid}
            return JsonWebEncryption().serialize_compact(outer, payload, bytes(32))
        if kind == "claim twice":
            payload = json.dumps(claims).replace("{", '{"sub": "root", ', 1).encode()
            return JsonWebSignature([alg]).serialize_compact(header, payload, key)
        raise ValueError(f"no such kind: {kind}")

    def work(self, told):
        match told["do"]:
            case "sign":
                return self.token(told)
            case "announce":
                self.generations.append(self.generate())
            case "use":
                self.signing = self.generations[-1]
            case "retire":
                self.generations = self.generations[-1:]
            case "asked":
                return str(self.asked).encode()
            case other:
                raise ValueError(f"cannot do: {other}")
        return b""


ISSUER = Issuer()


class Handler(BaseHTTPRequestHandler):
    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        issuer = f"http://127.0.0.1:{self.server.server_port}"
        if self.path == "/.well-known/openid-configuration":
            said = {"issuer": issuer, "jwks_uri": f"{issuer}/keys"}
            return self.answer("application/json", json.dumps(said).encode())
        with LOCK:
            said = ISSUER.published()
        self.answer("application/jwk-set+json", json.dumps(said).encode())

    def do_POST(self):
        told = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with LOCK:
            said = ISSUER.work(told)
        self.answer("text/plain", said)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
