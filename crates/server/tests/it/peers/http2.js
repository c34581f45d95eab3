// An HTTP/2 server, in clear text, or with TLS if it is given a certificate and a key. Prints its
// port, then a line for each session.
'use strict';
const fs = require('fs');
const http2 = require('http2');

const [certificate, key] = process.argv.slice(2);
const options = { settings: { initialWindowSize: 256 * 1024, maxConcurrentStreams: 4 } };
const server = certificate
  ? http2.createSecureServer({
    ...options,
    cert: fs.readFileSync(certificate),
    key: fs.readFileSync(key),
    allowHTTP1: false,
  })
  : http2.createServer(options);

server.on('session', (session) => {
  session.on('error', () => {});
  console.log('session');
});

const routes = {
  // What came, as JSON.
  '/seen': (stream, headers) => {
    const pieces = [];
    let trailers = {};
    stream.on('trailers', (fields) => { trailers = fields; });
    stream.on('data', (piece) => pieces.push(piece));
    stream.on('end', () => {
      const body = Buffer.concat(pieces);
      stream.respond({ ':status': 200, 'content-type': 'application/json' });
      stream.end(JSON.stringify({ headers, trailers, length: body.length }));
    });
  },
  // The body, as it comes in.
  '/echo': (stream) => {
    stream.respond({ ':status': 200 });
    stream.pipe(stream);
  },
  '/trailers': (stream) => {
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42' }));
    stream.end('body');
  },
  '/hints': (stream) => {
    stream.additionalHeaders({ ':status': 103, link: '</style.css>; rel=preload' });
    stream.respond({ ':status': 200 });
    stream.end('after the hints');
  },
  // The session takes no further stream, but answers this one.
  '/goaway': (stream) => {
    stream.session.goaway();
    stream.respond({ ':status': 200 });
    stream.end('last');
  },
  // After a while.
  '/slow': (stream) => {
    setTimeout(() => {
      stream.respond({ ':status': 200 });
      stream.end('late');
    }, 800);
  },
  // Ends in the middle of its body.
  '/reset': (stream) => {
    stream.respond({ ':status': 200 });
    stream.write('part', () => stream.destroy(new Error('on purpose')));
  },
};

server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  const route = routes[headers[':path'].split('?')[0]];
  if (route) {
    route(stream, headers);
    return;
  }
  stream.respond({ ':status': 404 });
  stream.end();
});

server.listen(0, '127.0.0.1', () => console.log(server.address().port));
