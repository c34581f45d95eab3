// Answers with what Node made of the request, and a trailer. Prints its port.
'use strict';
const http = require('http');

const server = http.createServer((request, response) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    response.writeHead(200, { 'content-type': 'application/json', trailer: 'x-reply' });
    response.write(JSON.stringify({
      method: request.method,
      url: request.url,
      version: request.httpVersion,
      headers: request.headers,
      trailers: request.trailers,
      body: Buffer.concat(pieces).toString(),
    }));
    response.addTrailers({ 'x-reply': 'done' });
    response.end();
  });
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));
