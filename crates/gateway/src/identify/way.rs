//! One way to say who one is, as a policy describes it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use weir_config::model::{ApiKey, Basic, Config, Credential, Mtls, PolicyKind};
use weir_jose::NotVerified;

use super::jwt::{self, Jwt};
use super::known::Known;
use super::lookup::Answer;
use super::{Verdict, Wanted, api_key, basic, mtls, presented};
use crate::fields::Fields;
use crate::tls::TlsFacts;

/// A policy that identifies. It outlives revisions that do not change it, and so does what workers know by it.
pub(crate) struct Way {
    /// Never given twice by a process.
    pub(super) id: u64,
    kind: Kind,
}

enum Kind {
    Jwt(Box<Jwt>),
    ApiKey(ApiKey),
    Basic(Basic),
    Mtls(Box<Mtls>),
}

impl Kind {
    /// `None` for a policy that does not identify.
    fn of(policy: &PolicyKind) -> Option<Self> {
        match policy {
            PolicyKind::Jwt(model) => Some(Self::Jwt(Box::new(Jwt::compile(model)))),
            PolicyKind::ApiKey(model) => Some(Self::ApiKey(model.clone())),
            PolicyKind::Basic(model) => Some(Self::Basic(model.clone())),
            PolicyKind::Mtls(model) => Some(Self::Mtls(model.clone())),
            _ => None,
        }
    }

    /// Whether it is the same as this policy.
    fn is(&self, policy: &PolicyKind) -> bool {
        match (self, policy) {
            (Self::Jwt(one), PolicyKind::Jwt(other)) => one.model == **other,
            (Self::ApiKey(one), PolicyKind::ApiKey(other)) => one == other,
            (Self::Basic(one), PolicyKind::Basic(other)) => one == other,
            (Self::Mtls(one), PolicyKind::Mtls(other)) => one == other,
            _ => false,
        }
    }
}

impl Way {
    /// What holds for its credentials.
    pub(super) fn credential(&self) -> Credential {
        match &self.kind {
            Kind::Jwt(jwt) => jwt.model.credential,
            Kind::ApiKey(key) => key.credential,
            Kind::Basic(basic) => basic.credential,
            Kind::Mtls(mtls) => mtls.credential,
        }
    }

    /// The credential in a request or of its connection, if there is one of this kind.
    pub(super) fn presented<'a>(
        &'a self,
        fields: &'a Fields,
        tls: Option<&'a TlsFacts>,
    ) -> Result<Option<&'a [u8]>, &'static str> {
        match &self.kind {
            Kind::Jwt(jwt) => presented::token(fields, &jwt.model.place),
            Kind::ApiKey(key) => api_key::presented(fields, &key.header),
            Kind::Basic(_) => basic::presented(fields),
            Kind::Mtls(_) => Ok(mtls::presented(tls)),
        }
    }

    /// Whose it is, or who must be asked. `now` is in seconds since 1970.
    pub(super) fn verify(&self, credential: &[u8], tls: Option<&TlsFacts>, now: u64) -> Verdict {
        match &self.kind {
            Kind::Jwt(jwt) => match jwt.verify(credential, now) {
                Ok(known) => Verdict::Good(known),
                Err(jwt::Refused::Bad(bad)) => Verdict::Bad(bad),
                Err(jwt::Refused::Ask(asking)) => Verdict::Ask(Wanted::Issuer(asking)),
            },
            Kind::ApiKey(_) => api_key::verify(credential),
            Kind::Basic(model) => basic::verify(&model.users, credential),
            Kind::Mtls(model) => match tls {
                Some(facts) => mtls::verify(model, facts, now),
                None => Verdict::Bad(mtls::bad("certificate_missing")),
            },
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

    /// What the answer to a question says, which was asked when `since` was the latest change.
    pub(super) fn read(&self, answer: Answer, since: u64, now: u64) -> Verdict {
        match (answer, &self.kind) {
            (Answer::Unavailable(why), _) => Verdict::Unavailable(why),
            (Answer::Good(good), Kind::ApiKey(key)) => {
                match key.takes(good.principal.organization.as_deref()) {
                    true => Verdict::Good(Known::told(*good, since, now)),
                    false => Verdict::Bad(api_key::bad("key_of_another_organization")),
                }
            }
            (Answer::Bad(word), Kind::ApiKey(_)) => Verdict::Bad(api_key::bad(word)),
            (Answer::Good(good), Kind::Basic(_)) => Verdict::Good(Known::told(*good, since, now)),
            (Answer::Bad(word), Kind::Basic(_)) => Verdict::Bad(basic::bad(word)),
            // They never ask.
            (_, Kind::Jwt(_) | Kind::Mtls(_)) => Verdict::Unavailable("nothing was asked"),
        }
    }

    /// Takes the credential out.
    pub(super) fn remove(&self, fields: &mut Fields) {
        match &self.kind {
            Kind::Jwt(jwt) => presented::remove(fields, &jwt.model.place),
            Kind::ApiKey(key) => api_key::remove(fields, &key.header),
            Kind::Basic(_) => basic::remove(fields),
            // It is no part of the request.
            Kind::Mtls(_) => {}
        }
    }

    /// The authentication scheme (RFC 9110 §11.1).
    ///
    /// None is registered for certificates, which are no part of a request, and a 401 must have a challenge
    /// all the same (§15.5.2): the word says to people what is missing, and clients leave alone what they do not
    /// know. `Mutual` would be wrong: that one is about passwords (RFC 8120).
    pub(super) const fn scheme(&self) -> &'static str {
        match &self.kind {
            Kind::Jwt(_) | Kind::ApiKey(_) => "Bearer",
            Kind::Basic(_) => basic::SCHEME,
            Kind::Mtls(_) => "Certificate",
        }
    }

    /// What a request should have, as a part of a sentence.
    pub(super) fn wanted(&self) -> String {
        match &self.kind {
            Kind::Jwt(jwt) => jwt::wanted(&jwt.model.place),
            Kind::ApiKey(key) => {
                let header = &key.header;
                format!("send an API key as `Authorization: Bearer` or in the field `{header}`")
            }
            Kind::Basic(_) => "send name and password as `Authorization: Basic`".to_owned(),
            Kind::Mtls(_) => "connect with a client certificate".to_owned(),
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
                None => Kind::of(&policy.kind).map(|kind| {
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

    /// That of a policy; `None` if it does not identify.
    pub(super) fn of(&self, policy: usize) -> Option<Arc<Way>> {
        self.in_order.get(policy).cloned().flatten()
    }
}
