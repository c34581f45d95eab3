//! One object, a line for each of its members.

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::table::text;
use crate::output::{Output, Style};

/// Lines with names and values. Members of objects inside have names such as `settings.branding.name`, those of the
/// first of several `organizations[1].slug`; what is nothing is left out.
pub(crate) fn details(object: &Value, output: &Output) -> String {
    let mut lines = Vec::new();
    collect(object, String::new(), &mut lines);
    let width = lines.iter().map(|(name, _)| name.width()).max();
    let width = width.unwrap_or_default();
    lines
        .into_iter()
        .map(|(name, value)| {
            let name = output.style(Style::Faint, &format!("{name:<width$}"));
            format!("{name}  {value}\n")
        })
        .collect()
}

fn collect(value: &Value, name: String, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                let member = crate::log::printable(member);
                let name = match name.is_empty() {
                    true => member,
                    false => format!("{name}.{member}"),
                };
                collect(value, name, lines);
            }
        }
        // What has members itself has lines for them.
        Value::Array(items) if items.iter().any(|item| item.is_object() || item.is_array()) => {
            for (at, item) in items.iter().enumerate() {
                collect(item, format!("{name}[{}]", at + 1), lines);
            }
        }
        value => {
            let shown = text(value);
            if !shown.is_empty() {
                lines.push((name, shown));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::ColorChoice;

    #[test]
    fn members_of_members_have_full_names() {
        let output = Output::new(ColorChoice::Never, false);
        let object =
            json!({"slug": "acme", "deleted_at": null, "settings": {"flags": {"x": true}}});
        assert_eq!(
            details(&object, &output),
            "slug              acme\nsettings.flags.x  yes\n"
        );
        let object = json!({"roles": [{"name": "a", "may": ["x", "y"]}, {"name": "b", "may": []}]});
        assert_eq!(
            details(&object, &output),
            "roles[1].name  a\nroles[1].may   x, y\nroles[2].name  b\n"
        );
    }
}
