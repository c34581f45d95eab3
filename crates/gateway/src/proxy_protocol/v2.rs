//! Version 2: binary, with extensions (`proxy-protocol.txt` §2.2).

use std::net::{IpAddr, SocketAddr};

use super::{Header, Parsed, ProxyError};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Signature, version and command, family and transport, length.
const FIXED_LENGTH: usize = 16;

/// Two paths of 108 bytes.
const UNIX_ADDRESSES: usize = 216;

/// Extensions (TLVs) accepted. Balancers send some hundred bytes; the length field would allow
/// 64 KiB of them to be sent by anyone before anything is known about the peer.
const MAXIMUM_EXTENSIONS: usize = 4096;

pub(super) const MAXIMUM_LENGTH: usize = FIXED_LENGTH + UNIX_ADDRESSES + MAXIMUM_EXTENSIONS;

const TYPE_AUTHORITY: u8 = 0x02;
const TYPE_CRC32C: u8 = 0x03;
const TYPE_SSL: u8 = 0x20;

/// Bit of `PP2_TYPE_SSL`'s first byte: the client connected over TLS.
const CLIENT_SSL: u8 = 0x01;

/// Parses a header whose beginning agrees with [`SIGNATURE`].
pub(super) fn parse(bytes: &[u8]) -> Result<Parsed, ProxyError> {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_LENGTH>() else {
        return Ok(Parsed::NeedMore);
    };
    if fixed[12] >> 4 != 2 {
        return Err(ProxyError::Malformed("the version is not 2"));
    }
    let local = match fixed[12] & 0x0f {
        0 => true,
        1 => false,
        _ => return Err(ProxyError::Malformed("unknown command")),
    };
    let payload_length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    // The family of a LOCAL header is to be ignored with the rest of it.
    let family = if local {
        Family::Unspecified
    } else {
        Family::from_wire(fixed[13])?
    };
    if payload_length < family.addresses_length() {
        return Err(ProxyError::Malformed("too short for its addresses"));
    }
    if payload_length > family.addresses_length() + MAXIMUM_EXTENSIONS {
        return Err(ProxyError::TooLong(
            FIXED_LENGTH + family.addresses_length() + MAXIMUM_EXTENSIONS,
        ));
    }
    let Some(payload) = rest.get(..payload_length) else {
        return Ok(Parsed::NeedMore);
    };
    let length = FIXED_LENGTH + payload_length;
    let header = if matches!(family, Family::Unspecified) {
        // Nothing says how such a payload is laid out.
        Header {
            local,
            ..Header::default()
        }
    } else {
        let (addresses, _) = payload.split_at(family.addresses_length());
        let mut header = Header::default();
        (header.source, header.destination) = family.parse_addresses(addresses);
        parse_extensions(
            &bytes[..length],
            FIXED_LENGTH + addresses.len(),
            &mut header,
        )?;
        header
    };
    Ok(Parsed::Done { header, length })
}

/// Address families that a stream may have.
#[derive(Clone, Copy)]
enum Family {
    Unspecified,
    Inet,
    Inet6,
    Unix,
}

impl Family {
    /// Reads the byte of family and transport.
    fn from_wire(byte: u8) -> Result<Self, ProxyError> {
        match byte {
            0x00 => Ok(Self::Unspecified),
            0x11 => Ok(Self::Inet),
            0x21 => Ok(Self::Inet6),
            0x31 => Ok(Self::Unix),
            0x12 | 0x22 | 0x32 => Err(ProxyError::Unsupported("datagram transport")),
            _ => Err(ProxyError::Malformed("unknown family or transport")),
        }
    }

    /// Bytes that both addresses take.
    fn addresses_length(self) -> usize {
        match self {
            Self::Unspecified => 0,
            Self::Inet => 12,
            Self::Inet6 => 36,
            Self::Unix => UNIX_ADDRESSES,
        }
    }

    /// Reads source and destination from as many bytes as [`Self::addresses_length`] says.
    fn parse_addresses(self, bytes: &[u8]) -> (Option<SocketAddr>, Option<SocketAddr>) {
        match self {
            Self::Unspecified | Self::Unix => (None, None),
            Self::Inet => parse_pair::<4>(bytes),
            Self::Inet6 => parse_pair::<16>(bytes),
        }
    }
}

/// Reads two addresses of `N` bytes and then their ports.
fn parse_pair<const N: usize>(bytes: &[u8]) -> (Option<SocketAddr>, Option<SocketAddr>)
where
    IpAddr: From<[u8; N]>,
{
    let endpoint = |index: usize| {
        let address: [u8; N] = *bytes.get(index * N..)?.first_chunk()?;
        let port: [u8; 2] = *bytes.get(2 * N + index * 2..)?.first_chunk()?;
        let address = IpAddr::from(address).to_canonical();
        Some(SocketAddr::new(address, u16::from_be_bytes(port)))
    };
    (endpoint(0), endpoint(1))
}

/// Reads the extensions that begin at `start` of the whole header; they must fill it exactly.
fn parse_extensions(whole: &[u8], mut start: usize, header: &mut Header) -> Result<(), ProxyError> {
    let mut checksum_seen = false;
    let mut tls_seen = false;
    while start < whole.len() {
        let Some(&[kind, high, low]) = whole[start..].first_chunk() else {
            return Err(ProxyError::Malformed("truncated extension"));
        };
        let value_start = start + 3;
        let value_end = value_start + usize::from(u16::from_be_bytes([high, low]));
        let Some(value) = whole.get(value_start..value_end) else {
            return Err(ProxyError::Malformed("truncated extension"));
        };
        match kind {
            TYPE_AUTHORITY => {
                let text = str::from_utf8(value)
                    .map_err(|_| ProxyError::Malformed("the authority is not UTF-8"))?;
                if header.authority.replace(text.to_owned()).is_some() {
                    return Err(ProxyError::Malformed("repeated authority"));
                }
            }
            TYPE_CRC32C => {
                let announced: [u8; 4] = value
                    .try_into()
                    .map_err(|_| ProxyError::Malformed("the checksum is not of four bytes"))?;
                if std::mem::replace(&mut checksum_seen, true) {
                    return Err(ProxyError::Malformed("repeated checksum"));
                }
                // Computed over the whole header with the checksum's own bytes as zeros.
                let mut checksum = Crc32c::new();
                checksum.update(&whole[..value_start]);
                checksum.update(&[0; 4]);
                checksum.update(&whole[value_end..]);
                if checksum.finish() != u32::from_be_bytes(announced) {
                    return Err(ProxyError::Checksum);
                }
            }
            TYPE_SSL => {
                // One byte of bits, four of the verification's result, then extensions of its own.
                let Some((&[client, ..], _)) = value.split_first_chunk::<5>() else {
                    return Err(ProxyError::Malformed("truncated TLS extension"));
                };
                if std::mem::replace(&mut tls_seen, true) {
                    return Err(ProxyError::Malformed("repeated TLS extension"));
                }
                header.tls = client & CLIENT_SSL != 0;
            }
            _ => {}
        }
        start = value_end;
    }
    Ok(())
}

/// CRC-32C (RFC 3720 §B.4). Bit by bit: it runs once a connection, over some hundred bytes as a rule.
pub(super) struct Crc32c(u32);

impl Crc32c {
    pub(super) fn new() -> Self {
        Self(!0)
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 ^= u32::from(byte);
            for _ in 0..8 {
                let carry = self.0 & 1 != 0;
                self.0 >>= 1;
                if carry {
                    self.0 ^= 0x82f6_3b78;
                }
            }
        }
    }

    pub(super) fn finish(self) -> u32 {
        !self.0
    }
}
