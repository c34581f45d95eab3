//! From the command line to a serving process.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, bail};
use tokio::sync::{Mutex, mpsc, watch};
use weir_config::{LoadOptions, Loaded, Report};
use weir_console::{Configuration, Running};
use weir_discovery::{Discoverer, Pod};
use weir_gateway::{Gateway, Remembered};
use weir_issuers::Issuers;
use weir_revisions::{Revisions, Secrets};

use super::descriptors;
use super::inherit::Inherited;
use super::issuers;
use super::last_good::LastGood;
use super::own_tokens::{OwnIssuer, Teller};
use super::reload::{Reloader, rejected};
use super::resources::{self, Begun};
use super::signals::Early;
use super::standings::{self, routes_of_organizations};
use super::supervise::{Supervisor, supervise};
use super::tokens;
use super::traffic_file::TrafficFile;
use super::upgrade::Launch;
use super::watch::Watch;
use super::{Node, Rejection, Revision};
use crate::configuration;
use crate::installation_key::InstallationKey;
use crate::log::LogHandle;
use crate::operator;
use crate::otlp::Exporter;
use crate::panics;
use crate::people;
use crate::records::{self, Keeper};

/// Threads for everything but traffic.
const CONTROL_THREADS: usize = 2;

/// What `weir run` was told.
pub(crate) struct RunOptions {
    /// The configuration file.
    pub(crate) config: PathBuf,
    /// Data directory that wins over the file's.
    pub(crate) data: Option<PathBuf>,
    /// Environment whose overlay is applied.
    pub(crate) environment: Option<String>,
    /// Start with the last good revision if the file is broken.
    pub(crate) last_good: bool,
    /// Whether warnings refuse the configuration.
    pub(crate) strict: bool,
    /// Called once when traffic is served.
    pub(crate) on_ready: Option<Box<dyn FnOnce(Ready) + Send>>,
}

/// Where a process serves.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    /// Listeners, as bound.
    pub(crate) listeners: Vec<SocketAddr>,
    /// Admin listener, as bound.
    pub(crate) admin: SocketAddr,
}

/// Serves until a signal ends it.
pub(crate) fn run(options: RunOptions) -> anyhow::Result<ExitCode> {
    panics::decide();
    let launch = Launch::remember()?;
    let mut inherited = Inherited::from_environment()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name(panics::BESIDE_TRAFFIC)
        .enable_all()
        .build()
        .context("cannot start the control runtime")?;
    let signals = {
        let _context = runtime.enter();
        Early::listen()?
    };
    let mut load_options = LoadOptions {
        environment: options.environment.clone(),
        data: options.data.clone(),
        strict: options.strict,
        ..LoadOptions::default()
    };
    let Started {
        loaded,
        watch: files,
        text,
        rejection,
    } = load(&options, &load_options)?;
    let data = loaded.config.data.clone();
    make_directory(&data)?;
    let key = InstallationKey::of(&loaded.config)?;
    let secrets = Secrets::with_former(key.secret(), key.former());
    let secrets = secrets.context("cannot set up the sealing of secrets")?;
    let Begun {
        mut loaded,
        resources,
        left_out,
        complaints,
    } = resources::begin(loaded, &data, &secrets, &load_options, |options| {
        text.load(options)
    });
    for complaint in &complaints {
        eprint(complaint);
    }
    let judge = resources::judge(options.config.clone(), load_options.clone());
    let running = watch::Sender::new(Running {
        revision: resources.revision(),
        digest: resources.digest().into(),
        left_out: left_out.into(),
        refused: None,
        warnings: resources::left_out::warnings(&loaded),
        file: Arc::new(loaded.file_resources()),
        of_organizations: Arc::new(routes_of_organizations(&loaded.config)),
        leaked_keys: Arc::default(),
    });
    load_options.resources = Some(resources);
    let operator = operator::load_or_make(&data)?;
    let exporter = Exporter::start()?;
    exporter.commit(Exporter::prepare(&loaded.config)?);
    let log = LogHandle::start(&loaded.config.log, exporter.logs())?;
    let begun = running.borrow().clone();
    resources::left_out::tell(begun.revision, &begun.left_out);
    descriptors::raise_limit();
    descriptors::fit(&mut loaded.config);
    let kept = LastGood::of(&options.config, &loaded);
    let discovery = weir_discovery::Options {
        data: data.clone(),
        pod: Pod::of_this_process(),
    };
    let (discoverer, found) = Discoverer::run(discovery).context("cannot start discovery")?;
    discoverer.fill(&mut loaded.config);
    let followed = weir_issuers::Options { data: data.clone() };
    let issuers = Issuers::run(followed).context("cannot start to follow issuers")?;
    let (own_issuer, own_keys) = OwnIssuer::new(people::public_url(&loaded.config));
    issuers::fill(&mut loaded.config, &issuers, &own_issuer);
    running.send_modify(|running| {
        running.leaked_keys = Arc::new(loaded.config.leaked_keys.clone());
    });
    let config = Arc::new(loaded.config);
    let keeper = {
        let _context = runtime.enter();
        Arc::new(Keeper::new(records::open(&config)?))
    };
    let configuration = Configuration {
        revisions: Revisions::new(keeper.records().clone(), secrets),
        running: running.subscribe(),
        judge,
    };
    let services = people::services(&config, &key, &keeper, &operator, configuration)?;
    tokens::recall(services.people().unchecked(), &data);
    let teller = Teller::new(services.people().unchecked().clone(), &own_issuer, own_keys);
    let (traffic_file, saved) = TrafficFile::open(&data);
    let remembered = Remembered {
        splits: saved,
        former_decides: inherited.ready.is_some(),
        standings: standings::remembered(&data),
    };
    let (gateway, rings) = Gateway::start(&config, inherited.take_listeners(), remembered)?;
    log.journal()
        .configure(&config.admin.requests, log.redactor());
    log.follow(rings.records);
    exporter.follow(rings.traces);
    discoverer.apply(&config);
    let admin = match inherited.take_admin(config.admin.address) {
        Some(listener) => listener,
        None => listen(config.admin.address)?,
    };
    let revision = Revision {
        number: 1,
        digest: kept.digest.clone(),
        since: SystemTime::now(),
        file: options.config.clone(),
        environment: kept.environment.clone(),
        last_good: rejection.is_some(),
        resources: running.borrow().revision,
    };
    if rejection.is_none()
        && let Err(error) = kept.save(&data)
    {
        tracing::warn!("{error:#}");
    }
    let (requests, reload_requests) = mpsc::channel(8);
    let node = Node::new(
        gateway,
        discoverer,
        (issuers, own_issuer),
        revision,
        requests,
        traffic_file,
        running,
    );
    if let Some(rejection) = rejection {
        node.note(&super::Reloaded::Rejected(rejection));
    }
    let supervisor = Supervisor {
        node,
        reloader: Reloader::new(options.config, load_options, data, log, exporter),
        watch: files,
        launch,
        keeper,
        services,
        teller,
        admin,
        former: inherited.ready.take(),
        reload_requests,
        found,
        lookups: Arc::new(Mutex::new(rings.lookups)),
        on_ready: options.on_ready,
    };
    let code = runtime.block_on(supervise(supervisor, signals));
    runtime.shutdown_background();
    code
}

struct Started {
    loaded: Loaded,
    watch: Watch,
    /// Where it was loaded from.
    text: Text,
    /// Why the file was not used.
    rejection: Option<Rejection>,
}

/// Where a configuration comes from.
enum Text {
    File(PathBuf),
    LastGood(LastGood),
}

impl Text {
    fn load(&self, options: &LoadOptions) -> Result<Loaded, Report> {
        match self {
            Self::File(path) => configuration::load(path, options),
            Self::LastGood(kept) => {
                let base = kept.file.parent().unwrap_or(Path::new(""));
                let name = format!("{} (last good)", kept.file.display());
                configuration::load_text(&kept.text, &name, base, options)
            }
        }
    }
}

/// Loads the file, or the last good revision if that was asked for.
fn load(options: &RunOptions, load_options: &LoadOptions) -> anyhow::Result<Started> {
    let text = Text::File(options.config.clone());
    let report = match text.load(load_options) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprint(&warning.render(false));
            }
            let watch = Watch::of(&loaded.files);
            return Ok(Started {
                loaded,
                watch,
                text,
                rejection: None,
            });
        }
        Err(report) => report,
    };
    if !options.last_good {
        return Err(report.into());
    }
    eprint(&report.render(std::io::IsTerminal::is_terminal(&std::io::stderr())));
    let data = options.data.clone().unwrap_or_else(default_data);
    let Some(kept) = LastGood::load(&data)? else {
        bail!("there is no last good revision in {}", data.display());
    };
    let file = kept.file.clone();
    let text = Text::LastGood(kept);
    match text.load(load_options) {
        Ok(loaded) => {
            eprint(&format!(
                "starting with the last good revision of {}\n",
                file.display()
            ));
            let watch = Watch::of(&report.files);
            Ok(Started {
                loaded,
                watch,
                text,
                rejection: Some(rejected(&report)),
            })
        }
        Err(second) => {
            eprint("the last good revision cannot be used either:\n");
            Err(second.into())
        }
    }
}

/// Where the data is when the file, which is broken, cannot say.
fn default_data() -> PathBuf {
    PathBuf::from("./weir-data")
}

/// Before the log is set up, and for text that is laid out for a terminal.
fn eprint(text: &str) {
    use std::io::Write;
    // Nobody is left to tell if this fails.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// The data directory, for nobody else to look into.
pub(crate) fn make_directory(data: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .with_context(|| format!("cannot create the data directory {}", data.display()))
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .with_context(|| format!("cannot listen on the admin address {address}"))?;
    Ok(listener)
}
