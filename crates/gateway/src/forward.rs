//! Sends a request to a target, and to another one where that is safe and allowed.

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use weir_config::model::{self, HostHeader, RetryCondition};

use crate::admission::{self, Admitted};
use crate::affinity;
use crate::backoff;
use crate::body::Body;
use crate::client::Client;
use crate::failure::Failure;
use crate::fields::Fields;
use crate::grpc;
use crate::hedge::Race;
use crate::message::{RequestHead, ResponseHead, Version};
use crate::record::Recorder;
use crate::request::{Answer, Interim};
use crate::retry::Retries;
use crate::snapshot::{LocalSnapshot, Upstream};
use crate::sse;
use crate::timer::Timer;
use crate::trace::Context;
use crate::trial::Trial;
use crate::upstream::{
    Attempt, Attempted, Deadlines, ForwardHead, InFlight, Timing, View, Wish, attempt, let_go,
};

/// Bodies up to this length arrive with their head, or nearly so: the time to the answer is the
/// target's. With longer ones it is mostly the client's.
const SHORT_BODY: u64 = 16 * 1024;

/// What is sent where.
pub(crate) struct Forward<'a> {
    pub(crate) client: &'a Rc<Client>,
    pub(crate) snapshot: &'a LocalSnapshot,
    /// Index of the upstream.
    pub(crate) upstream: usize,
    /// Path and query of a rewrite, in place of what was asked for.
    pub(crate) rewritten: Option<&'a str>,
    /// Normalised path that was asked for.
    pub(crate) path: &'a str,
    pub(crate) host: &'a HostHeader,
    /// What targets are told about the trace.
    pub(crate) trace: Option<Rc<Context>>,
}

/// The response's head and body; the body is still to be read from the target.
pub(crate) async fn forward(
    forward: &Forward<'_>,
    wish: Wish,
    head: &mut RequestHead,
    mut body: Body,
    interim: &Interim,
    timer: &Timer,
    record: &mut Recorder,
) -> Result<Answer, Failure> {
    let upstream = forward.upstream();
    let model = upstream.model();
    let mut deadlines = Deadlines {
        upstream: model.timeouts,
        body: forward.snapshot.timeouts.body,
        is_brief: false,
    };
    let mut total = model.timeouts.total;
    if let Some(call) = &record.call {
        call.stretch(&mut deadlines, &model.timeouts);
        total = call.total(total);
        body = call.keep(&model.retry.when, body);
    }
    if let Some(total) = total {
        timer.set_end(total.saturating_sub(record.elapsed()));
    }
    let admitted = admission::admit(forward.client, upstream, timer, record).await?;
    let mut course = Course::new(forward, wish, head, &body);
    let mut hedges = course.hedges(head);
    loop {
        // Anew for every attempt: what was just found out about a target counts.
        if let Some(call) = &record.call {
            call.pass_deadline(&mut head.fields, record.elapsed())?;
        }
        let head = &*head;
        let mut trial = course.begin(&admitted, record)?;
        let mut raced = None;
        let outcome = if let Some(hedge) = model.hedge.filter(|_| hedges > 0) {
            let race = Race {
                forward,
                admitted: &admitted,
                head,
                interim,
                timer,
                deadlines,
                hedge,
            };
            let wish = &mut course.wish;
            let race = race.run(trial, wish, &mut hedges, &course.retries, record);
            // Boxed: only those who ask for it pay for its size.
            let ended = Box::pin(race).await;
            trial = ended.trial;
            raced = Some(ended.took);
            ended.outcome
        } else {
            let wanted = forward.head(&trial.view, trial.at, head, record.attempts());
            attempt(
                trial.pool(),
                &wanted,
                body,
                interim,
                timer,
                &deadlines,
                Timing {
                    connecting: &mut record.connecting,
                    sent: trial.sent(),
                },
            )
            .await
        };
        let next = match outcome {
            Ok((response, exchange)) => {
                let took = record.upstream_answered();
                course.answered(trial, response, exchange, raced.unwrap_or(took), record)?
            }
            Err(attempted) => course.failed(trial, attempted, raced, record)?,
        };
        let pause;
        (body, pause) = match next {
            Next::Repeat(body, pause) => (body, pause),
            Next::Answer(mut answer, token) => {
                course.remember(token, &head.fields, &mut answer.head);
                return Ok(answer);
            }
        };
        if !pause.is_zero() {
            // Boxed: rare.
            Box::pin(backoff::rest(pause, timer)).await?;
        }
    }
}

/// What follows an attempt.
enum Next {
    /// The client gets this; the member that it came from has this token.
    Answer(Answer, Option<u64>),
    /// Another attempt with this body, after so long.
    Repeat(Body, Duration),
}

/// A request between its attempts.
struct Course<'a> {
    forward: &'a Forward<'a>,
    wish: Wish,
    retries: Retries<'a>,
    is_bodiless: bool,
    is_short: bool,
}

impl<'a> Course<'a> {
    fn new(forward: &'a Forward<'a>, wish: Wish, head: &RequestHead, body: &Body) -> Self {
        let rules = &forward.upstream().model().retry;
        let budget = &forward.snapshot.local[forward.upstream].budget;
        let now = forward.client.worker.pools.now();
        Self {
            forward,
            wish,
            retries: Retries::new(rules, budget, &head.method, now),
            is_bodiless: body.is_end(),
            is_short: body.length().is_some_and(|length| length <= SHORT_BODY),
        }
    }

    /// How many attempts may be made beside others.
    fn hedges(&self, head: &RequestHead) -> u32 {
        let is_plain = !head.expects_continue && head.upgrade.is_none();
        match &self.model().hedge {
            Some(hedge) if is_plain && self.is_bodiless && head.method.is_idempotent() => {
                hedge.attempts
            }
            _ => 0,
        }
    }

    fn model(&self) -> &'a model::Upstream {
        self.forward.upstream().model()
    }

    /// Picks a target; the attempt at it begins.
    fn begin<'w>(
        &self,
        admitted: &'w Admitted<'_>,
        record: &mut Recorder,
    ) -> Result<Trial<'w>, Failure> {
        let (view, at) = self.forward.pick(&self.wish).ok_or(Failure::NoTarget)?;
        let since = record.attempt(InFlight::begin(&view.pools[at]));
        let watch = match self.is_bodiless {
            true => admitted.watch(since),
            // Matters to whoever judges the target by how long it was waited for.
            false => admitted.watch_body(self.model().timeouts.total.is_some()),
        };
        Ok(Trial::begin((view, at), since, self.is_short, watch))
    }

    /// Passes an answer on, or lets it go and has another target asked.
    fn answered(
        &mut self,
        mut trial: Trial<'_>,
        response: ResponseHead,
        mut exchange: Attempt,
        took: Duration,
        record: &mut Recorder,
    ) -> Result<Next, Failure> {
        let (status, answer) = grpc::verdict(record, &response);
        let waited = match self.is_bodiless {
            true => took,
            false => trial.waited(),
        };
        trial.answered(self.forward, status, took, waited);
        let mut asked_wait = None;
        let mut is_held_off = false;
        if self.retries.could_repeat_answer(answer) {
            self.wish.tried.push(trial.identity());
            asked_wait = match &record.call {
                Some(_) => grpc::pushback(&response.fields),
                None => backoff::asked_wait(&response.fields, SystemTime::now),
            };
            // Whoever asks for more patience than there is is not asked again.
            is_held_off = asked_wait.is_some_and(|wait| wait > self.retries.longest_pause())
                && (asked_wait == Some(Duration::MAX) || self.goes_back());
        }
        let is_at_hand = exchange.is_untouched() || record.has_body_again();
        if is_held_off || !self.retries.answer_is_retried(answer, is_at_hand) {
            let timeouts = &self.model().timeouts;
            let idle = match &record.call {
                Some(_) => timeouts.stream_idle,
                None => sse::idle(&response, timeouts),
            };
            let answer = Answer {
                head: response,
                body: exchange.into_body(),
                idle,
            };
            return Ok(Next::Answer(answer, trial.view.plan.token(trial.at)));
        }
        let call = match answer {
            RetryCondition::Grpc(status) => Some(status),
            _ => None,
        };
        record.attempt_is_over(Ok(response.status.as_u16()), call);
        trial.was_replaced();
        let body = exchange
            .take_untouched_body()
            .or_else(|| record.body_again())
            .ok_or(Failure::UpstreamReset("the body is gone"))?;
        let_go(exchange, &self.forward.client.worker.timers);
        Ok(self.repeat(&trial, body, asked_wait, record))
    }

    /// Has another target asked, if that is safe and allowed.
    fn failed(
        &mut self,
        mut trial: Trial<'_>,
        attempted: Attempted,
        raced: Option<Duration>,
        record: &mut Recorder,
    ) -> Result<Next, Failure> {
        let Attempted {
            failure,
            body,
            fate,
        } = attempted;
        let waited = match raced {
            Some(took) => took,
            None if self.is_bodiless => record.since_attempt(),
            None => trial.waited(),
        };
        let body = body.or_else(|| record.body_again());
        let body = body.filter(|_| self.retries.failure_is_retried(failure, fate));
        let is_made_up_for = body.is_some() && !self.retries.has_moved_on;
        trial.failed(self.forward, failure, fate, waited, is_made_up_for);
        let body = body.ok_or(failure)?;
        record.attempt_is_over(Err(failure), None);
        Ok(self.repeat(&trial, body, None, record))
    }

    /// `asked_wait`: for how long the target wants to be left alone.
    fn repeat(
        &mut self,
        trial: &Trial<'_>,
        body: Body,
        asked_wait: Option<Duration>,
        record: &mut Recorder,
    ) -> Next {
        if !self.retries.has_moved_on {
            return Next::Repeat(body, Duration::ZERO);
        }
        if !trial.view.was_tried_at(trial.at, &self.wish) {
            self.wish.tried.push(trial.identity());
        }
        record.retried();
        let goes_back = self.goes_back();
        let asked_wait = asked_wait.filter(|_| goes_back).unwrap_or_default();
        // What was asked for was within bounds when that was decided; it stays so.
        let asked_wait = asked_wait.min(self.retries.longest_pause());
        let pause = self.retries.pause(goes_back, fastrand::f64());
        Next::Repeat(body, pause.max(asked_wait))
    }

    /// Whether a repeat goes to a target that failed the request before.
    fn goes_back(&self) -> bool {
        !self.forward.view().has_untried(&self.wish)
    }

    /// Tells a client where it comes back to, if it does not know.
    fn remember(&self, token: Option<u64>, asked: &Fields, answer: &mut ResponseHead) {
        if let Some(sticky) = &self.model().sticky
            && let Some(token) = token
            && self.wish.token != Some(token)
        {
            let is_secure = affinity::is_secure(self.forward.client, asked);
            affinity::remember(sticky, token, is_secure, answer);
        }
    }
}

impl Forward<'_> {
    pub(crate) fn upstream(&self) -> &Upstream {
        &self.snapshot.upstreams[self.upstream]
    }

    /// The newest view of all targets.
    fn view(&self) -> Rc<View> {
        let pools = &self.client.worker.pools;
        self.snapshot.view(self.upstream, pools)
    }

    /// A member for the request, with the newest view of all.
    pub(crate) fn pick(&self, wish: &Wish) -> Option<(Rc<View>, usize)> {
        let local = &self.snapshot.local[self.upstream];
        let view = self.view();
        let at = view.pick(local, &self.upstream().model().balance, wish)?;
        Some((view, at))
    }

    /// What a failure says about the target. If the end of the whole exchange came first, the target
    /// was too slow only if half of the time was waited for it, and not for the client.
    pub(crate) fn charged(&self, failure: Failure, waited: Duration) -> Failure {
        let total = self.upstream().model().timeouts.total;
        match (failure, total) {
            (Failure::DeadlineExceeded(phase), Some(total))
                if waited >= total / 2 && phase.starts_with("upstream_") =>
            {
                Failure::UpstreamTimeout
            }
            _ => failure,
        }
    }

    pub(crate) fn head<'a>(
        &'a self,
        view: &'a View,
        at: usize,
        head: &'a RequestHead,
        attempt: u32,
    ) -> ForwardHead<'a> {
        let (path, query) = match self.rewritten {
            Some(rewritten) => (rewritten, None),
            None => (self.path, head.query.as_deref()),
        };
        let authority = match self.host {
            HostHeader::Preserve if !head.authority.is_empty() => &*head.authority,
            HostHeader::Literal(text) => text,
            HostHeader::Preserve | HostHeader::Target => &*view.pools[at].target.authority,
        };
        ForwardHead {
            method: &head.method,
            path,
            query,
            scheme: self.upstream().settings.speech.scheme(),
            authority,
            fields: &head.fields,
            content_length: head.content_length,
            expects_continue: head.expects_continue,
            trace: self.trace.as_deref(),
            attempt,
            reads_ahead: head.version < Version::Http2 && self.client.appetite.is_large(),
            upgrade: head.upgrade.handshake(),
        }
    }
}
