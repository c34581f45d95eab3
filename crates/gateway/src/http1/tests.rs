mod decoding;
mod encoding;
mod heads;
