//! Why a signature is not accepted.

use thiserror::Error;

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $name:ident $word:literal $sentence:literal)*) => {
        /// What is wrong with a signed request: a stable word for log and metrics, and one sentence for
        /// whoever holds the key.
        ///
        /// The sentence never repeats what was sent, and never tells which keys there are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
        pub enum Fault {
            $($(#[doc = $doc])* #[error($sentence)] $name,)*
        }

        impl Fault {
            /// Every fault, in the order in which they can be met.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The stable word.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// The sentence, without a full stop.
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $sentence,)*
                }
            }
        }
    };
}

faults! {
    /// The request carries none.
    NoSignature "signature_missing" "the request is not signed"
    /// More than the limits of [`crate::Required::verify`] allow.
    TooLarge "signature_too_large" "the signature fields are too long, or name too many signatures, components or parameters"
    /// Not as RFC 9421 §4 has it.
    Malformed "signature_malformed" "signature-input and signature are not the dictionaries that RFC 9421 asks for"
    /// Two signatures with one label.
    DuplicateLabel "signature_label_twice" "two signatures have the same label"
    /// A label stands in one of the two fields only.
    Unpaired "signature_unpaired" "each label must stand in signature-input and in signature"
    /// One parameter twice in one list.
    DuplicateParameter "signature_parameter_twice" "a parameter of the signature stands there twice"
    /// A parameter has another type than RFC 9421 §2.3 gives it.
    BadParameter "signature_parameter_invalid" "a parameter of the signature has the wrong type or an impossible value"
    /// The policy asks for a tag that no signature has.
    WrongTag "signature_tag_wrong" "no signature has the tag that is asked for here"
    /// There is no `keyid`.
    NoKeyId "signature_keyid_missing" "the signature does not say with keyid which key made it"
    /// Nobody has this key. Tell clients [`Fault::told`].
    UnknownKey "signature_key_unknown" "no key has this keyid"
    /// `alg` is not the key's. Tell clients [`Fault::told`].
    WrongAlgorithm "signature_algorithm_wrong" "alg is not the algorithm of this key"
    /// The key's algorithm is not among those of the policy. Tell clients [`Fault::told`].
    AlgorithmNotAllowed "signature_algorithm_not_allowed" "the algorithm of this key is not accepted here"
    /// There is no `created`.
    NoCreated "signature_created_missing" "the signature does not say with created when it was made"
    /// `created` is later than now, beyond the clock skew.
    FromTheFuture "signature_from_the_future" "the signature was created in the future; is the clock right"
    /// `created` is longer ago than the policy allows.
    TooOld "signature_too_old" "the signature was created too long ago; sign each request when it is sent"
    /// `expires` is before `created`.
    ExpiresBeforeCreated "signature_expires_before_created" "the signature expires before it was created"
    /// `expires` has passed.
    Expired "signature_expired" "the signature has expired"
    /// The policy asks for a nonce.
    NoNonce "signature_nonce_missing" "the signature has no nonce"
    /// The policy asks for a component that is not covered.
    NotCovered "signature_component_missing" "the signature does not cover all components that are asked for here"
    /// There is a body, and its digest is not covered.
    DigestNotCovered "signature_digest_missing" "the signature of a request with a body must cover content-digest"
    /// One component twice.
    DuplicateComponent "signature_component_twice" "the signature covers one component twice"
    /// A component that does not exist, or exists in responses only.
    UnknownComponent "signature_component_unknown" "the signature covers a component that requests do not have"
    /// A parameter that its component does not have, or two that exclude each other.
    BadComponentParameter "signature_component_parameter" "a component has a parameter that does not fit it"
    /// `tr`: a field of the trailers.
    TrailerComponent "signature_of_trailers" "fields of trailers cannot be signed here: they come after the request was let in"
    /// `req`: a component of the request that a response answers.
    RequestComponent "signature_of_related_request" "the parameter req belongs to signatures of responses"
    /// A field, member or query parameter that the request does not have.
    AbsentComponent "signature_component_absent" "the signature covers something that the request does not have"
    /// A query parameter that occurs twice (§2.2.8).
    AmbiguousParameter "signature_query_ambiguous" "a query parameter that occurs twice cannot be signed by its name; sign @query"
    /// A value that is not ASCII, or no structured field where one is asked for.
    BadValue "signature_value_invalid" "a signed value is not ASCII, or is no structured field although it is signed as one"
    /// The signature is not the one of this key over this request.
    Invalid "signature_invalid" "the signature does not fit the request and the key"
    /// The same signature, or the same nonce, a second time.
    Replayed "signature_replayed" "this signature, or its nonce, was used before"
    /// Too many signatures are remembered; see [`crate::ReplayGuard`].
    ReplaysFull "signature_replays_full" "too many signed requests at once; try again later"
    /// Not the form that the policy has for a shared secret.
    SimpleMalformed "signature_form_invalid" "the signature does not have the form that is asked for here"
    /// `content-digest` is no dictionary of byte sequences, or one has the wrong length.
    DigestMalformed "digest_malformed" "content-digest is not the dictionary that RFC 9530 asks for"
    /// None of the algorithms is known.
    DigestUnsupported "digest_unsupported" "content-digest has neither sha-256 nor sha-512"
    /// The body is another one.
    DigestMismatch "digest_mismatch" "the body does not fit content-digest"
}

impl Fault {
    /// The fault as clients may know it: which keys there are, and of what kind, is not told to whoever
    /// has none.
    pub const fn told(self) -> Self {
        match self {
            Self::UnknownKey | Self::WrongAlgorithm | Self::AlgorithmNotAllowed => Self::Invalid,
            other => other,
        }
    }

    /// Whether the same request can be accepted later.
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::ReplaysFull)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_fault_has_a_word_of_its_own_and_a_sentence_in_the_house_style() {
        let words: HashSet<_> = Fault::ALL.iter().map(|fault| fault.as_str()).collect();
        assert_eq!(words.len(), Fault::ALL.len());
        for fault in Fault::ALL {
            let (word, sentence) = (fault.as_str(), fault.sentence());
            let is_word = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            assert!(word.bytes().all(is_word), "{word}");
            assert!(!sentence.ends_with('.'), "{sentence}");
            assert!(
                sentence.starts_with(|c: char| !c.is_uppercase()),
                "{sentence}"
            );
        }
    }

    #[test]
    fn which_keys_there_are_is_not_told() {
        for fault in [
            Fault::UnknownKey,
            Fault::WrongAlgorithm,
            Fault::AlgorithmNotAllowed,
        ] {
            assert_eq!(fault.told(), Fault::Invalid);
        }
        assert_eq!(Fault::Expired.told(), Fault::Expired);
    }
}
