//! A token in compact form, and whether it is genuine.

use thiserror::Error;

use crate::base64url;
use crate::claims::Claims;
use crate::header::Header;
use crate::key::Key;
use crate::set::KeySet;
use crate::thumbprint::KeyId;

/// Longest token that is usually read, in bytes; header fields of requests are seldom longer.
pub const LONGEST_TOKEN: usize = 16 * 1024;

/// A token of the right form (RFC 7515 §7.1), of which nothing but its header is known: who signed it, if anybody, was
/// not checked yet.
#[derive(Debug)]
pub struct Token<'a> {
    header: Header<'a>,
    signed: &'a [u8],
    payload: &'a [u8],
    signature: &'a [u8],
}

/// A token that a key of the set signed. Whether its claims let somebody in is another question.
#[derive(Debug)]
pub struct Verified<'a> {
    header: &'a Header<'a>,
    payload: &'a [u8],
    key: KeyId,
}

/// Why a text is no token that is read here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Longer than the caller reads.
    #[error("the token is too long")]
    TooLong,
    /// Not three parts between two full stops. Encrypted tokens have five.
    #[error("the token does not have three parts")]
    Parts,
    /// A part is not base64url without padding.
    #[error("a part of the token is not base64url")]
    Encoding,
    /// Not a JSON object, a member twice, or one of another type than it must have.
    #[error("the header of the token is malformed")]
    Header,
    /// No `alg`, or one that is not accepted, such as `none`.
    #[error("the algorithm of the token is not accepted")]
    Algorithm,
    /// There is a `crit` or `b64`: an extension must be understood, and none is.
    #[error("the token needs an extension that is not supported")]
    Critical,
    /// There is a `zip`.
    #[error("the token is compressed")]
    Compressed,
    /// `kid` is too long.
    #[error("the key id of the token is too long")]
    KidTooLong,
    /// The claims are not a JSON object, or there is a member twice.
    #[error("the claims of the token are malformed")]
    Claims,
}

impl Malformed {
    /// The stable word for logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::TooLong => "token_too_long",
            Self::Parts => "token_parts",
            Self::Encoding => "token_encoding",
            Self::Header => "token_header",
            Self::Algorithm => "token_algorithm",
            Self::Critical => "token_critical",
            Self::Compressed => "token_compressed",
            Self::KidTooLong => "token_kid_too_long",
            Self::Claims => "token_claims",
        }
    }
}

/// Why a token is not known to be genuine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotVerified {
    /// No key has its `kid`. A newer set may have one: the only fault for which it is worth asking the issuer again.
    #[error("the key of the token is not known")]
    UnknownKey,
    /// It has no `kid`, and several keys could have signed it.
    #[error("the token does not name its key")]
    KeyNotNamed,
    /// Its key is for another algorithm, or no key is for the algorithm of a token without `kid`.
    #[error("the algorithm of the token is not that of its key")]
    WrongAlgorithm,
    /// Its key did not sign this.
    #[error("the signature of the token does not match")]
    BadSignature,
}

impl NotVerified {
    /// The stable word for logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::UnknownKey => "unknown_key",
            Self::KeyNotNamed => "key_not_named",
            Self::WrongAlgorithm => "wrong_algorithm",
            Self::BadSignature => "bad_signature",
        }
    }
}

impl<'a> Token<'a> {
    /// Reads the form of a token of at most `longest` bytes. The buffer is what its parts are decoded into: whoever
    /// keeps one for the next token allocates nothing here.
    ///
    /// # Errors
    /// Why it is no token that is read here.
    pub fn parse(
        text: &'a str,
        longest: usize,
        buffer: &'a mut Vec<u8>,
    ) -> Result<Self, Malformed> {
        if text.len() > longest {
            return Err(Malformed::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Malformed::Parts)?;
        let (header, payload) = signed.split_once('.').ok_or(Malformed::Parts)?;
        if payload.contains('.') {
            return Err(Malformed::Parts);
        }
        buffer.clear();
        let mut decode = |part| {
            base64url::decode_to(part, buffer).ok_or(Malformed::Encoding)?;
            Ok(buffer.len())
        };
        let header_end = decode(header)?;
        let payload_end = decode(payload)?;
        decode(signature)?;
        let buffer: &'a [u8] = buffer;
        let (header, rest) = buffer.split_at(header_end);
        let (payload, signature) = rest.split_at(payload_end - header_end);
        Ok(Self {
            header: Header::parse(header)?,
            signed: signed.as_bytes(),
            payload,
            signature,
        })
    }

    /// What it says of itself.
    pub const fn header(&self) -> &Header<'a> {
        &self.header
    }

    /// Who it says issued it, which anybody can write: to choose whom to ask about it, and for nothing else.
    pub fn stated_issuer(&self) -> Option<String> {
        let claims = Claims::parse(self.payload).ok()?;
        claims.issuer().map(str::to_owned)
    }

    /// Checks it with the one key of the set that can have signed it.
    ///
    /// # Errors
    /// Why it is not known to be genuine.
    pub fn verify(&self, keys: &KeySet) -> Result<Verified<'_>, NotVerified> {
        let key = keys.find(self.header.kid.as_deref(), self.header.algorithm)?;
        self.verify_with(key)
    }

    /// Checks it with this key, whatever `kid` the token names.
    ///
    /// # Errors
    /// [`NotVerified::WrongAlgorithm`] or [`NotVerified::BadSignature`].
    pub fn verify_with(&self, key: &Key) -> Result<Verified<'_>, NotVerified> {
        if key.algorithm() != self.header.algorithm {
            return Err(NotVerified::WrongAlgorithm);
        }
        if !key.verifies(self.signed, self.signature) {
            return Err(NotVerified::BadSignature);
        }
        Ok(Verified {
            header: &self.header,
            payload: self.payload,
            key: key.id(),
        })
    }
}

impl Verified<'_> {
    /// What it says of itself.
    pub const fn header(&self) -> &Header<'_> {
        self.header
    }

    /// The key that signed it. What is kept of the token falls with this key.
    pub const fn key(&self) -> KeyId {
        self.key
    }

    /// What was signed; claims, if it is a JSON web token.
    pub const fn payload(&self) -> &[u8] {
        self.payload
    }

    /// Its claims.
    ///
    /// # Errors
    /// [`Malformed::Claims`].
    pub fn claims(&self) -> Result<Claims, Malformed> {
        Claims::parse(self.payload)
    }
}

#[cfg(test)]
mod tests;
