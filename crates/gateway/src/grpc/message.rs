//! `grpc-message`: text for people, as fields can carry it.

/// Percent-encodes what is not printable ASCII (`Status-Message` of gRPC's protocol).
pub(super) fn encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push(char::from(HEX[usize::from(byte >> 4)]));
            encoded.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_printable_ascii_is_written_as_it_is() {
        assert_eq!(encode("a b~"), "a b~");
        assert_eq!(encode("100% é\r\n\0\x7f"), "100%25 %C3%A9%0D%0A%00%7F");
    }
}
