//! The key under which secrets in the records are sealed.

use weir_config::Config;
use weir_identity::{Identity, KeyState, Options};

use super::Check;
use crate::installation_key::{self, InstallationKey};
use crate::records;

const NAME: &str = "installation key";

/// Says nothing where nothing was sealed yet, and where records cannot be asked: that is told elsewhere.
pub(super) fn check(config: &Config) -> Option<Check> {
    let has_database = config.records.url.is_some() || config.data.join(records::FILE).exists();
    let has_key = config.records.key.is_some() || config.data.join(installation_key::FILE).exists();
    if !has_database || !has_key {
        return None;
    }
    let key = match InstallationKey::of(config) {
        Ok(key) => key,
        Err(error) => return Some(Check::fail(NAME, format!("{error:#}"))),
    };
    let former = key.former().len();
    judge(state(config, &key)?, former)
}

fn state(config: &Config, key: &InstallationKey) -> Option<KeyState> {
    let options = Options {
        former_keys: key.former().to_vec(),
        ..Options::new("", key.secret().clone())
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.ok()?.block_on(async {
        let records = records::open(config).ok()?;
        let identity = Identity::new(records.clone(), options).ok()?;
        let state = identity.key_state().await.ok();
        records.close().await;
        state
    })
}

fn judge(state: KeyState, former: usize) -> Option<Check> {
    Some(match (state, former) {
        (KeyState::Unused, _) => return None,
        (KeyState::Settled, 0) => Check::ok(NAME, "opens what is sealed in the records"),
        (KeyState::Settled, _) => {
            Check::ok(NAME, "everything in the records is sealed under it")
                .fix("take `records.former_keys` out of the configuration: they are not needed any more")
        }
        (KeyState::RewrapDue, _) => {
            Check::warn(NAME, "secrets in the records may still be sealed under a former key")
                .fix("run `weir keys rewrap` once every node has the present key; keep the former one until then")
        }
        (KeyState::New, _) => Check::warn(NAME, "no node has taken it up yet")
            .fix("start every node with it, and then run `weir keys rewrap`"),
        (KeyState::Superseded, _) => Check::warn(NAME, "another one has taken its place")
            .fix("make that one `records.key`, as on the other nodes, and this one a former key"),
        (KeyState::Wrong, _) => {
            Check::fail(NAME, "is not the one that secrets in the records are sealed under")
                .fix("give this node the key of the others as `records.key`, or among `records.former_keys`")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::doctor::Status;

    #[test]
    fn each_state_says_what_is_to_be_done() {
        let status = |state, former| judge(state, former).map(|check| check.status);
        assert_eq!(status(KeyState::Unused, 0), None);
        assert_eq!(status(KeyState::Settled, 0), Some(Status::Ok));
        assert_eq!(status(KeyState::Wrong, 1), Some(Status::Fail));
        for state in [KeyState::RewrapDue, KeyState::New, KeyState::Superseded] {
            let check = judge(state, 1).unwrap();
            assert_eq!(check.status, Status::Warn);
            assert!(check.fix.is_some());
        }
        let settled = judge(KeyState::Settled, 1).unwrap();
        assert!(settled.fix.unwrap().contains("former_keys"));
    }
}
