//! A request's life, top to bottom. The order of the steps is fixed here, not in the file; each step
//! is one call, and its module says how.

use std::rc::Rc;
use std::time::Duration;

use http::StatusCode;
use http::header::SET_COOKIE;
use weir_config::model::Action;

use crate::affinity;
use crate::body::Body;
use crate::client::Client;
use crate::deny::{self, Denial};
use crate::failure::Failure;
use crate::fields::Fields;
use crate::forward::{self, Forward};
use crate::grpc;
use crate::hop;
use crate::http1;
use crate::http2;
use crate::identify::{self, Asked, Choice, Told};
use crate::intake;
use crate::message::{RequestHead, ResponseHead};
use crate::organization;
use crate::overload::admission;
use crate::record::{Meter, Recorder};
use crate::router::RouteRequest;
use crate::shaping;
use crate::snapshot::LocalSnapshot;
use crate::sse;
use crate::timer::Timer;
use crate::traffic;
use crate::traffic::mirror::{self, Original};
use crate::transform::Matched;
use crate::websocket;

/// A request as a protocol engine hands it over.
pub(crate) struct Request {
    pub(crate) head: RequestHead,
    pub(crate) body: Body,
    /// Counts the body.
    pub(crate) meter: Option<Meter>,
    pub(crate) interim: Interim,
}

/// Where interim responses of the target go.
#[derive(Debug)]
pub(crate) enum Interim {
    Http1(http1::InterimSender),
    Http2(http2::InterimSender),
    /// HTTP/1.0 has none (RFC 9110 §15.2).
    Nowhere,
}

impl Interim {
    pub(crate) fn send(&self, status: StatusCode, fields: &Fields) {
        let mut fields = fields.clone();
        if hop::strip_hop_by_hop(&mut fields).is_err() {
            return;
        }
        match self {
            Self::Http1(sender) => sender.send(status, &fields),
            Self::Http2(sender) => sender.send(status, &fields),
            Self::Nowhere => {}
        }
    }
}

/// An answer as a protocol engine sends it.
pub(crate) struct Response {
    pub(crate) head: ResponseHead,
    pub(crate) body: Body,
    pub(crate) record: Box<Recorder>,
    /// Longest silence of the body's source.
    pub(crate) idle: Duration,
}

/// An answer, before it is on its way.
pub(crate) struct Answer {
    pub(crate) head: ResponseHead,
    pub(crate) body: Body,
    pub(crate) idle: Duration,
}

/// Answers a request: by a target, or here with the reason why not.
pub(crate) fn answer<'a>(
    client: &'a Rc<Client>,
    request: Request,
    timer: &'a Timer,
) -> impl Future<Output = Response> + 'a {
    // Taken apart here, so that the future, which is a part of every connection, holds it once.
    let Request {
        mut head,
        body,
        meter,
        interim,
    } = request;
    async move {
        let snapshot = client.worker.snapshot();
        let mut record = Recorder::start(
            client,
            &snapshot,
            head.version,
            head.authority.clone(),
            Some(head.method.clone()),
            head.path.clone(),
        );
        record.meter(meter);
        record.call = grpc::recognise(&head);
        record.keep(head.query.as_ref(), &head.fields);
        let answer = live(
            client,
            &snapshot,
            &mut head,
            body,
            &interim,
            timer,
            &mut record,
        );
        let mut response = match answer.await {
            Ok(Answer { head, body, idle }) => {
                record.answered(head.status.as_u16());
                Response {
                    head,
                    body,
                    record,
                    idle,
                }
            }
            Err(denial) => {
                // A deadline that has passed must not cut the answer that says so.
                timer.lift_end();
                deny::deny(client, record, denial)
            }
        };
        if let Some(cookie) = &response.record.successor {
            identify::hand_over(cookie, &mut response.head.fields);
        }
        response
    }
}

async fn live(
    client: &Rc<Client>,
    snapshot: &Rc<LocalSnapshot>,
    head: &mut RequestHead,
    mut body: Body,
    interim: &Interim,
    timer: &Timer,
    record: &mut Recorder,
) -> Result<Answer, Denial> {
    // 1–2. The protocol engine has accepted the connection and read the head. What is asked for, and
    // by whom, can be understood in one way only from here on.
    let intake::Understood {
        path,
        host,
        is_trusted,
    } = intake::understand(client, snapshot, head, record)?;

    // 3. Route: one look-up. A preflight takes the route of the request that it asks about.
    let wanted = RouteRequest {
        host: &host,
        path: &path,
        query: head.query.as_deref(),
        method: &head.method,
        fields: &head.fields,
    };
    let mut found = shaping::find(snapshot, &wanted)?;
    let mut caller = None;
    // Routes that differ by who is calling: that comes first then.
    if found.has_claims && !shaping::is_preflight(&snapshot.routes[found.route], head) {
        let choice = Choice {
            client,
            snapshot,
            host: &host,
            path: &path,
            timer,
        };
        // Boxed: long, and rarely asked for.
        let chosen = Box::pin(choice.choose(found, head, body, record)).await?;
        (found, body, caller) = (chosen.found, chosen.body, chosen.caller);
    }
    record.route = Some(found.route);
    let route = &snapshot.routes[found.route];
    record.sample_trace(route);
    shaping::begin(route, head, record);
    if let Some(organization) = &route.organization {
        organization.admit()?;
    }
    if !client.worker.is_calm() {
        record.has_waited = true;
        admission::pass(client, route.priority, timer).await?;
    }
    if route.websocket.is_some() || !head.upgrade.is_none() {
        websocket::begin(client, route, head, !body.is_end())?;
    }
    let captures = found.captures.named(&route.paths, &path);
    let matched = Matched {
        client,
        snapshot,
        route,
        host: &host,
        path: &path,
        captures,
    };

    // 4. Preflights, redirects, answers of the configuration, and which upstream it is.
    if let Some(answer) = matched.preflight(head, record)? {
        return Ok(answer);
    }

    // 5–6. Who calls, and whether they may.
    if let Some(access) = &route.access {
        let mut told = Told::nothing(client);
        if caller.is_none() && access.reads_messages() {
            // Boxed: long, and rarely asked for.
            let read = Box::pin(access.read_message(client, head, body, timer, record));
            (body, told) = read.await?;
        }
        let asked = Asked {
            method: &head.method,
            host: &host,
            authority: &head.authority,
            path: &path,
            query: head.query.as_deref(),
            is_upgrade: !head.upgrade.is_none(),
            route: &access.facts,
            client: record.client_address,
            risk: &client.worker.shared.risk,
        };
        let (worker, fields) = (&client.worker, &mut head.fields);
        let verdict = match caller {
            Some(callers) => Some(access.let_in(callers, &asked, fields, record)),
            None => access.admit(worker, &asked, fields, &mut told, record),
        };
        match verdict {
            Some(verdict) => verdict?,
            // Boxed: long, and only for a credential that this worker does not know.
            None => Box::pin(access.ask_and_admit(worker, &asked, fields, told, record)).await?,
        }
    }
    if snapshot.hides_sessions
        && !route
            .access
            .as_ref()
            .is_some_and(|access| access.lends_sessions())
    {
        identify::hide_session(&mut head.fields);
    }
    let (chosen, mirror, rewrite, host) = match &route.action {
        Action::Redirect { to, status } => return Ok(matched.redirect(to, *status, head, record)?),
        Action::Respond(respond) => {
            let mut answer = matched.respond(respond, head, record)?;
            shaping::encode(&client.worker, route, head, record, &mut answer);
            return Ok(answer);
        }
        Action::Aggregate(model) => {
            // Boxed: long, and rarely asked for.
            if let Some(rules) = &route.validation {
                Box::pin(rules.request(client, &path, head, body, timer, record)).await?;
            }
            let mut answer = match &route.aggregation {
                Some(aggregation) => {
                    let parts =
                        aggregation.answer(model, &matched, head, is_trusted, timer, record);
                    Box::pin(parts).await?
                }
                None => return Err(Failure::NoTarget.into()),
            };
            if let Some(rules) = &route.validation {
                rules.response(client, head, &mut answer, record);
            }
            matched.transform_response(&mut answer.head, head, record)?;
            shaping::encode(&client.worker, route, head, record, &mut answer);
            return Ok(answer);
        }
        Action::Forward {
            to,
            mirror,
            rewrite,
            host,
        } => {
            let chosen = traffic::choose(to, &matched, head, is_trusted, record)?;
            (chosen, mirror, rewrite.as_ref(), host)
        }
    };

    // 8. Validate: rarely asked for, and long; on the heap, so that no connection carries it.
    let body = match &route.validation {
        Some(rules) => Box::pin(rules.request(client, &path, head, body, timer, record)).await?,
        None => body,
    };
    // Calls have rules of their own.
    let body = match head.upgrade.is_none() {
        true => grpc::accept(route, head, body, record)?,
        false => body,
    };

    // 10. Transform the request. Boxed: bodies are rarely changed, and no connection is to be larger for it.
    let body = match &route.reshape {
        Some(reshape) => Box::pin(reshape.request(&matched, head, body, timer, record)).await?,
        None => body,
    };
    matched.transform_request(head, record, is_trusted)?;
    let rewritten = matched.rewrite(rewrite, head, record)?;

    // What the client wants of a target is known before the request is copied: the cookie that says so is
    // for Weir alone.
    let upstream = snapshot.upstreams[chosen.upstream].model();
    let wish = affinity::wish(upstream, head, &path, record.client_address);

    // A copy goes its own way; it begins when the body was read.
    let body = match mirror {
        Some(mirror) if head.upgrade.is_none() => {
            let original = Original {
                worker: &client.worker,
                snapshot,
                route: found.route,
                head,
                rewritten: rewritten.as_deref(),
                path: &path,
                host,
            };
            mirror::copy(mirror, &original, body)
        }
        _ => body,
    };

    // 11. Forward: pick a target, with deadlines, and another one where that is safe.
    let forward = Forward {
        client,
        snapshot,
        upstream: chosen.upstream,
        rewritten: rewritten.as_deref(),
        path: &path,
        host,
        trace: record.outgoing(),
    };
    let mut answer = forward::forward(&forward, wish, head, body, interim, timer, record).await?;

    // 12. Transform the response, and what is not over with its head. 14, the record, is written when the answer's end is sent.
    let is_tunnel = matches!(answer.body, Body::WebSocket(_));
    if let Some(rules) = route.validation.as_ref().filter(|_| !is_tunnel) {
        rules.response(client, head, &mut answer, record);
    }
    grpc::relay(record, &mut answer);
    if let Some(rules) = route.streams.sse.filter(|_| !is_tunnel) {
        sse::relay(rules, client, &mut answer);
    }
    // What is not agreed to become a tunnel is an answer like others, whatever was asked for.
    if let Some(reshape) = &route.reshape
        && !is_tunnel
    {
        Box::pin(reshape.response(client, head, &mut answer, timer, record)).await?;
    }
    matched.transform_response(&mut answer.head, head, record)?;
    websocket::settle(head, &mut answer)?;
    if let Some(cookie) = chosen.cookie {
        answer.head.fields.append(SET_COOKIE, cookie);
    }
    // What becomes a tunnel has no body.
    if !is_tunnel {
        shaping::encode(&client.worker, route, head, record, &mut answer);
        // Other answers end by themselves; a stream of events may outlive what it was asked for with.
        let is_stream = sse::is_event_stream(&answer.head.fields);
        let callers = match is_stream {
            true => record.callers().cloned().collect(),
            false => Vec::new(),
        };
        let callers = organization::Callers::of(callers, &client.worker);
        organization::tie(route.organization.as_ref(), callers, &mut answer.body);
    }
    Ok(answer)
}
