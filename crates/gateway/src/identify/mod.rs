//! Who is calling, and whether they may: steps 5 and 6 of a request's life.
//!
//! A route has one step for each of its policies that identify; all of them must find somebody, and the first one's
//! is who calls. A step may know several ways (`any_of`), of which one is enough. What was found to be good is
//! remembered by the worker ([`cache`]), and a request with a known credential costs one look.
//!
//! A credential that is there must be good, also where none is needed; whatever cannot be decided is refused.

mod again;
mod api_key;
mod basic;
mod cache;
mod challenge;
mod changes;
mod choose;
mod denials;
mod hmac;
mod internal;
mod introspection;
mod jwt;
mod known;
mod lookup;
mod message;
mod mtls;
mod presented;
mod replays;
mod require;
mod risk;
mod rules;
mod session;
mod show;
mod sign_in;
mod signature;
mod size;
mod step;
mod suspects;
mod token;
mod verdict;
mod vouching;
mod way;

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use smallvec::SmallVec;
use weir_config::model::{self, Config, PolicyKind};

pub use changes::Changes;
pub use denials::DenialReport;
pub use internal::{Signer, Signing};
pub use lookup::{Answer, Good, Lookup, Membership, Person, Question, Said};
pub use replays::ReplayReport;

pub(crate) use cache::Verified;
pub(crate) use choose::Choice;
pub(crate) use denials::Denials;
pub(crate) use known::Known;
pub(crate) use lookup::{Asking, queue};
pub(crate) use require::holds;
pub(crate) use session::{hand_over, remove as hide_session};
pub(crate) use show::{Forbidden, Shown, field_text, is_own, told};
pub(crate) use way::Ways;

use crate::deny::Denial;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::record::Recorder;
use crate::worker::Worker;
use require::Lacking;
pub(crate) use risk::Risk;
pub(crate) use rules::Asked;
use rules::{RouteFacts, Rules};
use step::{Step, Stop};
pub(crate) use suspects::Suspects;
pub(crate) use verdict::Told;
use verdict::{Bad, Verdict, Wanted};
use way::Way;

/// Longest wait for the keys of an issuer, and for a turn among suspects.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked whether somebody may still be there who opened what lasts, if nothing passes.
pub(crate) const LOOK: Duration = Duration::from_secs(30);

/// What a route's policies ask of whoever calls.
pub(crate) struct Access {
    steps: Box<[Step]>,
    requires: Box<[Required]>,
    shown: Option<Arc<Shown>>,
    /// For rules.
    pub(crate) facts: RouteFacts,
    reads_messages: bool,
    /// Whose traffic the route carries: credentials of other organizations are no good there.
    organization: Option<Box<str>>,
}

/// One policy that decides.
struct Required {
    /// Its place in the configuration.
    policy: usize,
    model: model::Require,
    rules: Option<Rules>,
}

/// Whom a request's steps found: the first one is who calls.
pub(crate) type Callers = SmallVec<[Rc<Known>; 1]>;

impl Access {
    /// `None` if nobody is asked who they are.
    pub(crate) fn compile(config: &Config, route: &model::Route, ways: &Ways) -> Option<Box<Self>> {
        let mut steps = Vec::new();
        let mut requires = Vec::new();
        let mut shown = None;
        for &policy in &route.policies {
            match &config.policies[policy].kind {
                PolicyKind::Require(model) => requires.push(Required {
                    policy,
                    rules: model.cedar.as_ref().map(Rules::new),
                    model: model.clone(),
                }),
                PolicyKind::Identity(model) => {
                    let tenant = route.organization.as_deref();
                    shown = Some(Arc::new(Shown::compile(model, tenant)));
                }
                PolicyKind::AnyOf(any) => steps.push(Step {
                    policy,
                    ways: any.policies.iter().filter_map(|at| ways.of(*at)).collect(),
                    is_required: any.is_required,
                }),
                _ => steps.extend(ways.of(policy).map(|way| Step {
                    policy,
                    is_required: way.credential().is_required,
                    ways: SmallVec::from_elem(way, 1),
                })),
            }
        }
        let ways = steps.iter().flat_map(|step: &Step| &step.ways);
        let reads_messages = ways.into_iter().any(|way| way.reads_messages());
        let is_any = !steps.is_empty() || !requires.is_empty() || shown.is_some();
        is_any.then(|| {
            Box::new(Self {
                steps: steps.into(),
                requires: requires.into(),
                shown,
                facts: RouteFacts::of(route),
                reads_messages,
                organization: route.organization.as_deref().map(Box::from),
            })
        })
    }

    /// Whether messages themselves may say who they are from: [`Access::read_message`] then comes first.
    pub(crate) const fn reads_messages(&self) -> bool {
        self.reads_messages
    }

    /// Finds out who calls and whether they may, notes it in the record, and takes out credentials that are not
    /// for the upstream. `None` if somebody must be asked first, by [`Access::ask_and_admit`].
    ///
    /// # Errors
    /// 400, 401, 403 and 503, each saying what is missing.
    pub(crate) fn admit(
        &self,
        worker: &Worker,
        asked: &Asked<'_>,
        fields: &mut Fields,
        told: &mut Told,
        record: &mut Recorder,
    ) -> Option<Result<(), Denial>> {
        match self.identify(worker, asked, fields, record, told) {
            Ok(found) => Some(self.let_in(found, asked, fields, record)),
            Err(Stop::Denied(denial)) => {
                Some(Err(self.refuse(worker, asked, fields, record, denial)))
            }
            Err(Stop::Ask(_) | Stop::InLine) => None,
        }
    }

    /// The same, asking whoever must be asked.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn ask_and_admit(
        &self,
        worker: &Worker,
        asked: &Asked<'_>,
        fields: &mut Fields,
        told: Told,
        record: &mut Recorder,
    ) -> Result<(), Denial> {
        match self.ask(worker, asked, fields, told, record).await {
            Ok(found) => self.let_in(found, asked, fields, record),
            Err(denial) => Err(self.refuse(worker, asked, fields, record, denial)),
        }
    }

    /// Who calls, asking whoever must be asked.
    async fn ask(
        &self,
        worker: &Worker,
        asked: &Asked<'_>,
        fields: &Fields,
        mut told: Told,
        record: &mut Recorder,
    ) -> Result<Callers, Denial> {
        loop {
            let (way, wanted, credential) =
                match self.identify(worker, asked, fields, record, &mut told) {
                    Ok(found) => return Ok(found),
                    Err(Stop::Denied(denial)) => return Err(denial),
                    Err(Stop::Ask(wanted)) => *wanted,
                    Err(Stop::InLine) => {
                        told.wait_in_line(worker, record).await?;
                        continue;
                    }
                };
            record.has_waited = true;
            let verdict = match wanted {
                Wanted::Lookup(question) => {
                    let since = worker.shared.changes.latest();
                    let counters = &worker.counters.identity.lookups[question.about() as usize];
                    let asking = &worker.shared.asking;
                    let answer = asking.ask(question, record.client_address, counters).await;
                    // Whatever becomes of the request: records have another token from now on.
                    if let Some(cookie) = way.successor(&answer, fields) {
                        record.successor = Some(cookie);
                    }
                    way.read(answer, &credential, since, seconds())
                }
                Wanted::Issuer(asking) => {
                    let heard = tokio::time::timeout(PATIENCE, asking.wait()).await;
                    let heard = heard.unwrap_or(Err(jwt::UNREACHABLE));
                    way.look_again(heard, &credential, seconds())
                }
            };
            worker.counters.identity.looked(way.remembered(), false);
            told.push(way.id, verdict);
        }
    }

    /// Who calls, if that is known or can be said at once.
    fn identify(
        &self,
        worker: &Worker,
        asked: &Asked<'_>,
        fields: &Fields,
        record: &mut Recorder,
        told: &mut Told,
    ) -> Result<Callers, Stop> {
        let now = seconds();
        let mut found = Callers::new();
        let mut has_guessed = false;
        for step in &self.steps {
            let tls = record.client.tls.as_ref();
            match step.identify(worker, asked, fields, tls, now, told) {
                Ok(Some(shower)) => {
                    has_guessed |= shower.has_guessed;
                    found.push(shower.known);
                }
                Ok(None) => {}
                Err(stop) => {
                    record.decided_by = Some(step.policy);
                    return Err(stop);
                }
            }
        }
        record.decided_by = None;
        // Only a good one that was checked: to show one that is known takes nothing, before each bad one.
        if told.had_turn && !found.is_empty() {
            record.client.is_suspect.set(false);
        }
        if has_guessed {
            let now = Instant::now();
            worker.shared.risk.failed(record.client_address, now);
        }
        Ok(found)
    }

    /// Whether somebody may, of whom it is known who they are; notes it in the record, and takes out credentials
    /// that are not for the upstream.
    ///
    /// # Errors
    /// 401 and 403, saying what is missing.
    pub(crate) fn let_in(
        &self,
        found: Callers,
        asked: &Asked<'_>,
        fields: &mut Fields,
        record: &mut Recorder,
    ) -> Result<(), Denial> {
        let foreign = found.iter().find(|known| self.is_foreign(known));
        let foreign = foreign.map(|known| self.foreign(known));
        let mut found = found.into_iter();
        let caller = found.next();
        let verdict = match foreign {
            Some(denial) => Err(denial),
            None => self.authorise(caller.as_deref(), asked, record),
        };
        record.known = caller;
        record.besides = found.collect();
        verdict.map_err(|denial| self.invite(asked, fields, denial))?;
        for way in self.ways() {
            if !way.credential().is_forwarded {
                way.remove(fields);
            }
        }
        Ok(())
    }

    fn ways(&self) -> impl Iterator<Item = &Arc<Way>> + Clone {
        self.steps.iter().flat_map(|step| &step.ways)
    }

    /// Whether the upstream of this route gets sessions.
    pub(crate) fn lends_sessions(&self) -> bool {
        self.ways().any(|way| way.lends_sessions())
    }

    fn is_foreign(&self, known: &Known) -> bool {
        let Some(of_route) = &self.organization else {
            return false;
        };
        if let Some(of_caller) = &known.principal.organization {
            return **of_route != **of_caller;
        }
        let mut memberships = known.memberships.iter().flatten();
        known.is_of_one_of_ours() && !memberships.any(|one| **one == **of_route)
    }

    /// What somebody hears whose credential is of another organization than the route: of a key nothing but that it is not
    /// good.
    fn foreign(&self, known: &Known) -> Denial {
        const WORD: &str = "other_organization";
        match known.is_of_one_of_ours() {
            true => Failure::Forbidden(WORD).into(),
            false => challenge::refused(&api_key::bad(WORD), self.ways()),
        }
    }

    /// Counts a credential that was not good against its address.
    fn refuse(
        &self,
        worker: &Worker,
        asked: &Asked<'_>,
        fields: &Fields,
        record: &Recorder,
        denial: Denial,
    ) -> Denial {
        if denial.is_about_an_attempt() {
            let now = Instant::now();
            worker.shared.risk.failed(record.client_address, now);
        }
        if denial.is_about_a_bad_credential() {
            record.client.is_suspect.set(true);
        }
        self.invite(asked, fields, denial)
    }

    /// Sends whoever opens a page, and is nobody yet, where people sign in.
    fn invite(&self, asked: &Asked<'_>, fields: &Fields, denial: Denial) -> Denial {
        if !denial.is_about_nobody() {
            return denial;
        }
        match self.ways().find_map(|way| way.sign_in()) {
            Some(place)
                if sign_in::is_elsewhere(place, asked) && sign_in::is_navigation(asked, fields) =>
            {
                denial.sends_to(sign_in::location(place, asked))
            }
            _ => denial,
        }
    }

    fn authorise(
        &self,
        caller: Option<&Known>,
        asked: &Asked<'_>,
        record: &mut Recorder,
    ) -> Result<(), Denial> {
        for required in &self.requires {
            if let Err(lacking) = required.check(caller, asked, record) {
                record.decided_by = Some(required.policy);
                return Err(challenge::lacking(lacking, self.ways()));
            }
        }
        Ok(())
    }

    /// Tells the upstream who calls.
    ///
    /// # Errors
    /// 503 if there should be a token and none can be made.
    pub(crate) fn show(
        &self,
        worker: &Worker,
        record: &Recorder,
        fields: &mut Fields,
    ) -> Result<(), Failure> {
        let Some(shown) = &self.shown else {
            return Ok(());
        };
        if let Some(minter) = &shown.minter {
            // Also where nobody is known: what stands there is no token of Weir's.
            fields.remove(minter.header());
        }
        let Some(known) = &record.known else {
            return Ok(());
        };
        for (name, value) in known.shown(shown) {
            fields.append(name, value);
        }
        if let Some(minter) = &shown.minter {
            let besides = record.besides.iter().map(|known| known.ends_at);
            let most = besides.min().unwrap_or(u64::MAX);
            let token = known
                .token(minter, &worker.shared.signer, most, seconds())
                .map_err(Failure::IdentityUnavailable)?;
            fields.append(minter.header().clone(), token);
        }
        Ok(())
    }
}

impl Required {
    fn check(
        &self,
        caller: Option<&Known>,
        asked: &Asked<'_>,
        record: &mut Recorder,
    ) -> Result<(), Lacking<'_>> {
        match caller {
            Some(known) => require::check(&self.model, &known.principal)?,
            // Rules may know what to do with nobody.
            None if self.model.asks_for_somebody() => return Err(Lacking::Identity),
            None => {}
        }
        let Some(rules) = &self.rules else {
            return Ok(());
        };
        rules.ask(caller, asked).map_err(|rule| {
            record.rule = rule;
            match caller {
                Some(_) => Lacking::Rule,
                None => Lacking::Identity,
            }
        })
    }
}

/// Whether a policy of the configuration takes sessions.
pub(crate) fn knows_sessions(config: &Config) -> bool {
    let mut kinds = config.policies.iter().map(|policy| &policy.kind);
    kinds.any(|kind| matches!(kind, PolicyKind::Session(_)))
}

/// Whether what somebody was let in for may go on, such as a stream that lasts for hours.
///
/// # Errors
/// If one of the credentials has ended or was taken back.
pub(crate) fn may_go_on<'a>(
    callers: impl IntoIterator<Item = &'a Rc<Known>>,
    worker: &Worker,
) -> Result<(), Failure> {
    let (now, changes) = (seconds(), &worker.shared.changes);
    let mut callers = callers.into_iter();
    let may_go_on = |known: &Rc<Known>| {
        again::ask(known, worker, now);
        known.may_go_on(now, changes)
    };
    match callers.all(may_go_on) {
        true => Ok(()),
        false => Err(Failure::CredentialRefused("credential_ended")),
    }
}

/// Now, in seconds since 1970.
fn seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
