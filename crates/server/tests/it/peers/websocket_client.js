// A client (npm `ws`) that goes through what can happen to a WebSocket, a line for each.
'use strict';
const [packages, url] = process.argv.slice(2);
const WebSocket = require(`${packages}/ws`);
const { randomBytes } = require('crypto');

function attempt(name, path, options, start) {
  return new Promise((resolve) => {
    const said = [];
    const websocket = new WebSocket(url + path, { perMessageDeflate: false, ...options });
    const expected = [];
    let received = 0;
    websocket.on('open', () => {
      said.push(`opened ${websocket.extensions}`.trim());
      start(websocket, expected);
    });
    websocket.on('message', (data) => {
      if (!expected[received].equals(data)) said.push(`message ${received} is another`);
      received += 1;
      if (received === expected.length) {
        said.push(`${received} messages in order`);
        websocket.close(1000, 'bye');
      }
    });
    websocket.on('unexpected-response', (_, response) => {
      response.resume();
      resolve(`${name}: ${response.statusCode}`);
    });
    websocket.on('error', (error) => said.push(error.message));
    websocket.on('close', (code, reason) => {
      said.push(`closed ${code} ${reason}`.trim());
      resolve(`${name}: ${said.join(', ')}`);
    });
  });
}

function send(websocket, expected, count) {
  websocket.ping('ping');
  for (let at = 0; at < count; at += 1) {
    const message = randomBytes((at * 977) % 70000);
    expected.push(message);
    websocket.send(message);
  }
}

(async () => {
  const many = (websocket, expected) => send(websocket, expected, 200);
  console.log(await attempt('plain', '/echo', {}, many));
  console.log(await attempt('deflate', '/echo', { perMessageDeflate: { threshold: 0 } }, many));
  console.log(await attempt('fragments', '/echo', {}, (websocket, expected) => {
    expected.push(Buffer.from('one two three'));
    websocket.send('one ', { fin: false });
    websocket.ping('ping');
    websocket.send('two ', { fin: false });
    websocket.send('three', { fin: true });
  }));
  console.log(await attempt('too big', '/echo', {}, (websocket, expected) => {
    expected.push(Buffer.alloc(0));
    websocket.send(Buffer.alloc(2 << 20));
  }));
  const nothing = () => {};
  console.log(await attempt('closed by the server', '/close?4321', {}, nothing));
  console.log(await attempt('dropped by the server', '/drop', {}, nothing));
  console.log(await attempt('refused by the server', '/refuse', {}, nothing));
  console.log(await attempt('of another origin', '/echo', { origin: 'https://evil.test' }, nothing));
  // Connections that were refused are kept for more.
  process.exit();
})();
