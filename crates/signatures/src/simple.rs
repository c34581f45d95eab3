//! The simple forms over a shared secret, as webhooks use them: an HMAC-SHA-256 of the body, in
//! hexadecimal, with or without the time at which it was made.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use smallvec::SmallVec;

use crate::fault::Fault;
use crate::key::{KeyError, check_secret};
use crate::message::Message;
use crate::replay::ReplayId;

const MOST_SECRETS: usize = 4;
/// Signatures in one field: a sender that changes its secret sends one by each.
const MOST_SIGNATURES: usize = 4;
const LONGEST_FIELD: usize = 1024;
const MAC: usize = 32;

/// Where the signature stands, and what it covers. Names of fields are in lower case, times in seconds.
///
/// Method and target are not signed in any of these: for that, see [`crate::Required`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SimpleForm {
    /// `t=1700000000,v1=<hex>`, over `<t>.<body>`.
    Stamped {
        /// The field.
        header: Box<str>,
        /// How far the time may be from now, to both sides.
        tolerance: u64,
    },
    /// `sha256=<hex>` over `<time>.<body>`, with the time in a field of its own.
    Timed {
        /// The field of the signature.
        header: Box<str>,
        /// The field of the time, in seconds since 1970.
        timestamp: Box<str>,
        /// How far the time may be from now, to both sides.
        tolerance: u64,
    },
    /// `sha256=<hex>` over the body alone. Whoever sees a request can send it again at any time.
    Body {
        /// The field.
        header: Box<str>,
    },
}

/// The secrets of one sender: more than one while it changes them.
#[derive(Debug)]
pub struct Secrets(Vec<hmac::Key>);

impl Secrets {
    /// At most four, of 16 bytes or more each.
    pub fn new<'s>(secrets: impl IntoIterator<Item = &'s [u8]>) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for secret in secrets {
            check_secret(secret)?;
            if keys.len() == MOST_SECRETS {
                return Err(KeyError::ManySecrets);
            }
            keys.push(hmac::Key::new(HMAC_SHA256, secret));
        }
        Ok(Self(keys))
    }
}

/// A body that is being checked.
#[derive(Debug)]
pub struct SimpleCheck {
    /// One for each secret.
    contexts: Vec<hmac::Context>,
    signatures: SmallVec<[[u8; MAC]; 1]>,
    until: Option<u64>,
}

/// What the check of a simple form came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimplyVerified {
    /// Which of the secrets it was, in their order.
    pub secret: usize,
    /// By what it is known again.
    pub replay: ReplayId,
    /// Last second in which it is accepted; nothing if that is for ever.
    pub until: Option<u64>,
}

impl SimpleForm {
    /// Reads the fields; the body follows by [`SimpleCheck::update`]. `now` is in seconds since 1970.
    pub fn begin<'a, F>(
        &self,
        message: &Message<'a, F>,
        secrets: &Secrets,
        now: u64,
    ) -> Result<SimpleCheck, Fault>
    where
        F: Iterator<Item = (&'a str, &'a [u8])> + Clone,
    {
        let header = match self {
            Self::Stamped { header, .. } | Self::Timed { header, .. } | Self::Body { header } => {
                header
            }
        };
        let value = only_value(message, header)?.ok_or(Fault::NoSignature)?;
        let (time, signatures, tolerance) = match self {
            Self::Stamped { tolerance, .. } => {
                let (time, signatures) = stamped(value)?;
                (Some(time), signatures, *tolerance)
            }
            Self::Timed {
                timestamp,
                tolerance,
                ..
            } => {
                let time = only_value(message, timestamp)?.ok_or(Fault::NoCreated)?;
                (Some(time), prefixed(value)?, *tolerance)
            }
            Self::Body { .. } => (None, prefixed(value)?, 0),
        };
        let until = match time {
            Some(time) => Some(check_time(time, tolerance, now)?),
            None => None,
        };
        let mut contexts: Vec<_> = secrets.0.iter().map(hmac::Context::with_key).collect();
        for context in &mut contexts {
            if let Some(time) = time {
                context.update(time.as_bytes());
                context.update(b".");
            }
        }
        Ok(SimpleCheck {
            contexts,
            signatures,
            until,
        })
    }
}

impl SimpleCheck {
    /// The next chunk of the body, as it was sent.
    pub fn update(&mut self, chunk: &[u8]) {
        for context in &mut self.contexts {
            context.update(chunk);
        }
    }

    /// After the last chunk: [`Fault::Invalid`] if no secret makes one of the signatures.
    pub fn finish(self) -> Result<SimplyVerified, Fault> {
        for (secret, context) in self.contexts.into_iter().enumerate() {
            let expected = context.sign();
            for signature in &self.signatures {
                if verify_slices_are_equal(expected.as_ref(), signature).is_ok() {
                    return Ok(SimplyVerified {
                        secret,
                        replay: ReplayId::of_content("", signature),
                        until: self.until,
                    });
                }
            }
        }
        Err(Fault::Invalid)
    }
}

/// A field that must not occur twice.
fn only_value<'a, F>(message: &Message<'a, F>, name: &str) -> Result<Option<&'a str>, Fault>
where
    F: Iterator<Item = (&'a str, &'a [u8])> + Clone,
{
    let mut values = message.values(name);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() || value.len() > LONGEST_FIELD {
        return Err(Fault::SimpleMalformed);
    }
    std::str::from_utf8(value)
        .map(Some)
        .map_err(|_| Fault::SimpleMalformed)
}

type Signatures = SmallVec<[[u8; MAC]; 1]>;

/// `t=…,v1=…`; other versions are left out.
fn stamped(value: &str) -> Result<(&str, Signatures), Fault> {
    let mut time = None;
    let mut signatures = Signatures::new();
    for part in value.split(',') {
        match part.trim().split_once('=') {
            Some(("t", _)) if time.is_some() => return Err(Fault::SimpleMalformed),
            Some(("t", text)) => time = Some(text),
            Some(("v1", _)) if signatures.len() == MOST_SIGNATURES => {
                return Err(Fault::SimpleMalformed);
            }
            Some(("v1", signature)) => signatures.push(hexadecimal(signature)?),
            Some(_) => {}
            None => return Err(Fault::SimpleMalformed),
        }
    }
    let time = time.ok_or(Fault::NoCreated)?;
    if signatures.is_empty() {
        return Err(Fault::SimpleMalformed);
    }
    Ok((time, signatures))
}

fn prefixed(value: &str) -> Result<Signatures, Fault> {
    let digits = value
        .strip_prefix("sha256=")
        .ok_or(Fault::SimpleMalformed)?;
    Ok(SmallVec::from_slice(&[hexadecimal(digits)?]))
}

/// The last second in which it is accepted.
fn check_time(text: &str, tolerance: u64, now: u64) -> Result<u64, Fault> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let time: u64 = match text.parse() {
        Ok(time) if is_number => time,
        _ => return Err(Fault::SimpleMalformed),
    };
    if time > now.saturating_add(tolerance) {
        return Err(Fault::FromTheFuture);
    }
    let until = time.saturating_add(tolerance);
    if now > until {
        return Err(Fault::TooOld);
    }
    Ok(until)
}

fn hexadecimal(digits: &str) -> Result<[u8; MAC], Fault> {
    let mut bytes = [0; MAC];
    if digits.len() != 2 * MAC {
        return Err(Fault::SimpleMalformed);
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(Fault::SimpleMalformed);
    for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
        // Two digits of four bits each are one byte.
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
