// A WebSocket server (npm `ws`) that echoes. Prints its port, then a line for each thing that happens.
// /echo echoes; /close?CODE closes with that code; /drop ends the connection without a close frame;
// /refuse answers 401. The first argument is where npm packages are; further ones may be `deflate`.
'use strict';
const http = require('http');
const [packages, ...options] = process.argv.slice(2);
const { WebSocketServer } = require(`${packages}/ws`);

const server = http.createServer((request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.end(`plain upgrade=${request.headers.upgrade ?? 'none'}`);
});
const sockets = new WebSocketServer({
  noServer: true,
  perMessageDeflate: options.includes('deflate') ? { threshold: 0 } : false,
  handleProtocols: (offered) => (offered.has('chat') ? 'chat' : false),
});

server.on('upgrade', (request, socket, head) => {
  const [path, query] = request.url.split('?');
  if (path === '/refuse') {
    socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno');
    return;
  }
  sockets.handleUpgrade(request, socket, head, (websocket) => {
    console.log(`open ${path} ${request.headers.host} ${request.headers['x-forwarded-for']}`);
    websocket.on('error', (error) => console.log(`error ${error.message}`));
    websocket.on('ping', (data) => console.log(`ping ${data.length}`));
    websocket.on('pong', (data) => console.log(`pong ${data.length}`));
    websocket.on('close', (code, reason) => console.log(`close ${code} ${reason}`));
    websocket.on('message', (data, isBinary) => websocket.send(data, { binary: isBinary }));
    if (path === '/close') websocket.close(Number(query), 'as asked');
    if (path === '/drop') socket.destroy();
  });
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));
