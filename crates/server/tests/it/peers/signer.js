// Signs requests by RFC 9421 with npm's http-message-signatures, sends them, and prints what is answered.
// Arguments: the folder of packages, the URL, the file of the private key.
const { createHash, createPrivateKey } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const [packages, url, keyFile] = process.argv.slice(2);
const { httpbis, createSigner } = require(join(packages, "http-message-signatures"));

const key = createSigner(createPrivateKey(readFileSync(keyFile)), "ecdsa-p256-sha256", "partner-1");

function digest(body) {
    return `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;
}

async function send(name, method, body, change) {
    const headers = { "content-type": "application/json" };
    const fields = ["@method", "@target-uri"];
    if (body !== undefined) {
        headers["content-digest"] = digest(body);
        fields.push("content-digest", "content-type");
    }
    const signed = await httpbis.signMessage({ key, fields }, { method, url, headers });
    const sent = { method, headers: signed.headers, body, ...change };
    const answer = await fetch(url, sent);
    await answer.text();
    console.log(`${name}: ${answer.status}`);
    return sent;
}

(async () => {
    const first = await send("get", "GET");
    await send("post", "POST", '{"amount": 1}');
    await send("another body", "POST", '{"amount": 1}', { body: '{"amount": 9}' });
    await send("another method", "POST", '{"amount": 1}', { method: "PUT" });
    const again = await fetch(url, first);
    console.log(`again: ${again.status}`);
})();
