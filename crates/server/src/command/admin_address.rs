//! Where the running Weir's admin listener is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use weir_core::Secret;

use crate::admin_client::{self, Admin, Place};
use crate::cli::Global;
use crate::credential::{Credential, Kept, KeptSession, Source};
use crate::operator;
use crate::output::{Incomplete, Output};
use crate::serve::pid_file;

/// Where the admin listener is unless the configuration says otherwise.
const DEFAULT_ADMIN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9900);
/// Where the data is unless the configuration says otherwise.
const DEFAULT_DATA: &str = "./weir-data";

/// Whom to ask.
#[derive(Clone, Debug, Args)]
pub(crate) struct Ask {
    /// Admin listener to ask, such as 127.0.0.1:9900 or https://weir.example; otherwise the one in the configuration
    #[arg(long, global = true, value_name = "ADDRESS")]
    admin: Option<Place>,
    /// File with authorities (PEM) to trust beside the system's, for https
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Ask over http on other machines, too: whoever is on the way can read and change all of it
    #[arg(long, global = true)]
    insecure_http: bool,
}

impl Ask {
    /// Whether it says which.
    pub(super) const fn is_named(&self) -> bool {
        self.admin.is_some()
    }
}

/// Who is to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum As {
    /// Whoever there is a credential of: in the environment, kept by `weir login`, or the operator's.
    Anybody,
    /// The operator, who may do what no account can.
    Operator,
    /// Nobody: what is asked needs no credential.
    Nobody,
}

/// The admin listener that was named or, without one, where the running Weir listens, and a credential for it.
pub(super) fn find(ask: &Ask, global: &Global, output: &Output) -> anyhow::Result<Admin> {
    find_as(As::Anybody, ask, global, output)
}

/// The same for somebody.
pub(super) fn find_as(
    who: As,
    ask: &Ask,
    global: &Global,
    output: &Output,
) -> anyhow::Result<Admin> {
    let Some(place) = &ask.admin else {
        let configured = configured(global)?;
        let admin = of_this_machine(ask, listening(&configured, output))?;
        let credential = match who {
            As::Nobody => None,
            who => match without_data(who, &admin.place)? {
                None => operators(&configured.data)?,
                credential => credential,
            },
        };
        return Ok(admin.with(credential));
    };
    let admin = named(ask, place)?;
    let credential = match who {
        As::Nobody => None,
        who => match without_data(who, place)? {
            // The token of this machine is for what runs on this machine.
            None if place.is_loopback() && !place.is_tls() => configured(global)
                .ok()
                .and_then(|configured| operators(&configured.data).ok()?),
            credential => credential,
        },
    };
    Ok(admin.with(credential))
}

fn of_this_machine(ask: &Ask, address: SocketAddr) -> anyhow::Result<Admin> {
    check_authorities(ask, false)?;
    Ok(Admin::anonymous(address))
}

/// One that `--admin` names.
fn named(ask: &Ask, place: &Place) -> anyhow::Result<Admin> {
    check_authorities(ask, place.is_tls())?;
    if !place.is_tls() && !place.is_loopback() && !ask.insecure_http {
        let message = format!(
            "{place} is not on this machine, and over http whoever is on the way can read and change all of it, the \
             credential too: name it as https://…, reach it through a tunnel, or add --insecure-http"
        );
        return Err(Incomplete(message).into());
    }
    Admin::at(place.clone(), ask.ca.as_deref())
}

fn check_authorities(ask: &Ask, is_tls: bool) -> anyhow::Result<()> {
    if ask.ca.is_some() && !is_tls {
        let message = "--ca is for an admin listener that --admin names as https://…";
        return Err(Incomplete(message.to_owned()).into());
    }
    Ok(())
}

/// A credential that is not in the data directory.
fn without_data(who: As, place: &Place) -> anyhow::Result<Option<Credential>> {
    if let Some(credential) = Credential::of_environment() {
        return Ok(Some(credential));
    }
    if who != As::Anybody {
        return Ok(None);
    }
    let Some(kept) = Kept::find() else {
        return Ok(None);
    };
    let session = kept.at(place)?;
    Ok(session.as_ref().map(KeptSession::credential))
}

/// Where the running Weir listens: as it noted in its data directory, since a changed `admin.address`
/// waits for its next start, else as the configuration says.
fn listening(configured: &Configured, output: &Output) -> SocketAddr {
    let admin = configured.admin;
    // What is noted may be left from a process that was killed.
    let noted = pid_file::read_admin(&configured.data);
    let noted = noted.filter(|noted| *noted != admin && admin_client::is_reachable(*noted));
    let Some(noted) = noted else {
        return admin;
    };
    if admin.port() != 0 {
        output.note(&format!(
            "the admin address of the configuration is {admin}; the running Weir still listens at \
             {noted}\n"
        ));
    }
    noted
}

/// What whoever can read the data directory may use.
fn operators(data: &Path) -> anyhow::Result<Option<Credential>> {
    let token = operator::load(data)?;
    Ok(token.map(|token| {
        let token = Secret::new(token.expose().to_owned());
        Credential::new(token, Source::Operator)
    }))
}

struct Configured {
    admin: SocketAddr,
    data: PathBuf,
}

fn configured(global: &Global) -> anyhow::Result<Configured> {
    if let Ok(loaded) = weir_config::load(&global.config, &global.lenient()) {
        return Ok(Configured {
            admin: loaded.config.admin.address,
            data: loaded.config.data,
        });
    }
    // It has mistakes, or refers to what only the running Weir can see: that is for the running Weir
    // to say, so all that is needed is where to ask.
    let text = std::fs::read_to_string(&global.config).with_context(|| {
        format!(
            "cannot read {}; state the admin address with --admin",
            global.config.display()
        )
    })?;
    let given = global.data_dir.clone();
    Ok(Configured {
        admin: written_admin(&text).unwrap_or(DEFAULT_ADMIN),
        data: given.unwrap_or_else(|| {
            written_data(&text)
                .unwrap_or(Path::new(DEFAULT_DATA))
                .into()
        }),
    })
}

/// The admin address in a text that may be anything but valid: the first address in or under the
/// line `admin:`.
fn written_admin(text: &str) -> Option<SocketAddr> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("admin:"));
    let head = lines.next()?.strip_prefix("admin:")?;
    let is_below = |line: &&str| line.is_empty() || line.starts_with([' ', '#']);
    let words = std::iter::once(head)
        .chain(lines.take_while(is_below))
        .flat_map(|line| {
            let line = line.split('#').next().unwrap_or_default();
            line.split([' ', '{', '}', ',', '"', '\''])
        });
    words.filter_map(|word| word.parse().ok()).next()
}

/// The data directory in such a text.
fn written_data(text: &str) -> Option<&Path> {
    let line = text.lines().find_map(|line| line.strip_prefix("data:"))?;
    let value = line.split(" #").next().unwrap_or_default().trim();
    let value = value.trim_matches(['"', '\'']);
    (!value.is_empty()).then(|| Path::new(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_admin_address_is_found_in_a_broken_text() {
        let address = Some("127.0.0.1:9901".parse().unwrap());
        for text in [
            "admin: { address: 127.0.0.1:9901 }\nroutes: [",
            "a: b: c\nadmin:\n  # 1.1.1.1:1\n\n  address: \"127.0.0.1:9901\"\n",
            "admin:   # 127.0.0.1:1\n  address: '127.0.0.1:9901' # here\n",
        ] {
            assert_eq!(written_admin(text), address, "{text}");
        }
        for text in [
            "",
            "admin:",
            "admin: {}\nlisteners:\n  - address: 127.0.0.1:80",
            "  admin: 1.1.1.1:1",
        ] {
            assert_eq!(written_admin(text), None, "{text}");
        }
    }

    #[test]
    fn the_data_directory_is_found_in_a_broken_text() {
        for text in ["data: /a b\nroutes: [", "x\ndata: '/a b' # here\n"] {
            assert_eq!(written_data(text), Some(Path::new("/a b")), "{text}");
        }
        for text in ["", "data:", "  data: /a"] {
            assert_eq!(written_data(text), None, "{text}");
        }
    }
}
