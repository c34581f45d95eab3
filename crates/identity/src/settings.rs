//! What an organization can set for itself.

mod image;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::email::Email;
use crate::error::{Error, Result};
use crate::{text, token};
use utoipa::ToSchema;

const MOST_FEATURES: usize = 100;
const MOST_URL: usize = 2_048;

/// What an organization can set. A member that is not known is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How it shows itself.
    pub branding: Branding,
    /// What is switched on or off for it, by names of its own: `[a-z][a-z0-9_.-]*`.
    pub features: BTreeMap<String, bool>,
    /// How much it may have.
    pub limits: Limits,
}

/// How an organization shows itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Branding {
    /// A name to show instead of the organization's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// An image: `https` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo_url: Option<String>,
    /// An image that comes with the page: `data:image/png;base64,…`, or `jpeg` or `webp`, of at most 16 KiB. It goes before
    /// `logo_url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logo: Option<String>,
    /// `#rrggbb`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_color: Option<String>,
    /// Where there is help: `https://…` or `mailto:…`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support_url: Option<String>,
}

/// How much an organization may have; none is no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Members.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub members: Option<u32>,
    /// Roles of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<u32>,
    /// Invitations that wait for an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invitations: Option<u32>,
    /// Keys of programs that work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_keys: Option<u32>,
}

impl Settings {
    /// The same for the audit, which has the digest of an image instead of the image: entries are kept for good.
    pub(crate) fn told(&self) -> Self {
        let mut told = self.clone();
        if let Some(logo) = &mut told.branding.logo {
            let digest = token::hash(logo);
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            *logo = format!("sha256:{digest}");
        }
        told
    }

    /// Whether all of it can be shown and kept.
    pub(crate) fn check(&self) -> Result<()> {
        let Branding {
            display_name,
            logo_url,
            logo,
            primary_color,
            support_url,
        } = &self.branding;
        if let Some(name) = display_name {
            text::line("settings.branding.display_name", name, 200)?;
        }
        if let Some(url) = logo_url
            && !is_https(url)
        {
            return Err(Error::invalid(
                "settings.branding.logo_url",
                "is an https address of at most 2048 bytes",
            ));
        }
        if let Some(logo) = logo {
            let fault = |why| Error::invalid("settings.branding.logo", why);
            image::check(logo).map_err(fault)?;
        }
        if let Some(url) = support_url
            && !is_https(url)
            && !is_mailbox(url)
        {
            return Err(Error::invalid(
                "settings.branding.support_url",
                "is an https address, or mailto: and an e-mail address",
            ));
        }
        if let Some(color) = primary_color {
            let digits = color.strip_prefix('#').unwrap_or_default();
            if digits.len() != 6 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(Error::invalid(
                    "settings.branding.primary_color",
                    "is # and six hexadecimal digits",
                ));
            }
        }
        if self.features.len() > MOST_FEATURES {
            let why = format!("are more than {MOST_FEATURES}");
            return Err(Error::invalid("settings.features", why));
        }
        match self.features.keys().all(|name| is_feature(name)) {
            true => Ok(()),
            false => Err(Error::invalid(
                "settings.features",
                "have names of at most 64 lower-case letters, digits, dots, hyphens and underscores",
            )),
        }
    }
}

/// Any other scheme could run a program where the image is shown or the link is followed.
fn is_https(url: &str) -> bool {
    url.len() <= MOST_URL
        && url
            .strip_prefix("https://")
            .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_alphanumeric()))
        && url
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"\"'<>\\`{}|^".contains(&byte))
}

/// An address alone: what stands behind a `?` could fill in a letter (RFC 6068 §2).
fn is_mailbox(url: &str) -> bool {
    let address = url.strip_prefix("mailto:").unwrap_or_default();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@.-_+".contains(&byte);
    address.bytes().all(is_plain) && Email::parse(address).is_ok()
}

fn is_feature(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.-".contains(&byte)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(json: &str) -> Option<Settings> {
        let settings: Settings = serde_json::from_str(json).ok()?;
        settings.check().ok().map(|()| settings)
    }

    #[test]
    fn what_is_not_known_or_cannot_be_shown_is_refused() {
        for good in [
            "{}",
            r##"{"branding":{"display_name":"Acme","logo_url":"https://a.example/l.svg","primary_color":"#00aAff"}}"##,
            r#"{"branding":{"support_url":"https://a.example/help?from=sign-in#x"}}"#,
            r#"{"branding":{"support_url":"mailto:help+weir@a.example"}}"#,
            r#"{"features":{"beta.ui":true},"limits":{"members":5}}"#,
        ] {
            assert!(settings(good).is_some(), "{good}");
        }
        for bad in [
            r#"{"brand":{}}"#,
            r#"{"branding":{"logo":"x"}}"#,
            r#"{"branding":{"logo":"https://a.example/l.png"}}"#,
            r#"{"branding":{"support_url":"javascript:alert(1)"}}"#,
            r#"{"branding":{"support_url":"http://a.example/"}}"#,
            r#"{"branding":{"support_url":"mailto:a@b.example?body=x"}}"#,
            r#"{"branding":{"support_url":"mailto:"}}"#,
            r#"{"branding":{"support_url":"https://a.example/\" onclick=x"}}"#,
            r#"{"branding":{"logo_url":"http://a.example/l"}}"#,
            r#"{"branding":{"logo_url":"javascript:alert(1)"}}"#,
            r#"{"branding":{"logo_url":"https://a.example/\"><script>"}}"#,
            r#"{"branding":{"primary_color":"red"}}"#,
            r##"{"branding":{"primary_color":"#1234567"}}"##,
            r#"{"branding":{"display_name":"a\nb"}}"#,
            r#"{"features":{"Beta":true}}"#,
            r#"{"features":{"beta":"yes"}}"#,
            r#"{"limits":{"members":-1}}"#,
            r#"{"limits":{"money":1}}"#,
        ] {
            assert!(settings(bad).is_none(), "{bad}");
        }
    }
}
