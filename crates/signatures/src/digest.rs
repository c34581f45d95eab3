//! `Content-Digest` (RFC 9530 §2), checked while the body passes.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Algorithm, Context, SHA256, SHA512};
use sfv::visitor::{
    DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor,
};
use sfv::{BareItemFromInput, KeyRef, Parser};
use smallvec::SmallVec;

use crate::fault::Fault;
use crate::message::Message;

/// Longest field, over all lines, in bytes.
const LONGEST_FIELD: usize = 2048;
const MOST_DIGESTS: usize = 8;

/// Adds up a body, chunk by chunk, and compares it with every digest that was stated and is safe.
pub struct DigestChecker {
    digests: SmallVec<[(Context, Vec<u8>); 1]>,
}

impl DigestChecker {
    /// The checker for this message; nothing if it has no `content-digest`.
    ///
    /// # Errors
    /// [`Fault::DigestMalformed`], or [`Fault::DigestUnsupported`] if only algorithms are named that are
    /// unknown or broken, such as `md5` and `sha`.
    pub fn of<'a, F>(message: &Message<'a, F>) -> Result<Option<Self>, Fault>
    where
        F: Iterator<Item = (&'a str, &'a [u8])> + Clone,
    {
        let mut stated = Stated::default();
        let mut length = None;
        for value in message.values("content-digest") {
            let so_far: &mut usize = length.get_or_insert(0);
            *so_far += value.len();
            if *so_far > LONGEST_FIELD {
                return Err(Fault::DigestMalformed);
            }
            Parser::new(value)
                .parse_dictionary_with_visitor(&mut stated)
                .map_err(|_| Fault::DigestMalformed)?;
        }
        if length.is_none() {
            return Ok(None);
        }
        let mut digests = SmallVec::new();
        for (name, digest) in stated.found {
            let Some(algorithm) = algorithm(name) else {
                continue;
            };
            if digest.len() != algorithm.output_len() {
                return Err(Fault::DigestMalformed);
            }
            digests.push((Context::new(algorithm), digest));
        }
        if digests.is_empty() {
            return Err(Fault::DigestUnsupported);
        }
        Ok(Some(Self { digests }))
    }

    /// The next chunk of the body, as it was sent: before any coding is taken off.
    pub fn update(&mut self, chunk: &[u8]) {
        for (context, _) in &mut self.digests {
            context.update(chunk);
        }
    }

    /// After the last chunk: [`Fault::DigestMismatch`] if one of the digests is another one.
    pub fn finish(self) -> Result<(), Fault> {
        for (context, stated) in self.digests {
            let digest = context.finish();
            verify_slices_are_equal(digest.as_ref(), &stated).map_err(|_| Fault::DigestMismatch)?;
        }
        Ok(())
    }
}

/// Those that the registry calls active (§5).
fn algorithm(name: &str) -> Option<&'static Algorithm> {
    match name {
        "sha-256" => Some(&SHA256),
        "sha-512" => Some(&SHA512),
        _ => None,
    }
}

#[derive(Default)]
struct Stated<'a> {
    found: SmallVec<[(&'a str, Vec<u8>); 1]>,
}

impl<'a> DictionaryVisitor<'a> for &mut Stated<'a> {
    type Out = ();
    type Error = Fault;

    fn entry(&mut self, key: &'a KeyRef) -> Result<impl EntryVisitor<'a>, Fault> {
        let name = key.as_str();
        let is_known = self.found.iter().any(|(found, _)| *found == name);
        if is_known || self.found.len() == MOST_DIGESTS {
            return Err(Fault::DigestMalformed);
        }
        Ok(Member { stated: self, name })
    }

    fn finish(self) -> Result<(), Fault> {
        Ok(())
    }
}

struct Member<'v, 'a> {
    stated: &'v mut Stated<'a>,
    name: &'a str,
}

impl<'a> EntryVisitor<'a> for Member<'_, 'a> {
    type Error = Fault;

    fn item(self) -> Result<impl ItemVisitor<'a>, Fault> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'a>, Fault> {
        Err::<Ignored, _>(Fault::DigestMalformed)
    }
}

impl<'a> ItemVisitor<'a> for Member<'_, 'a> {
    type Out = ();
    type Error = Fault;

    fn bare_item(
        self,
        item: BareItemFromInput<'a>,
    ) -> Result<impl ParameterVisitor<'a, Out = ()>, Fault> {
        let BareItemFromInput::ByteSequence(digest) = item else {
            return Err(Fault::DigestMalformed);
        };
        self.stated.found.push((self.name, digest));
        Ok(Ignored)
    }
}

#[cfg(test)]
mod tests;
