//! How organizations stand whose traffic flows here: read from records, told to the data plane, and kept
//! in the data directory, so that a start without records does not forget who is suspended.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep_until};
use weir_config::Config;
use weir_gateway::organization::{Standing, Standings};
use weir_store::Records;
use weir_store::records::{Notice, Topic};

use super::Node;

const FILE: &str = "organizations.json";
/// Largest file that is read back.
const LARGEST: u64 = 64 << 20;
/// How often it is looked whether a new revision names somebody new.
const LOOK: Duration = Duration::from_millis(250);
/// How often all is read although nothing was said: a notice can be lost.
const SWEEP: Duration = Duration::from_secs(1);

/// What a former process was told. A file that cannot be read is said, and nobody is suspended until
/// the records can be asked.
pub(super) fn remembered(directory: &Path) -> Standings {
    read(&directory.join(FILE)).unwrap_or_else(|error| {
        tracing::error!("it is not known who is suspended until records are read: {error:#}");
        Standings::new()
    })
}

fn read(path: &Path) -> anyhow::Result<Standings> {
    let text = weir_files::read(path, LARGEST)
        .with_context(|| format!("cannot read {}", path.display()))?;
    let Some(text) = text else {
        return Ok(Standings::new());
    };
    serde_json::from_slice(&text).with_context(|| format!("{} is damaged", path.display()))
}

/// The routes that name an organization, by its slug.
pub(super) fn routes_of_organizations(config: &Config) -> BTreeMap<String, Vec<String>> {
    let mut routes = BTreeMap::<_, Vec<_>>::new();
    for route in &config.routes {
        if let Some(organization) = &route.organization {
            let named = routes.entry(organization.clone()).or_default();
            named.push(route.name.clone());
        }
    }
    routes
}

/// Follows the records for as long as the process serves.
pub(super) async fn follow(node: Arc<Node>, records: Records, directory: PathBuf) {
    let mut notices = records.notices();
    let mut file = Kept {
        path: directory.join(FILE),
        standings: None,
    };
    let mut is_due = false;
    let mut swept = None;
    loop {
        let now = Instant::now();
        let is_old = swept.is_none_or(|swept| now >= swept + SWEEP);
        if is_due || is_old || node.gateway.unknown_organizations() > 0 {
            // If they do not answer, all stays as it is, and the next look asks again.
            match weir_identity::standings(&records).await {
                Ok(all) => {
                    take_up(&node, &all, &mut file).await;
                    is_due = false;
                    swept = Some(now);
                }
                Err(error) => {
                    tracing::debug!(%error, "organizations cannot be read");
                    is_due = true;
                }
            }
        }
        tokio::select! {
            heard = notices.next() => match heard {
                Some(Notice::Changed(Topic::Organizations) | Notice::Anything) => is_due = true,
                Some(Notice::Changed(_) | Notice::Lost) => {}
                None => return,
            },
            () = sleep_until(now + LOOK) => {}
        }
    }
}

async fn take_up(node: &Node, all: &HashMap<String, bool>, kept: &mut Kept) {
    let before = kept.standings.clone().unwrap_or_default();
    let standings = node.gateway.stand(|name| match all.get(name) {
        Some(false) => Standing::Active,
        Some(true) => Standing::Suspended,
        None => Standing::Missing,
    });
    for (organization, standing) in &standings {
        if before.get(organization) == Some(standing) {
            continue;
        }
        match standing {
            Standing::Unknown | Standing::Active => {
                tracing::info!(organization, "traffic of this organization flows");
            }
            Standing::Suspended => {
                tracing::warn!(
                    organization,
                    "suspended: traffic of this organization is refused"
                );
            }
            Standing::Missing => {
                tracing::warn!(
                    organization,
                    "there is no such organization: requests of routes that name it are refused"
                );
            }
        }
    }
    if kept.standings.as_ref() == Some(&standings) {
        return;
    }
    // A successor that is starting has read the file; it asks by itself.
    if let Some(_permit) = node.keeping.permit().await {
        match block_in_place(|| kept.save(&standings)) {
            Ok(()) => kept.standings = Some(standings),
            Err(error) => tracing::error!("a restart would not know who is suspended: {error:#}"),
        }
    }
}

/// The file, and what it holds; `None` if that is not known.
struct Kept {
    path: PathBuf,
    standings: Option<Standings>,
}

impl Kept {
    fn save(&self, standings: &Standings) -> anyhow::Result<()> {
        let text = serde_json::to_vec(standings).context("cannot write them")?;
        weir_files::replace(&self.path, &text)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}
