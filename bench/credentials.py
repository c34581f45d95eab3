"""Who the load says it is: tokens of an issuer of our own, keys of a running Weir, and such as are not good."""

import base64
import http.client
import json
import secrets
import subprocess
import time
import zlib
from dataclasses import dataclass, field

from process import Failure

# As many as the load goes round over.
COUNT = 64
ISSUER = "https://issuer.bench"
AUDIENCE = "catalog"
KEY_ID = "first"
SCOPE = "catalog:read"
ORGANIZATION = "bench"
KEY_HEADER = "x-api-key"
LIFETIME = 24 * 3600
PATIENCE = 60
# The form of API keys (crates/core/src/api_key.rs): all digits of base 62, the last six of them CRC-32 of the rest.
KEY_PREFIX = "weir_key_"
KEY_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
KEY_PUBLIC, KEY_RANDOM, KEY_CHECKSUM = 11, 44, 6


@dataclass
class Credentials:
    """Header fields as they are sent. `bad` is by what is wrong; None sends no field."""

    good: list
    bad: dict = field(default_factory=dict)


class Issuer:
    """An RSA key of 2048 bits with its public forms as files, and tokens signed by RS256."""

    def __init__(self, directory):
        directory.mkdir(parents=True)
        self._private_key = directory / "issuer.key"
        self.public_key = directory / "issuer.pem"
        self.key_set = directory / "jwks.json"
        _openssl("genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", self._private_key)
        _openssl("rsa", "-in", self._private_key, "-pubout", "-out", self.public_key)
        shown = _openssl("rsa", "-in", self._private_key, "-noout", "-modulus").decode()
        self._modulus = _base64url(bytes.fromhex(shown.strip().partition("=")[2]))
        self.publish([KEY_ID])

    def publish(self, key_ids):
        """The key set, with the key under each of these identifiers."""
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "e": "AQAB", "n": self._modulus}
        self.key_set.write_text(json.dumps({"keys": [key | {"kid": key_id} for key_id in key_ids]}))

    def token(self, subject, key_id=KEY_ID, **claims):
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + LIFETIME, "scope": SCOPE,
                  "plan": "gold", "jti": secrets.token_hex(16)} | claims
        signed = f"{_part({'alg': 'RS256', 'typ': 'at+jwt', 'kid': key_id})}.{_part(claims)}"
        return f"{signed}.{_base64url(_openssl('dgst', '-sha256', '-sign', self._private_key, input=signed.encode()))}"

    def tokens(self, count=COUNT):
        return [self.token(f"user-{number:04}") for number in range(count)]

    def credentials(self, rules):
        """`rules`: also such as only the Cedar rules refuse."""
        good = self.tokens()
        bad = {
            "no token": None,
            "a changed signature": spoiled(good[0]),
            "another audience": self.token("user", aud="billing"),
            "another issuer": self.token("user", iss="https://other.bench"),
            "an end in the past": self.token("user", exp=int(time.time()) - 3600),
        }
        if rules:
            bad |= {
                "a token without the scope": self.token("user", scope="catalog:write"),
                "a closed plan": self.token("user", plan="closed"),
            }
        return Credentials([bearer(token) for token in good], {name: token and bearer(token) for name, token in bad.items()})


def published(url, damping):
    """A key set at an address, as Weir's policy is given it: one that no issuer has, hence the permission. `damping` is in
    seconds."""
    return f"{{ url: '{url}', allow: [127.0.0.0/8], damping: {damping}s }}"


def policies(key_set):
    """The section of Weir's configuration that knows these tokens as `callers`. `key_set` is its `jwks`."""
    jwt = f"issuer: '{ISSUER}', audience: {AUDIENCE}, jwks: {key_set}"
    return f"policies: {{ callers: {{ jwt: {{ {jwt} }} }} }}"


class Admin:
    """The admin API of a running Weir, asked as its operator."""

    def __init__(self, port, data):
        self._port = port
        self._data = data

    def ask(self, method, path, body=None, token=None):
        """Status and document. A body is a document, or the bytes of one; the token is the operator's unless given."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        token = token or (self._data / "operator.token").read_text().strip()
        fields = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body if body is None or isinstance(body, bytes) else json.dumps(body), fields)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def must(self, method, path, body=None, statuses=(200, 201, 204), token=None):
        status, answer = self.ask(method, path, body, token)
        if status not in statuses:
            raise Failure(f"{method} {path} was answered with {status}: {str(answer)[:500]}")
        return answer

    def wait(self):
        """Until records are open, which the endpoints of the process do not wait for."""
        deadline = time.monotonic() + PATIENCE
        while self.ask("GET", "/v1/organizations")[0] != 200:
            if time.monotonic() > deadline:
                raise Failure("the admin API did not come")
            time.sleep(0.05)

    def make_keys(self, count=COUNT):
        """Keys of an organization that is made for them if it is not there; [(identifier, key), …]."""
        self.wait()
        self.must("POST", "/v1/organizations", {"slug": ORGANIZATION, "name": "Benchmark"}, statuses=(201, 409))
        made = [self.must("POST", f"/v1/organizations/{ORGANIZATION}/api-keys", {"name": f"load {number}", "scopes": [SCOPE]})
                for number in range(count)]
        return [(key["id"], key["secret"]) for key in made]


    def sign_in(self):
        """The session of an owner, who is made."""
        self.wait()
        once = self.must("POST", "/v1/setup/link")["link"].partition("token=")[2]
        who = {"email": "ada@bench.example", "password": secrets.token_urlsafe(24)}
        self.must("POST", "/v1/setup", who | {"token": once, "name": "Ada"})
        return self.must("POST", "/v1/sign-in", who)["token"]


def status_of(port, path, field=None):
    """What a request with this header field, as it is sent, is answered with."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path, headers=dict([field.split(": ", 1)]) if field else {})
        return connection.getresponse().status
    finally:
        connection.close()


def bearer(token):
    return f"Authorization: Bearer {token}"


def key_field(key):
    return f"{KEY_HEADER}: {key}"


def key_credentials(keys):
    # The same public part, so that the record is found.
    guessed = made_up_key(keys[0][len(KEY_PREFIX):][:KEY_PUBLIC])
    bad = {"no key": None, "a mistyped key": key_field(keys[0][:-1]), "a made-up key": key_field(made_up_key()),
           "a guessed secret": key_field(guessed)}
    return Credentials([key_field(key) for key in keys], bad)


def made_up_key(public=""):
    """A key of the right form and checksum that nobody made."""
    random = "".join(secrets.choice(KEY_ALPHABET) for _ in range(KEY_RANDOM - len(public)))
    return with_checksum(KEY_PREFIX + public + random)


def with_checksum(text):
    return text + digits(zlib.crc32(text.encode()), KEY_CHECKSUM)


def digits(number, count):
    """The last digits in base 62."""
    text = ""
    for _ in range(count):
        number, digit = divmod(number, len(KEY_ALPHABET))
        text = KEY_ALPHABET[digit] + text
    return text


def spoiled(token):
    """The same with another signature, of the right length."""
    signed, _, signature = token.rpartition(".")
    raw = bytearray(base64.urlsafe_b64decode(signature + "=="))
    raw[len(raw) // 2] ^= 1
    return f"{signed}.{_base64url(bytes(raw))}"


def _part(document):
    return _base64url(json.dumps(document, separators=(",", ":")).encode())


def _base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _openssl(*arguments, input=None):
    done = subprocess.run(["openssl", *map(str, arguments)], input=input, capture_output=True, timeout=30)
    if done.returncode != 0:
        raise Failure(f"openssl failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return done.stdout
