//! How an organization shows itself: name, image and colour, none of which can make a page say or run more.

use serde::Serialize;
use weir_identity::{Error, Identity, Organization};

use super::words;

/// What the head of a page shows.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Brand {
    pub(super) name: String,
    pub(super) logo: Option<String>,
    /// Where its colours are.
    pub(super) style: Option<String>,
    /// Where there is help.
    pub(super) support: Option<String>,
}

impl Default for Brand {
    fn default() -> Self {
        Self {
            name: words::PRODUCT.to_owned(),
            logo: None,
            style: None,
            support: None,
        }
    }
}

impl Brand {
    /// That of an organization, by its slug; our own if there is none.
    pub(super) async fn of(identity: &Identity, slug: &str) -> Result<Self, Error> {
        match identity.find_organization(slug).await {
            Ok(organization) => Ok(Self::shown(organization)),
            Err(Error::Missing(_)) => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    fn shown(organization: Organization) -> Self {
        let branding = organization.settings.branding;
        let style = branding.primary_color.is_some();
        Self {
            name: branding.display_name.unwrap_or(organization.name),
            logo: branding.logo.or(branding.logo_url),
            support: branding.support_url,
            style: style.then(|| format!("/pages/brand/{}", organization.slug)),
        }
    }

    /// From where the image may come, for the policy of the page: the origin alone, since what follows may
    /// have characters that mean something there.
    pub(super) fn image_source(&self) -> Option<String> {
        let rest = self.logo.as_deref()?.strip_prefix("https://")?;
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let is_host = !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
        is_host.then(|| format!("https://{host}"))
    }
}

/// The style sheet of an organization's colour: text on it is black or white, whichever is read better.
pub(super) fn style(color: &str) -> Option<String> {
    let channels = channels(color)?;
    let on = match contrast(channels, [0xff; 3]) >= contrast(channels, [0; 3]) {
        true => "#ffffff",
        false => "#000000",
    };
    let [red, green, blue] = channels;
    Some(format!(
        ":root {{ --brand: #{red:02x}{green:02x}{blue:02x}; --on-brand: {on}; }}\n"
    ))
}

fn channels(color: &str) -> Option<[u8; 3]> {
    let digits = color.strip_prefix('#')?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let number = u32::from_str_radix(digits, 16).ok()?;
    let [_, red, green, blue] = number.to_be_bytes();
    (digits.len() == 6).then_some([red, green, blue])
}

/// WCAG 2.2, "contrast ratio".
fn contrast(one: [u8; 3], other: [u8; 3]) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// WCAG 2.2, "relative luminance".
fn luminance(channels: [u8; 3]) -> f64 {
    let [red, green, blue] = channels.map(|channel| {
        let part = f64::from(channel) / 255.0;
        match part <= 0.040_45 {
            true => part / 12.92,
            false => ((part + 0.055) / 1.055).powf(2.4),
        }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_on_every_colour_can_be_read() {
        assert!((contrast([0; 3], [0xff; 3]) - 21.0).abs() < 1e-9);
        for red in (0..=255).step_by(15) {
            for green in (0..=255).step_by(15) {
                for blue in (0..=255).step_by(15) {
                    let color = format!("#{red:02x}{green:02x}{blue:02x}");
                    let on = if style(&color).unwrap().contains("--on-brand: #ffffff") {
                        0xff
                    } else {
                        0
                    };
                    assert!(contrast([red, green, blue], [on; 3]) >= 4.5, "{color}");
                }
            }
        }
    }

    #[test]
    fn nothing_but_a_colour_comes_into_a_style_sheet() {
        for bad in [
            "", "red", "#12345", "#1234567", "#12345g", "#+12345", "#}*{a:b",
        ] {
            assert_eq!(style(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_image_adds_its_origin_to_the_policy_and_nothing_else() {
        let source = |logo: &str| {
            let logo = Some(logo.to_owned());
            Brand {
                logo,
                ..Brand::default()
            }
            .image_source()
        };
        assert_eq!(
            source("https://a.example/l.svg;script-src *").as_deref(),
            Some("https://a.example")
        );
        assert_eq!(
            source("https://a.example:8443?x").as_deref(),
            Some("https://a.example:8443")
        );
        for bad in [
            "https://a.example;script-src/x",
            "https://a,b/",
            "https://*/",
            "https:///x",
            "http://a/",
        ] {
            assert_eq!(source(bad), None, "{bad}");
        }
    }
}
