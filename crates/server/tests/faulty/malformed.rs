//! Heads that no client should believe.

/// How many there are, for either protocol.
pub const COUNT: usize = 8;

/// For HTTP/1.1.
pub const HTTP1: [&[u8]; COUNT] = [
    b"220 mail.test ready\r\n\r\n",
    b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/3.7 200 OK\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nSpace : before the colon\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: upgrade\r\n\r\n",
];

/// For HTTP/2: what stands in a HEADERS frame (RFC 7541). `0x88` is `:status: 200`; `0x00` and
/// `0x10` begin a field with a name of its own.
pub const HTTP2: [&[u8]; COUNT] = [
    // An index that does not exist.
    b"\x88\xff\xff\x7f",
    // Index 0, which stands for nothing.
    b"\x80",
    // No status.
    b"\x00\x01a\x01b",
    // A name in upper case.
    b"\x88\x00\x01A\x01b",
    // A field about the connection (§8.2.2).
    b"\x88\x00\x0aconnection\x05close",
    // A status that is none: literal value for the name of index 8.
    b"\x08\x02ok",
    // A field that is cut off.
    b"\x88\x00\x0fname",
    // A length that is no number: literal value for the name of index 28, `content-length`.
    b"\x88\x0f\x0d\x04many",
];
