//! How an organization shows itself on the sign-in pages.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

/// Bytes of an image, as the API takes them.
const MOST: u64 = 16 * 1024;

/// What of it is to be different.
#[derive(Debug, Args)]
#[group(id = "branding", required = true, multiple = true)]
pub(super) struct Brand {
    /// A name to show instead of the organization's
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
    /// An image, which comes with the page: PNG, JPEG or WebP of at most 16 KiB
    #[arg(long, value_name = "FILE")]
    logo: Option<PathBuf>,
    /// Colour of buttons, such as `#0b57a4`; text on it is black or white, whichever is read better
    #[arg(long, value_name = "COLOUR")]
    primary_color: Option<String>,
    /// Where there is help: `https://…` or `mailto:…`
    #[arg(long, value_name = "ADDRESS")]
    support: Option<String>,
    /// Shows it no more; several with commas between them, or the option again
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    remove: Vec<Part>,
}

/// What can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    DisplayName,
    Logo,
    PrimaryColor,
    Support,
}

impl Brand {
    /// As a merge patch (RFC 7396) of the organization.
    pub(super) fn patch(&self) -> anyhow::Result<Value> {
        let mut branding = Map::new();
        for part in &self.remove {
            let members: &[&str] = match part {
                Part::DisplayName => &["display_name"],
                Part::Logo => &["logo", "logo_url"],
                Part::PrimaryColor => &["primary_color"],
                Part::Support => &["support_url"],
            };
            branding.extend(members.iter().map(|it| ((*it).to_owned(), Value::Null)));
        }
        for (member, value) in [
            ("display_name", &self.display_name),
            ("primary_color", &self.primary_color),
            ("support_url", &self.support),
        ] {
            if let Some(value) = value {
                branding.insert(member.to_owned(), json!(value));
            }
        }
        if let Some(file) = &self.logo {
            branding.insert("logo".to_owned(), json!(image(file)?));
        }
        Ok(json!({ "settings": { "branding": branding } }))
    }
}

/// Puts the type of an image in its place, for people.
pub(super) fn shorten(organization: &mut Value) {
    let Some(logo) = organization.pointer_mut("/settings/branding/logo") else {
        return;
    };
    let text = logo.as_str().unwrap_or_default();
    if let Some((kind, data)) = text.split_once(',') {
        // Four characters are three bytes.
        let bytes = data.trim_end_matches('=').len() * 3 / 4;
        *logo = json!(format!("{kind}, … ({bytes} bytes)"));
    }
}

/// The image as a page has it (RFC 2397).
fn image(path: &Path) -> anyhow::Result<String> {
    let shown = path.display();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {shown}"))?;
    if bytes.len() as u64 > MOST {
        bail!("{shown} is larger than 16 KiB: a logo is shown 40 points high, make it smaller");
    }
    let Some(kind) = kind(&bytes) else {
        bail!("{shown} is no PNG, JPEG or WebP image: convert it to one of these");
    };
    Ok(format!(
        "data:image/{kind};base64,{}",
        STANDARD.encode(&bytes)
    ))
}

fn kind(bytes: &[u8]) -> Option<&'static str> {
    let is_webp = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some("png")
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        Some("jpeg")
    } else {
        is_webp.then_some("webp")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_known_by_its_first_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("logo.svg");
        let read = |bytes: &[u8]| {
            std::fs::write(&file, bytes).unwrap();
            image(&file).map_err(|error| error.to_string())
        };
        assert_eq!(
            read(b"\x89PNG\r\n\x1a\n").unwrap(),
            "data:image/png;base64,iVBORw0KGgo="
        );
        assert!(
            read(b"\xff\xd8\xff")
                .unwrap()
                .starts_with("data:image/jpeg;")
        );
        let webp = read(b"RIFF\0\0\0\0WEBP").unwrap();
        assert!(webp.starts_with("data:image/webp;"), "{webp}");
        assert!(read(b"<svg onload='x'/>").unwrap_err().contains("no PNG"));
        let large = read(&[0x89; 16 * 1024 + 1]).unwrap_err();
        assert!(large.contains("larger than 16 KiB"), "{large}");
    }

    #[test]
    fn what_is_shown_of_an_image_is_its_type_and_size() {
        let mut organization =
            json!({ "settings": { "branding": { "logo": "data:image/png;base64,iVBORw0KGgo=" } } });
        shorten(&mut organization);
        let logo = &organization["settings"]["branding"]["logo"];
        assert_eq!(logo, "data:image/png;base64, … (8 bytes)");
        shorten(&mut json!({ "settings": {} }));
    }
}
