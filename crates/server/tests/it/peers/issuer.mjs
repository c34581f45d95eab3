// An issuer whose tokens npm's jose signs. Argument: the folder of packages.
// Prints its port. Publishes metadata and keys, and does what it is told by `POST /`: see `work`.
import { createServer } from "node:http";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const module = join(process.argv[2], "jose/dist/webapi/index.js");
const jose = await import(pathToFileURL(module));

const ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"];
const bytes = (text) => new TextEncoder().encode(text);

// One key for each algorithm. The last generation of the published ones signs, unless it was only announced.
let generations = [];
let signing;
let made = 0;
let asked = 0;

async function generate() {
    const generation = {};
    made += 1;
    for (const alg of ALGORITHMS) {
        const pair = await jose.generateKeyPair(alg, { extractable: true });
        generation[alg] = { ...pair, kid: `${alg}-${made}` };
    }
    return generation;
}

async function published() {
    asked += 1;
    const keys = [];
    for (const generation of generations) {
        for (const [alg, { publicKey, kid }] of Object.entries(generation)) {
            keys.push({ ...(await jose.exportJWK(publicKey)), kid, alg, use: "sig" });
        }
    }
    return { keys };
}

async function token({ kind, alg, claims }) {
    const { privateKey, publicKey, kid } = signing[alg];
    const header = { alg, kid, typ: "at+jwt" };
    const sign = (more, payload, options) =>
        new jose.CompactSign(bytes(payload)).setProtectedHeader({ ...header, ...more }).sign(privateKey, options);
    const usual = () => new jose.SignJWT(claims).setProtectedHeader(header).sign(privateKey);
    const json = JSON.stringify(claims);
    switch (kind) {
        case "usual":
            return usual();
        case "none":
            return new jose.UnsecuredJWT(claims).encode();
        case "public key as secret":
            return new jose.SignJWT(claims)
                .setProtectedHeader({ ...header, alg: "HS256" })
                .sign(bytes(await jose.exportSPKI(publicKey)));
        case "unknown key": {
            const other = await jose.generateKeyPair(alg);
            return new jose.SignJWT(claims).setProtectedHeader({ ...header, kid: "other" }).sign(other.privateKey);
        }
        case "another key": {
            const other = await jose.generateKeyPair(alg);
            return new jose.SignJWT(claims).setProtectedHeader(header).sign(other.privateKey);
        }
        case "critical":
            return sign({ crit: ["urn:x"], "urn:x": 1 }, json, { crit: { "urn:x": true } });
        case "unencoded": {
            // Good to whoever does not look at `b64`: the payload that is not encoded looks as if it were.
            const payload = jose.base64url.encode(json);
            const signed = await new jose.FlattenedSign(bytes(payload))
                .setProtectedHeader({ ...header, b64: false, crit: ["b64"] })
                .sign(privateKey);
            return `${signed.protected}.${payload}.${signed.signature}`;
        }
        case "nested":
            return sign({ cty: "JWT" }, await usual());
        case "encrypted":
            return new jose.EncryptJWT(claims)
                .setProtectedHeader({ alg: "dir", enc: "A256GCM", kid })
                .encrypt(new Uint8Array(32));
        case "claim twice":
            return sign({}, json.replace("{", '{"sub":"root",'));
    }
    throw new Error(`no such kind: ${kind}`);
}

async function work(told) {
    switch (told.do) {
        case "sign":
            return token(told);
        case "announce":
            generations.push(await generate());
            return "";
        case "use":
            signing = generations.at(-1);
            return "";
        case "retire":
            generations = generations.slice(-1);
            return "";
        case "asked":
            return String(asked);
    }
    throw new Error(`cannot do: ${told.do}`);
}

generations.push(await generate());
signing = generations[0];

const server = createServer(async (request, response) => {
    const issuer = `http://127.0.0.1:${server.address().port}`;
    const answer = (type, text) => response.writeHead(200, { "content-type": type }).end(text);
    try {
        if (request.url === "/.well-known/openid-configuration") {
            return answer("application/json", JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }));
        }
        if (request.url === "/keys") {
            return answer("application/jwk-set+json", JSON.stringify(await published()));
        }
        const chunks = [];
        for await (const chunk of request) chunks.push(chunk);
        answer("text/plain", await work(JSON.parse(Buffer.concat(chunks).toString())));
    } catch (error) {
        response.writeHead(500).end(String(error.stack));
    }
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
