// Tells what Node's parser understood: one line of JSON on standard output for each request.
const http = require('node:http');
const server = http.createServer({ maxHeaderSize: 65536 }, (request, response) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => {
    const values = (name) => {
      const found = [];
      for (let at = 0; at < request.rawHeaders.length; at += 2) {
        if (request.rawHeaders[at].toLowerCase() === name) found.push(request.rawHeaders[at + 1]);
      }
      return found.join(',');
    };
    const seen = {
      method: request.method,
      target: request.url,
      host: values('host'),
      type: values('content-type'),
      cookie: values('cookie'),
      odd: values('x-odd'),
      forwarded: values('x-forwarded-for'),
      body: Buffer.concat(pieces).toString('latin1'),
    };
    process.stdout.write(JSON.stringify(seen) + '\n');
    response.end('ok');
  });
});
server.on('clientError', (error, socket) => {
  process.stdout.write(JSON.stringify({ refused: error.code, target: '' }) + '\n');
  socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
});
server.listen(Number(process.argv[2]), '127.0.0.1');
