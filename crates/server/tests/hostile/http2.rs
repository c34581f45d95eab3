//! HTTP/2 floods and malformed requests: the connection ends or the stream is refused, memory stays
//! bounded, and others are served meanwhile.

use std::io::Write;

use crate::harness::http2::{
    Client, END_HEADERS, END_STREAM, Ended, Field, HEADERS, block, frame, get,
};
use crate::harness::upstream::Upstream;
use crate::harness::weir::Weir;

mod floods;
mod malformed;

/// The code of a reset that a client asks for.
const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// Most memory that Weir may ever hold in one of these tests, in KiB.
const MEMORY: u64 = 48 * 1024;

struct Bench {
    upstream: Upstream,
    weir: Weir,
}

impl Bench {
    fn start() -> Self {
        let upstream = Upstream::answering(|seen, stream| {
            if seen.target == "/held" {
                // Until the connection ends: the exchange was given up.
                return std::io::copy(stream, &mut std::io::sink()).map(drop);
            }
            if seen.target != "/large" {
                return stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 16777216\r\n\r\n")?;
            let piece = vec![b'x'; 64 * 1024];
            (0..256).try_for_each(|_| stream.write_all(&piece))
        });
        let weir = Weir::start(&format!(
            "listeners: [{{ address: '@listen' }}]
upstreams: {{ all: {{ targets: ['{}'] }} }}
routes: [{{ name: all, match: {{ path: /* }}, upstream: all }}]
timeouts: {{ head: 10s, idle: 10s, body: 10s, write: 2s }}
limits: {{ streams: 100 }}
",
            upstream.address
        ));
        Self { upstream, weir }
    }

    fn client(&self) -> Client {
        Client::connect(self.weir.address)
    }

    fn outcome(&self, fields: &[Field<'_>]) -> Ended {
        self.client().request(fields)
    }

    /// Ends a test: others are served, memory was bounded.
    fn finish(&self, what: &str) {
        self.weir.assert_serves();
        let memory = self.weir.peak_memory();
        println!("{what}: {memory} KiB at most");
        assert!(memory < MEMORY, "{what}: {memory} KiB");
    }
}

fn request_frame(id: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, id, &block(&get(path)))
}
