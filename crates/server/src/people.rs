//! Organizations and people of the running process: ready as soon as records are.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::http::StatusCode;
use tokio::time::sleep;
use weir_config::Config;
use weir_config::model::{self, Mail, Sessions, Tokens};
use weir_console::{Configuration, CursorKey, OperatorToken, People, Problem, Services, Site};
use weir_core::Secret;
use weir_identity::{
    Error, Identity, MailOptions, MailTls, Options, SessionOptions, SigningAlgorithm, TokenOptions,
};

use crate::installation_key::InstallationKey;
use crate::records::{Condition, Keeper};

/// Between attempts to prepare what is not ready.
const RETRY: Duration = Duration::from_secs(2);

/// Where people reach the admin listener, and what this installation's tokens have as their issuer.
pub(crate) fn public_url(config: &Config) -> String {
    match &config.admin.public_url {
        Some(url) => url.clone(),
        None => format!("http://{}", config.admin.address),
    }
}

/// What the admin API needs, not ready yet.
pub(crate) fn services(
    config: &Config,
    key: &InstallationKey,
    keeper: &Keeper,
    operator: &OperatorToken,
    configuration: Configuration,
) -> anyhow::Result<Services> {
    let public_url = public_url(config);
    let options = Options {
        former_keys: key.former().to_vec(),
        tokens: tokens(&config.tokens),
        sessions: sessions(&config.sessions),
        mail: config.mail.as_ref().map(mail),
        ..Options::new(public_url.clone(), key.secret().clone())
    };
    if let Some(mail) = &options.mail {
        mail.check().context("cannot send mail")?;
    }
    let identity =
        Identity::new(keeper.records().clone(), options).context("cannot set up accounts")?;
    let cursors = CursorKey::new(&key.derive("cursors")?);
    if !public_url.starts_with("https://") {
        tracing::info!(
            public_url,
            "people sign in by browser on this machine only, with cookies that are not `Secure`: \
             `admin.public_url` with https lets them do so from elsewhere"
        );
    }
    let site = Site::new(
        public_url,
        config.return_origins.clone(),
        &key.derive("pages")?,
    );
    let site = site.under(config.sign_in_hosts.clone());
    Ok(Services::new(
        Arc::new(People::new(identity)),
        operator,
        cursors,
        configuration,
        site,
    ))
}

fn tokens(tokens: &Tokens) -> TokenOptions {
    TokenOptions {
        algorithm: match tokens.algorithm {
            model::SigningAlgorithm::Rs256 => SigningAlgorithm::Rs256,
            model::SigningAlgorithm::Es256 => SigningAlgorithm::Es256,
            model::SigningAlgorithm::EdDsa => SigningAlgorithm::EdDsa,
        },
        access_lifetime: tokens.access_lifetime,
        refresh_lifetime: tokens.refresh_lifetime,
        rotate_every: tokens.rotate_every,
        ..TokenOptions::default()
    }
}

const fn sessions(sessions: &Sessions) -> SessionOptions {
    SessionOptions {
        idle: sessions.idle,
        longest: sessions.absolute,
        rotate_after: sessions.rotate_every,
        overlap: sessions.overlap,
    }
}

fn mail(mail: &Mail) -> MailOptions {
    let authorities = mail.authorities.as_ref();
    MailOptions {
        host: mail.host.clone(),
        port: mail.port,
        tls: match mail.tls {
            model::MailTls::None => MailTls::None,
            model::MailTls::StartTls => MailTls::StartTls,
            model::MailTls::Implicit => MailTls::Implicit,
        },
        authority: authorities.map(|pem| pem.bytes.expose().to_vec()),
        credentials: mail.credentials.clone(),
        from: mail.from.clone(),
        timeout: mail.timeout,
    }
}

/// Makes people ready when records are, and does their upkeep for as long as the process lives.
pub(crate) async fn keep(services: Services, keeper: Arc<Keeper>) {
    let people = services.people();
    keeper
        .until(|condition| match condition {
            Condition::Unusable { why } => {
                people.close(
                    unusable(60),
                    unusable(60).saying(format!("Records cannot be used: {why}.")),
                );
                false
            }
            Condition::Unavailable { why, .. } => {
                people.close(
                    unusable(2),
                    unusable(2).saying(format!("Records are not available: {why}.")),
                );
                false
            }
            condition => *condition == Condition::Available,
        })
        .await;
    prepare(people).await;
    people.open();
    people.unchecked().run().await;
}

/// Until it has gone well: records may go away at any moment.
async fn prepare(people: &People) {
    let identity = people.unchecked();
    let mut is_told = false;
    loop {
        match begin(identity).await {
            Ok(None) => return,
            Ok(Some(link)) => return print(&link),
            Err(error) => {
                if !std::mem::replace(&mut is_told, true) {
                    tracing::error!(%error, "the admin API over records is not available");
                }
                let problem = Problem::from(error);
                people.close(problem.clone(), problem);
            }
        }
        sleep(RETRY).await;
    }
}

/// The link with which an installation that has no owner gets one.
async fn begin(identity: &Identity) -> Result<Option<Secret<String>>, Error> {
    identity.prepare().await?;
    let token = identity.begin_setup().await?;
    Ok(token.map(|token| identity.link("setup", &token)))
}

/// Past the log, which may be kept and sent elsewhere: the link opens everything.
fn print(link: &Secret<String>) {
    use std::io::Write as _;

    tracing::info!("nobody owns this installation yet: standard error says how to set it up");
    let text = format!(
        "Set up this installation, within a day: {}\n\
         Open it in a browser, or run `weir accept`, which asks for it; `weir setup-link` prints another one.\n",
        link.expose()
    );
    // Nobody is left to tell if this fails.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// What anybody may hear: paths and words of the engine are for whoever runs the node.
fn unusable(again_after: u16) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "records_unavailable",
        "Records cannot be used for now: the log of this node, `weir doctor` and `GET /v1/status` say why.",
    )
    .retry_after(again_after)
}
