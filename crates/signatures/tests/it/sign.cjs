// Signs requests with http-message-signatures, one with each algorithm that it knows, and prints what
// came of it as lines of: algorithm, field name, value; fields are separated by tabs.
'use strict';

const crypto = require('node:crypto');
const { createRequire } = require('node:module');
const installed = createRequire(`${process.argv[2]}/package.json`);
const { createSigner, httpbis } = installed('http-message-signatures');

const rsa = () => crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
const curve = (namedCurve) => crypto.generateKeyPairSync('ec', { namedCurve });
const keys = {
    'rsa-pss-sha512': rsa(),
    'rsa-v1_5-sha256': rsa(),
    'ecdsa-p256-sha256': curve('P-256'),
    'ecdsa-p384-sha384': curve('P-384'),
    ed25519: crypto.generateKeyPairSync('ed25519'),
};
const body = '{"hello": "world"}';
const digest = crypto.createHash('sha256').update(body).digest('base64');

// The package's own signer takes the longest salt that fits the key; RFC 9421 §3.3.1 asks for 64 bytes.
function signer(algorithm, key) {
    if (algorithm !== 'rsa-pss-sha512') return createSigner(key, algorithm, 'client');
    const padding = crypto.constants.RSA_PKCS1_PSS_PADDING;
    const sign = async (data) => crypto.sign('sha512', data, { key, padding, saltLength: 64 });
    return { id: 'client', alg: algorithm, sign };
}

async function sign(algorithm, key) {
    const signed = await httpbis.signMessage({
        key: signer(algorithm, key),
        name: 'client',
        fields: [
            '@method', '@target-uri', '@authority', '@scheme', '@path', '@query',
            '@query-param;name="city"', 'content-type', 'content-digest', 'cache-control;key="max-age"',
            'x-list', 'x-list;bs',
        ],
        params: ['created', 'expires', 'keyid', 'alg', 'nonce', 'tag'],
        paramValues: {
            created: new Date(1700000000000),
            expires: new Date(1700000060000),
            nonce: crypto.randomUUID(),
            tag: 'interoperation',
        },
    }, {
        method: 'POST',
        url: new URL('https://API.example.com:443/a%20b/c?city=S%C3%A3o+Paulo&x=%7e'),
        headers: {
            'content-type': 'application/json',
            'content-digest': `sha-256=:${digest}:`,
            'cache-control': 'max-age=60,   no-store',
            'x-list': ['one, two', 'three'],
        },
    });
    return ['signature-input', 'signature', 'content-digest'].map((name) => {
        const found = Object.entries(signed.headers).find(([header]) => header.toLowerCase() === name);
        return [algorithm, name, found[1]];
    });
}

async function main() {
    const lines = [];
    for (const [algorithm, { publicKey, privateKey }] of Object.entries(keys)) {
        const pem = publicKey.export({ type: 'spki', format: 'pem' });
        lines.push([algorithm, 'key', pem.replaceAll('\n', '|')]);
        lines.push(...await sign(algorithm, privateKey));
    }
    const secret = 'a secret that both sides have, 32 bytes';
    lines.push(['hmac-sha256', 'key', secret], ...await sign('hmac-sha256', secret));
    console.log(lines.map((line) => line.join('\t')).join('\n'));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
