"""Decodes standard input, which must be whole and nothing more: decode.py gzip|br|zstd."""

import gzip
import sys

import brotlicffi
import zstandard


def main():
    data = sys.stdin.buffer.read()
    coding = sys.argv[1]
    if coding == "gzip":
        decoded = gzip.decompress(data)
    elif coding == "br":
        decoded = brotlicffi.decompress(data)
    else:
        decoder = zstandard.ZstdDecompressor().decompressobj()
        decoded = decoder.decompress(data)
        if not decoder.eof or decoder.unused_data:
            sys.exit("the frame does not end where the data ends")
    sys.stdout.buffer.write(decoded)


main()
