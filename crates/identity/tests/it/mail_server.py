"""A mail server (aiosmtpd) that prints each letter as a line of JSON.

mail_server.py PORT none|starttls|implicit CERTIFICATE KEY [ACCOUNT PASSWORD]
"""

import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

port, mode, certificate, key, *account = sys.argv[1:]


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("refused"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        letter = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": mode == "implicit" or session.ssl is not None,
            "authenticated": session.authenticated,
            "content": envelope.content.decode(),
        }
        print(json.dumps(letter), flush=True)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data):
    given = [data.login.decode(), data.password.decode()]
    return AuthResult(success=given == account, handled=True)


context = None
if mode != "none":
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)


def session():
    return SMTP(
        Handler(),
        hostname="localhost",
        tls_context=context if mode == "starttls" else None,
        require_starttls=mode == "starttls",
        authenticator=authenticate,
        auth_required=bool(account),
        auth_require_tls=mode == "starttls",
    )


async def main():
    loop = asyncio.get_running_loop()
    tls = context if mode == "implicit" else None
    server = await loop.create_server(session, "127.0.0.1", int(port), ssl=tls)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main())
