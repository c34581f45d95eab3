//! One way to say who one is, as a policy describes it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;
use weir_config::model::{
    ApiKey, Basic, Config, Credential, Hmac, Introspection, Mtls, PolicyKind, Session,
};
use weir_jose::NotVerified;
use weir_signatures::{Fault, Message};

use super::jwt::{self, Jwt};
use super::known::Known;
use super::lookup::Answer;
use super::message::Open;
use super::replays::Replays;
use super::rules::Asked;
use super::signature::{self, Signature};
use super::{
    Bad, Verdict, Wanted, api_key, basic, hmac, introspection, mtls, presented, session, token,
};
use crate::fields::Fields;
use crate::metrics::CredentialKind;
use crate::tls::TlsFacts;

/// A policy that identifies. It outlives revisions that do not change it, and so does what workers know by it.
pub(crate) struct Way {
    /// Never given twice by a process.
    pub(super) id: u64,
    kind: Kind,
}

enum Kind {
    Jwt(Box<Jwt>),
    Introspection(Arc<Introspection>),
    ApiKey(ApiKey),
    Session(Session),
    Basic(Basic),
    Mtls(Box<Mtls>),
    Signature(Signature),
    Hmac(Box<Hmac>),
}

impl Kind {
    /// In place of the former one of this name. `None` for a policy that does not identify.
    fn of(policy: &PolicyKind, former: Option<&Self>) -> Option<Self> {
        match policy {
            PolicyKind::Jwt(model) => Some(Self::Jwt(Box::new(Jwt::compile(model)))),
            PolicyKind::Introspection(model) => Some(Self::Introspection(Arc::clone(model))),
            PolicyKind::ApiKey(model) => Some(Self::ApiKey(model.clone())),
            PolicyKind::Session(model) => Some(Self::Session(model.clone())),
            PolicyKind::Basic(model) => Some(Self::Basic(model.clone())),
            PolicyKind::Mtls(model) => Some(Self::Mtls(model.clone())),
            PolicyKind::Signature(model) => {
                let former = match former {
                    Some(Self::Signature(former)) => Some(former),
                    _ => None,
                };
                Some(Self::Signature(Signature::compile(model, former)))
            }
            PolicyKind::Hmac(model) => Some(Self::Hmac(model.clone())),
            _ => None,
        }
    }

    /// Whether it is the same as this policy.
    fn is(&self, policy: &PolicyKind) -> bool {
        match (self, policy) {
            (Self::Jwt(one), PolicyKind::Jwt(other)) => one.model == **other,
            (Self::Introspection(one), PolicyKind::Introspection(other)) => one == other,
            (Self::ApiKey(one), PolicyKind::ApiKey(other)) => one == other,
            (Self::Session(one), PolicyKind::Session(other)) => one == other,
            (Self::Basic(one), PolicyKind::Basic(other)) => one == other,
            (Self::Mtls(one), PolicyKind::Mtls(other)) => one == other,
            (Self::Signature(one), PolicyKind::Signature(other)) => one.model == *other,
            (Self::Hmac(one), PolicyKind::Hmac(other)) => one == other,
            _ => false,
        }
    }
}

impl Way {
    /// What holds for its credentials.
    pub(super) fn credential(&self) -> Credential {
        match &self.kind {
            Kind::Jwt(jwt) => jwt.model.credential,
            Kind::Introspection(model) => model.credential,
            Kind::ApiKey(key) => key.credential,
            Kind::Session(session) => session.credential,
            Kind::Basic(basic) => basic.credential,
            Kind::Mtls(mtls) => mtls.credential,
            Kind::Signature(signature) => signature.model.credential,
            Kind::Hmac(hmac) => hmac.credential,
        }
    }

    /// Whether a credential of this kind can be found by trying.
    pub(super) const fn can_be_guessed(&self) -> bool {
        matches!(self.kind, Kind::Basic(_))
    }

    /// The credential in a request or of its connection, if there is one of this kind.
    pub(super) fn presented<'a>(
        &'a self,
        fields: &'a Fields,
        tls: Option<&'a TlsFacts>,
        asked: &Asked<'_>,
    ) -> Result<Option<&'a [u8]>, &'static str> {
        match &self.kind {
            Kind::Jwt(jwt) => presented::token(fields, &jwt.model.place),
            Kind::Introspection(model) => introspection::presented(fields, &model.place),
            Kind::ApiKey(key) => api_key::presented(fields, &key.header),
            Kind::Session(_) => Ok(session::presented(fields, asked)),
            Kind::Basic(_) => basic::presented(fields),
            Kind::Mtls(_) => Ok(mtls::presented(tls)),
            Kind::Signature(_) => Ok(signature::presented(fields)),
            Kind::Hmac(hmac) => Ok(fields.get(&hmac.header).map(HeaderValue::as_bytes)),
        }
    }

    /// Why a request may not use a credential of this kind, good as it may be.
    pub(super) fn forbids(
        &self,
        fields: &Fields,
        tls: Option<&TlsFacts>,
        asked: &Asked<'_>,
    ) -> Option<Bad> {
        match &self.kind {
            Kind::Session(_) => session::forbids(fields, asked, tls),
            _ => None,
        }
    }

    /// Where somebody who opens a page is sent to get such a credential.
    pub(super) fn sign_in(&self) -> Option<&str> {
        match &self.kind {
            Kind::Session(session) => session.sign_in.as_deref(),
            _ => None,
        }
    }

    /// Whether it is about sessions, and the upstream gets them.
    pub(super) const fn lends_sessions(&self) -> bool {
        matches!(&self.kind, Kind::Session(session) if session.credential.is_forwarded)
    }

    /// Whose it is, or who must be asked. `now` is in seconds since 1970.
    pub(super) fn verify(&self, credential: &[u8], tls: Option<&TlsFacts>, now: u64) -> Verdict {
        match &self.kind {
            Kind::Jwt(jwt) => match jwt.verify(credential, now) {
                Ok(known) => Verdict::Good(known),
                Err(jwt::Refused::Bad(bad)) => Verdict::Bad(bad),
                Err(jwt::Refused::Ask(asking)) => Verdict::Ask(Wanted::Issuer(asking)),
            },
            Kind::Introspection(model) => introspection::verify(model, credential),
            Kind::ApiKey(_) => api_key::verify(credential),
            Kind::Session(_) => session::verify(credential),
            Kind::Basic(model) => basic::verify(&model.users, credential),
            Kind::Mtls(model) => match tls {
                Some(facts) => mtls::verify(model, facts, now),
                None => Verdict::Bad(mtls::bad("certificate_missing")),
            },
            // What they say of a message is known before.
            Kind::Signature(_) | Kind::Hmac(_) => Verdict::Unavailable("the message was not read"),
        }
    }

    /// What a token comes to once its issuer was asked: another look, if there is anything new to look at.
    pub(super) fn look_again(
        &self,
        told: Result<bool, &'static str>,
        credential: &[u8],
        now: u64,
    ) -> Verdict {
        match told {
            Err(why) => Verdict::Unavailable(why),
            Ok(false) => Verdict::Bad(jwt::unknown(NotVerified::UnknownKey)),
            Ok(true) => match self.verify(credential, None, now) {
                // It does not know the key either: that is an answer.
                Verdict::Ask(_) => Verdict::Bad(jwt::unknown(NotVerified::UnknownKey)),
                verdict => verdict,
            },
        }
    }

    /// What the answer to a question about a credential says, which was asked when `since` was the latest change.
    pub(super) fn read(&self, answer: Answer, credential: &[u8], since: u64, now: u64) -> Verdict {
        match (answer, &self.kind) {
            (Answer::Unavailable(why), _) => Verdict::Unavailable(why),
            (Answer::Good(good), Kind::ApiKey(key)) => {
                match key.takes(good.principal.organization.as_deref()) {
                    true => Verdict::Good(Known::told(*good, since, now)),
                    false => Verdict::Bad(api_key::bad("key_of_another_organization")),
                }
            }
            (Answer::Bad(word), Kind::ApiKey(_)) => Verdict::Bad(api_key::bad(word)),
            (Answer::Good(good), Kind::Session(model)) => session::read(model, *good, since, now),
            // It is over, or nobody's, and the browser sends it all the same.
            (Answer::Bad(_), Kind::Session(_)) => Verdict::Nobody,
            (Answer::Good(good), Kind::Basic(_)) => Verdict::Good(Known::told(*good, since, now)),
            (Answer::Bad(word), Kind::Basic(_)) => Verdict::Bad(basic::bad(word)),
            (Answer::Said(said), Kind::Introspection(model)) => {
                match introspection::judge(model, credential, *said, since, now) {
                    Ok(known) => Verdict::Good(known),
                    Err(bad) => Verdict::Bad(bad),
                }
            }
            (Answer::Bad(word), Kind::Introspection(_)) => {
                Verdict::Bad(introspection::refused(word))
            }
            // Others never ask, and nobody is told what another way would be.
            _ => Verdict::Unavailable("nothing was asked"),
        }
    }

    /// The cookie that takes the place of the one that was asked about, whatever that is worth to the policy.
    pub(super) fn successor(&self, answer: &Answer, fields: &Fields) -> Option<HeaderValue> {
        match &self.kind {
            Kind::Session(_) => session::successor(answer, fields),
            _ => None,
        }
    }

    /// Whether it is about whole messages: then [`Way::open`] and [`Way::close`] come first.
    pub(super) const fn reads_messages(&self) -> bool {
        matches!(self.kind, Kind::Signature(_) | Kind::Hmac(_))
    }

    /// Whether a message with these fields says in this way who it is from.
    pub(super) fn is_in(&self, fields: &Fields) -> bool {
        match &self.kind {
            Kind::Signature(_) => signature::presented(fields).is_some(),
            Kind::Hmac(model) => fields.get(&model.header).is_some(),
            _ => false,
        }
    }

    /// Judges the fields of such a message; `None` if this is not about messages.
    pub(super) fn open<'a, F>(
        &self,
        message: &Message<'a, F>,
        now: u64,
    ) -> Option<Result<Open, Fault>>
    where
        F: Iterator<Item = (&'a str, &'a [u8])> + Clone,
    {
        match &self.kind {
            Kind::Signature(signature) => Some(signature.open(message, now)),
            Kind::Hmac(model) => Some(hmac::open(model, message, now)),
            _ => None,
        }
    }

    /// Longest body that is read, in bytes; `None` if none is.
    pub(super) fn body_bytes(&self) -> Option<usize> {
        match &self.kind {
            Kind::Signature(signature) => Some(signature.model.body_bytes),
            Kind::Hmac(hmac) => Some(hmac.body_bytes),
            _ => None,
        }
    }

    /// Whose message it is, after its body.
    pub(super) fn close(&self, open: Open, now: u64) -> Verdict {
        match (&self.kind, open) {
            (Kind::Signature(signature), Open::Signature { verified, digest }) => {
                signature.close(&verified, digest, now)
            }
            (Kind::Hmac(model), Open::Simple(check)) => hmac::close(model, check),
            _ => Verdict::Unavailable("another kind of message was read"),
        }
    }

    /// Where used signatures are remembered; `None` if such are not taken.
    pub(super) fn replays(&self) -> Option<&Replays> {
        match &self.kind {
            Kind::Signature(signature) => Some(&signature.replays),
            _ => None,
        }
    }

    /// As what a good one is remembered; `None` if it is good for one request only.
    pub(super) const fn remembered(&self) -> Option<CredentialKind> {
        match &self.kind {
            Kind::Jwt(_) | Kind::Introspection(_) => Some(CredentialKind::Token),
            Kind::Session(_) => Some(CredentialKind::Session),
            Kind::ApiKey(_) => Some(CredentialKind::Key),
            Kind::Basic(_) => Some(CredentialKind::Password),
            Kind::Mtls(_) => Some(CredentialKind::Certificate),
            Kind::Signature(_) | Kind::Hmac(_) => None,
        }
    }

    /// Takes the credential out.
    pub(super) fn remove(&self, fields: &mut Fields) {
        match &self.kind {
            Kind::Jwt(jwt) => presented::remove(fields, &jwt.model.place),
            Kind::Introspection(model) => introspection::remove(fields, &model.place),
            Kind::ApiKey(key) => api_key::remove(fields, &key.header),
            Kind::Session(_) => session::remove(fields),
            Kind::Basic(_) => basic::remove(fields),
            // It is no part of the request.
            Kind::Mtls(_) => {}
            Kind::Signature(_) => signature::remove(fields),
            Kind::Hmac(hmac) => {
                fields.remove(&hmac.header);
            }
        }
    }

    /// The authentication scheme (RFC 9110 §11.1).
    ///
    /// None is registered for certificates, which are no part of a request, nor for cookies, and a 401 must have a
    /// challenge all the same (§15.5.2): the word says to people what is missing, and clients leave alone what they do
    /// not know. `Mutual` would be wrong: that one is about passwords (RFC 8120).
    pub(super) const fn scheme(&self) -> &'static str {
        match &self.kind {
            Kind::Jwt(_) | Kind::Introspection(_) | Kind::ApiKey(_) => "Bearer",
            Kind::Session(_) => "Cookie",
            Kind::Basic(_) => basic::SCHEME,
            Kind::Mtls(_) => "Certificate",
            Kind::Signature(_) | Kind::Hmac(_) => "Signature",
        }
    }

    /// What a request should have, as a part of a sentence.
    pub(super) fn wanted(&self) -> String {
        match &self.kind {
            Kind::Jwt(jwt) => token::wanted(&jwt.model.place),
            Kind::Introspection(model) => token::wanted(&model.place),
            Kind::ApiKey(key) => {
                let header = &key.header;
                format!("send an API key as `Authorization: Bearer` or in the field `{header}`")
            }
            Kind::Session(_) => "sign in".to_owned(),
            Kind::Basic(_) => "send name and password as `Authorization: Basic`".to_owned(),
            Kind::Mtls(_) => "connect with a client certificate".to_owned(),
            Kind::Signature(_) => "sign the request by RFC 9421".to_owned(),
            Kind::Hmac(hmac) => format!("sign the body in the field `{}`", hmac.header),
        }
    }
}

/// The ways of a configuration.
#[derive(Clone, Default)]
pub(crate) struct Ways {
    by_policy: HashMap<String, Arc<Way>>,
    /// In the order of the configuration's policies.
    in_order: Vec<Option<Arc<Way>>>,
}

impl Ways {
    /// Takes over those that are what they were.
    pub(crate) fn compile(config: &Config, former: &Self) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut ways = Self::default();
        for policy in &config.policies {
            let known = former.by_policy.get(&policy.name);
            let way = match known.filter(|way| way.kind.is(&policy.kind)) {
                Some(known) => Some(Arc::clone(known)),
                None => Kind::of(&policy.kind, known.map(|way| &way.kind)).map(|kind| {
                    let id = NEXT.fetch_add(1, Ordering::Relaxed);
                    Arc::new(Way { id, kind })
                }),
            };
            if let Some(way) = &way {
                ways.by_policy.insert(policy.name.clone(), Arc::clone(way));
            }
            ways.in_order.push(way);
        }
        ways
    }

    /// Those of all policies, in the order of the configuration.
    pub(super) fn in_order(&self) -> impl Iterator<Item = Option<&Way>> {
        self.in_order.iter().map(Option::as_deref)
    }

    /// That of a policy; `None` if it does not identify.
    pub(super) fn of(&self, policy: usize) -> Option<Arc<Way>> {
        self.in_order.get(policy).cloned().flatten()
    }
}
