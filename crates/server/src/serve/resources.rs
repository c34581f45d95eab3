//! Resources beside the file: read from the records, put into effect, and kept in the data directory, so
//! that a start without records serves what was served before.

mod begin;
mod file;
pub(super) mod left_out;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::sleep;
use weir_config::Resources;
use weir_revisions::{Author, Latest, RETENTION, Revisions};
use weir_store::Records;
use weir_store::records::{Notice, Notices, Topic};

use super::{Beside, Node, Reloaded};

pub(super) use begin::{Begun, begin, judge};
pub(crate) use file::read as kept;

/// How often it is looked although nothing was said: a notice can be lost. It is one row by an index.
const LOOK: Duration = Duration::from_secs(1);

/// How often it is looked for what has been in the trash for so long.
const TIDYING: Duration = Duration::from_secs(3_600);

/// What was tried: a revision of resources, beside one of the file.
type Tried = (Latest, u64);

/// Follows the records for as long as the process serves.
pub(super) async fn follow(
    node: Arc<Node>,
    revisions: Revisions,
    records: Records,
    directory: PathBuf,
) {
    let mut notices = records.notices();
    let mut follower = Follower {
        has_none: node.running().revision == 0,
        node,
        revisions,
        directory,
        tried: None,
    };
    loop {
        // If records do not answer, all stays as it is, and the next look asks again.
        if let Err(error) = follower.look().await {
            tracing::debug!(%error, "resources cannot be read");
        }
        if !is_due(&mut notices).await {
            return;
        }
    }
}

/// Removes for good what was deleted long ago, for as long as the process serves. Several nodes may do so.
pub(super) async fn tidy(revisions: Revisions) {
    loop {
        sleep(TIDYING).await;
        if let Err(error) = revisions.purge(&Author::system(), RETENTION).await {
            tracing::warn!(%error, "deleted resources are not removed yet; it is tried again");
        }
    }
}

/// Waits until it is time to look; no when records are closed.
async fn is_due(notices: &mut Notices) -> bool {
    let late = sleep(LOOK);
    tokio::pin!(late);
    loop {
        tokio::select! {
            heard = notices.next() => match heard {
                Some(Notice::Changed(Topic::Revisions) | Notice::Anything) => return true,
                Some(Notice::Changed(_) | Notice::Lost) => {}
                None => return false,
            },
            () = &mut late => return true,
        }
    }
}

struct Follower {
    node: Arc<Node>,
    revisions: Revisions,
    directory: PathBuf,
    tried: Option<Tried>,
    /// Nothing was kept when the process began, and nothing was taken up since: there is no former revision to stay
    /// with, so that what can be used is better than nothing.
    has_none: bool,
}

impl Follower {
    async fn look(&mut self) -> weir_revisions::Result<()> {
        let node = &self.node;
        let latest = self.revisions.latest().await?;
        let running = node.running();
        let is_the_latest = running.revision == latest.number && *running.digest == latest.digest;
        if is_the_latest && running.left_out.is_empty() {
            self.has_none = false;
            return Ok(());
        }
        // What was refused is tried again beside another file, or when it is another revision.
        let is_tried =
            |(resources, file): &Tried| *resources == latest && *file == node.revision().number;
        if self.tried.as_ref().is_some_and(is_tried) {
            return Ok(());
        }
        let resources = self.revisions.snapshot().await?;
        let opened = Arc::new(self.revisions.secrets().open(&resources));
        let outcome = node.reload_with(match self.has_none {
            true => Beside::WhatFits(opened),
            false => Beside::All(opened),
        });
        let outcome = outcome.await;
        let read = Latest {
            number: resources.revision(),
            digest: resources.digest().to_owned(),
        };
        self.tried = Some((read, node.revision().number));
        match outcome {
            Some(Reloaded::Applied(_) | Reloaded::Unchanged(_)) => {
                self.has_none = false;
                tracing::info!(revision = resources.revision(), "resources in effect");
                left_out::tell(resources.revision(), &node.running().left_out);
                // All of them: what is left out now may fit the next start.
                // Under the present key: the file may outlive what it was sealed with in the records.
                let resources = self.revisions.secrets().resealed(&resources);
                keep(node, &self.directory, &resources).await;
            }
            Some(Reloaded::Rejected(_)) => {
                tracing::error!(
                    revision = resources.revision(),
                    running = running.revision,
                    "resources refused, those of the running revision stay"
                );
            }
            // The process ends.
            None => {}
        }
        Ok(())
    }
}

async fn keep(node: &Node, directory: &Path, resources: &Resources) {
    // A successor that is starting has read the file; it asks by itself.
    let Some(_permit) = node.keeping.permit().await else {
        return;
    };
    if let Err(error) = block_in_place(|| file::save(directory, resources)) {
        tracing::error!("a start without records would serve an earlier revision: {error:#}");
    }
}
