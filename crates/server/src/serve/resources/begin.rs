//! Resources when the process starts, before records can be asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Semaphore;
use weir_config::{LoadOptions, Loaded, Report, Resources};
use weir_console::{Judge, LeftOut};
use weir_revisions::{Judgement, Objection, Secrets};

use super::file;
use super::left_out::{ATTEMPTS, at_fault, sort, without};
use crate::configuration;

/// A configuration to start with.
pub(in crate::serve) struct Begun {
    pub(in crate::serve) loaded: Loaded,
    /// What of the resources is beside the file.
    pub(in crate::serve) resources: Arc<Resources>,
    pub(in crate::serve) left_out: Vec<LeftOut>,
    /// What a person should see at the start.
    pub(in crate::serve) complaints: Vec<String>,
}

/// Puts the resources that were last in effect beside a configuration. A start must not fail because of
/// them, since without the process nobody could change them: what the file leaves no room for is left
/// out, and with it what depends on it.
pub(in crate::serve) fn begin(
    loaded: Loaded,
    data: &Path,
    secrets: &Secrets,
    options: &LoadOptions,
    load: impl Fn(&LoadOptions) -> Result<Loaded, Report>,
) -> Begun {
    let mut begun = Begun {
        loaded,
        resources: Arc::default(),
        left_out: Vec::new(),
        complaints: Vec::new(),
    };
    let mut resources = match file::read(data) {
        Ok(resources) => {
            // What was kept under a former key must open when that is not known any more.
            let resealed = secrets.resealed(&resources);
            if resealed != resources
                && let Err(error) = file::save(data, &resealed)
            {
                begun.complaints.push(format!("{error:#}\n"));
            }
            Arc::new(secrets.open(&resealed))
        }
        Err(error) => {
            let complaint =
                format!("starting without resources until records are read: {error:#}\n");
            begun.complaints.push(complaint);
            return begun;
        }
    };
    for _ in 0..ATTEMPTS {
        if resources.documents().is_empty() {
            break;
        }
        let options = LoadOptions {
            resources: Some(Arc::clone(&resources)),
            ..options.clone()
        };
        let report = match load(&options) {
            Ok(loaded) => {
                begun.loaded = loaded;
                begun.resources = resources;
                sort(&mut begun.left_out);
                return begun;
            }
            Err(report) => report,
        };
        let at_fault = at_fault(&report);
        begun.complaints.push(report.render(false));
        if at_fault.is_empty() {
            break;
        }
        resources = Arc::new(without(&resources, &at_fault));
        begun.left_out.extend(at_fault);
    }
    // Nothing is beside the file then, but it is still known which revision that is.
    let rest = resources.documents().iter();
    begun.left_out.extend(rest.map(|document| LeftOut {
        resource: document.id.clone(),
        code: None,
        message: "with it the configuration does not load".to_owned(),
    }));
    sort(&mut begun.left_out);
    begun.resources = Arc::new(Resources::new(resources.revision(), Vec::new()));
    begun
}

/// Judges resources as a start of this node would.
pub(in crate::serve) fn judge(path: PathBuf, options: LoadOptions) -> Judge {
    // Judging takes a CPU and the memory of a whole configuration, and goes on to its end when whoever
    // asked for it is gone.
    let one = Arc::new(Semaphore::new(1));
    Arc::new(move |resources| {
        let path = path.clone();
        let options = LoadOptions {
            resources: Some(resources),
            ..options.clone()
        };
        let one = Arc::clone(&one);
        Box::pin(async move {
            let permit = one.acquire_owned().await.map_err(|_| Objection::Busy)?;
            // Reading files and checking thousands of routes would hold up others.
            let loading = move || {
                let _permit = permit;
                configuration::load(&path, &options)
            };
            match tokio::task::spawn_blocking(loading).await {
                Ok(loaded) => loaded
                    .map(|loaded| Judgement {
                        warnings: loaded.warnings,
                        lendings: loaded.lendings,
                    })
                    .map_err(Objection::from),
                Err(failed) => std::panic::resume_unwind(failed.into_panic()),
            }
        })
    })
}
