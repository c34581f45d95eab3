//! The control loop: signals, reloads, upgrades and the end.

use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use sd_notify::NotifyState;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::block_in_place;
use tokio::time::timeout;

use weir_console::Services;
use weir_discovery::Found;
use weir_gateway::identify::Lookup;

use super::credentials::Desk;
use super::lasting::Beside;
use super::own_tokens::Teller;
use super::pid_file::PidFile;
use super::reload::Reloader;
use super::signals::{Early, Signals};
use super::upgrade::{self, Launch};
use super::watch::Watch;
use super::{Beside as Wanted, Node, Order, Ready, Reloaded, Stage};
use super::{resources, signer, standings, tokens, traffic_file};
use crate::admin;
use crate::deeds::Deeds;
use crate::people;
use crate::records::Keeper;

/// What the log calls the admin listener.
const ADMIN: &str = "the admin listener";

/// How long a start waits for the first word of sources of which nothing is known from before.
const DISCOVERY: Duration = Duration::from_secs(5);

/// How long a successor's start waits for changes that are being written.
const CHANGES: Duration = Duration::from_secs(5);

/// How long an engine may take to hear that it is not needed any more.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Everything that the control loop holds.
pub(super) struct Supervisor {
    pub(super) node: Arc<Node>,
    pub(super) reloader: Reloader,
    pub(super) watch: Watch,
    pub(super) launch: Launch,
    pub(super) keeper: Arc<Keeper>,
    pub(super) services: Services,
    pub(super) admin: TcpListener,
    /// A former process that waits to hear that this one serves.
    pub(super) former: Option<UnixDatagram>,
    pub(super) reload_requests: mpsc::Receiver<Order>,
    /// Targets that discovery finds.
    pub(super) found: mpsc::UnboundedReceiver<Found>,
    /// What the data plane hears of this installation's own tokens.
    pub(super) teller: Arc<Teller>,
    /// What workers ask about credentials.
    pub(super) lookups: Arc<Mutex<mpsc::Receiver<Lookup>>>,
    pub(super) on_ready: Option<Box<dyn FnOnce(Ready) + Send>>,
}

/// Why the loop ended.
enum End {
    Signal,
    /// This process serves now.
    Successor(u32),
}

/// Serves until a signal or a successor ends it.
pub(super) async fn supervise(
    mut supervisor: Supervisor,
    early: Early,
) -> anyhow::Result<ExitCode> {
    let node = Arc::clone(&supervisor.node);
    let address = supervisor
        .admin
        .local_addr()
        .context("cannot use the admin socket")?;
    let (stop_admin, admin_stopped) = watch::channel(false);
    let keeper = Arc::clone(&supervisor.keeper);
    let deeds = Deeds::new(&supervisor.reloader.data);
    let shared = Arc::new(admin::Shared {
        node: Arc::clone(&node),
        telemetry: admin::Telemetry {
            log: supervisor.reloader.log.counters(),
            otlp: supervisor.reloader.exporter.counters(),
            journal: supervisor.reloader.log.journal(),
        },
        keeper: Arc::clone(&keeper),
        services: supervisor.services.clone(),
        deeds: Arc::clone(&deeds),
    });
    let socket = supervisor
        .admin
        .try_clone()
        .context("cannot duplicate the admin socket")?;
    let stopped = admin_stopped.clone();
    let serve_admin = move || answer(socket.try_clone(), Arc::clone(&shared), stopped.clone());
    let is_stopped = move || *admin_stopped.borrow();
    let mut beside = Beside::new(Arc::clone(&node));
    let accounts = (supervisor.services.clone(), Arc::clone(&keeper));
    beside.run("accounts", move || {
        people::keep(accounts.0.clone(), Arc::clone(&accounts.1))
    });
    let desk = Desk::new(
        supervisor.services.clone(),
        Arc::clone(node.gateway.changes()),
        node.issuers.clone(),
        node.gateway.snapshot().config.limits.credential_cache,
    );
    let lookups = Arc::clone(&supervisor.lookups);
    let asked = Arc::clone(&desk);
    beside.run("look-ups of credentials", move || {
        Arc::clone(&asked).answer(Arc::clone(&lookups))
    });
    let heard = (desk, Arc::clone(&node), keeper.records().clone());
    beside.run("changes of credentials", move || {
        Arc::clone(&heard.0).follow(Arc::clone(&heard.1), heard.2.clone())
    });
    let teller = Arc::clone(&supervisor.teller);
    beside.run("this installation's own tokens", move || {
        Arc::clone(&teller).follow()
    });
    let told = (Arc::clone(&deeds), Arc::clone(&keeper));
    beside.run("the audit of the process", move || {
        let (deeds, keeper) = told.clone();
        async move { deeds.tell(&keeper).await }
    });
    beside.run("records", move || {
        let keeper = Arc::clone(&keeper);
        async move { keeper.keep().await }
    });
    // A successor answers on the admin socket, which both have, when it has taken over: a change that it
    // made before would be lost if it were given up.
    let former = supervisor.former.take();
    let waiting = match former {
        Some(former) => Some((former, serve_admin, is_stopped)),
        None => {
            beside.run_until(ADMIN, is_stopped, serve_admin);
            None
        }
    };

    let mut signals = Signals::listen(early)?;
    let (_, nothing) = mpsc::unbounded_channel();
    let mut found = std::mem::replace(&mut supervisor.found, nothing);
    tokio::select! {
        () = begin(&node, &mut found) => {}
        never = traffic_file::follow(&node), if waiting.is_some() => match never {},
    }
    let following = (Arc::clone(&node), Arc::new(Mutex::new(found)));
    beside.run("discovery", move || {
        follow(Arc::clone(&following.0), Arc::clone(&following.1))
    });
    let pid_file = PidFile::write(&supervisor.reloader.data, address)?;
    node.enter(Stage::Ready);
    let records = supervisor.keeper.records().clone();
    let data = supervisor.reloader.data.clone();
    let read = (Arc::clone(&node), records.clone(), data.clone());
    beside.run("standings of organizations", move || {
        standings::follow(Arc::clone(&read.0), read.1.clone(), read.2.clone())
    });
    let identity = supervisor.services.people().unchecked().clone();
    let kept = (Arc::clone(&node), identity.clone(), data.clone());
    let signing = (Arc::clone(&node), identity.clone());
    beside.run("the key of tokens for upstreams", move || {
        signer::follow(Arc::clone(&signing.0), signing.1.clone())
    });
    beside.run("keys and revocations", move || {
        tokens::keep(Arc::clone(&kept.0), kept.1.clone(), kept.2.clone())
    });
    let revisions = supervisor.services.configuration().revisions.clone();
    let tidied = revisions.clone();
    beside.run("old revisions", move || resources::tidy(tidied.clone()));
    let read = (Arc::clone(&node), revisions, records, data);
    beside.run("resources", move || {
        let (node, revisions, records, data) = &read;
        resources::follow(
            Arc::clone(node),
            revisions.clone(),
            records.clone(),
            data.clone(),
        )
    });
    if let Some((former, serve_admin, is_stopped)) = waiting {
        upgrade::announce(former).await?;
        traffic_file::take_over(&node);
        beside.run_until(ADMIN, is_stopped, serve_admin);
    }
    let saving = Arc::clone(&node);
    beside.run("shares of splits", move || {
        traffic_file::keep(Arc::clone(&saving))
    });
    notify(&[NotifyState::Ready]);
    let ready = Ready {
        listeners: node
            .gateway
            .addresses()
            .into_iter()
            .map(|(_, bound)| bound)
            .collect(),
        admin: address,
    };
    tracing::info!(listeners = ?ready.listeners, admin = %ready.admin, "serving");
    if let Some(on_ready) = supervisor.on_ready.take() {
        on_ready(ready);
    }

    let end = control(&mut supervisor, &mut signals).await;
    node.enter(Stage::Draining);
    match end {
        End::Signal => notify(&[NotifyState::Stopping]),
        End::Successor(id) => {
            // Its answers, not ours, are what `/readyz` and `weir reload` should see.
            let _ = stop_admin.send(true);
            // What is known and who is registered is the successor's to keep from now on.
            block_in_place(|| node.discoverer.stop());
            block_in_place(|| node.issuers.stop());
            notify(&[NotifyState::MainPid(id)]);
        }
    }
    let handed_over = matches!(end, End::Successor(_));
    drain(&mut supervisor, handed_over, &mut signals).await;
    let _ = stop_admin.send(true);
    block_in_place(|| node.discoverer.stop());
    block_in_place(|| node.issuers.stop());
    drop(pid_file);
    // Their last records are in the rings then.
    block_in_place(|| node.gateway.join());
    deeds.finish(LAST_WORDS).await;
    supervisor.reloader.log.finish();
    // The last lines of the log may be for the receiver.
    block_in_place(|| supervisor.reloader.exporter.finish());
    // Admin connections that are still open end with the process.
    beside.end().await;
    // Who does not answer is not waited for: nothing is under way any more.
    let _ = timeout(LAST_WORDS, supervisor.keeper.records().close()).await;
    Ok(ExitCode::SUCCESS)
}

/// Takes up the first targets of sources of which nothing is known from before.
async fn begin(node: &Node, found: &mut mpsc::UnboundedReceiver<Found>) {
    let mut settled = pin!(node.discoverer.settled(DISCOVERY));
    loop {
        tokio::select! {
            () = &mut settled => break,
            Some(found) = found.recv() => take_up(node, found),
        }
    }
    while let Ok(found) = found.try_recv() {
        take_up(node, found);
    }
}

/// Answers on the admin socket until that is stopped.
async fn answer(
    socket: std::io::Result<TcpListener>,
    shared: Arc<admin::Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let listener = socket.and_then(|socket| {
        socket.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(socket)
    });
    match listener {
        Ok(listener) => {
            let until = async move {
                let _ = stopped.wait_for(|stopped| *stopped).await;
            };
            admin::serve(listener, shared, until).await;
        }
        Err(error) => tracing::error!(%error, "cannot use the admin socket"),
    }
}

/// Hands what discovery finds to the data plane, also while it drains.
async fn follow(node: Arc<Node>, found: Arc<Mutex<mpsc::UnboundedReceiver<Found>>>) {
    let mut found = found.lock().await;
    while let Some(found) = found.recv().await {
        take_up(&node, found);
    }
}

fn take_up(node: &Node, Found { upstream, targets }: Found) {
    // What workers choose from is built anew, which can take a while.
    block_in_place(|| node.gateway.discovered(&upstream, targets));
}

async fn control(supervisor: &mut Supervisor, signals: &mut Signals) -> End {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return End::Signal,
            _ = signals.interrupt.recv() => return End::Signal,
            _ = signals.hang_up.recv() => drop(reload(supervisor, Wanted::Same)),
            _ = signals.reopen.recv() => supervisor.reloader.log.reopen(),
            () = supervisor.watch.changed() => drop(reload(supervisor, Wanted::Same)),
            Some(Order { beside, answer }) = supervisor.reload_requests.recv() => {
                // Whoever asked may have left; the reload stands all the same.
                let _ = answer.send(reload(supervisor, beside));
            }
            _ = signals.replace.recv() => {
                let gateway = &supervisor.node.gateway;
                let keeping = &supervisor.node.keeping;
                if timeout(CHANGES, keeping.suspend()).await.is_err() {
                    tracing::error!(
                        "upgrade failed, this process goes on: a change is still being written"
                    );
                    continue;
                }
                tracing::info!("starting a successor");
                let Signals { terminate, interrupt, .. } = signals;
                let told_to_end = async {
                    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                };
                let Supervisor { launch, admin, .. } = supervisor;
                match upgrade::hand_over(launch, gateway, admin, told_to_end).await {
                    Ok(Some(successor)) => {
                        traffic_file::hand_over(&supervisor.node);
                        successor.take_over().await;
                        tracing::info!(successor = successor.id, "successor serves");
                        return End::Successor(successor.id);
                    }
                    Ok(None) => return End::Signal,
                    Err(error) => {
                        supervisor.node.keeping.resume().await;
                        tracing::error!("upgrade failed, this process goes on: {error:#}");
                    }
                }
            }
        }
    }
}

fn reload(supervisor: &mut Supervisor, beside: Wanted) -> Reloaded {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        notify(&[NotifyState::Reloading, now]);
    }
    let Supervisor {
        node,
        reloader,
        watch,
        ..
    } = supervisor;
    // Reading files and compiling would hold up the other tasks of this thread.
    let (outcome, fresh) = block_in_place(|| reloader.reload(node, watch, beside));
    *watch = fresh;
    notify(&[NotifyState::Ready]);
    outcome
}

/// Lets requests under way end; a second signal cuts them.
async fn drain(supervisor: &mut Supervisor, handed_over: bool, signals: &mut Signals) {
    // Whoever asks for a reload now is told that the process ends.
    supervisor.reload_requests.close();
    while supervisor.reload_requests.try_recv().is_ok() {}
    let gateway = &supervisor.node.gateway;
    let within = gateway.snapshot().config.drain_timeout;
    tracing::info!(connections = gateway.connections(), ?within, "draining");
    let mut draining = pin!(gateway.drain(within, handed_over));
    let cut = loop {
        tokio::select! {
            cut = &mut draining => break cut,
            _ = signals.reopen.recv() => supervisor.reloader.log.reopen(),
            _ = signals.terminate.recv() => break gateway.drain(Duration::ZERO, handed_over).await,
            _ = signals.interrupt.recv() => break gateway.drain(Duration::ZERO, handed_over).await,
        }
    };
    if cut == 0 {
        tracing::info!("drained");
    } else {
        tracing::warn!(connections = cut, "drained by cutting connections");
    }
}

/// Tells the service manager, if there is one.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "service manager not told");
    }
}
