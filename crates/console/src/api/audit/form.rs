//! In which form the audit is wanted.

use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use serde::Deserialize;
use utoipa::ToSchema;

/// In which form the audit is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// A page.
    Json,
    /// All of it, an entry a line.
    Ndjson,
    /// All of it, as a table (RFC 4180).
    Csv,
}

impl Form {
    /// What is sent.
    pub(super) const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
        }
    }

    /// The one that `Accept` likes best (RFC 9110 §12.5.1). An export must be asked for by its name.
    pub(crate) fn accepted(headers: &HeaderMap) -> Self {
        let mut best = (Self::Json, 0.0);
        let fields = headers.get_all(ACCEPT).iter();
        let ranges = fields.filter_map(|field| field.to_str().ok());
        for range in ranges.flat_map(|field| field.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let form = match parts
                .next()
                .unwrap_or_default()
                .to_ascii_lowercase()
                .as_str()
            {
                "application/json" | "application/*" | "*/*" => Self::Json,
                "application/x-ndjson" => Self::Ndjson,
                "text/csv" => Self::Csv,
                _ => continue,
            };
            let weight = parts
                .find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
                .map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
            // Among equals, what is named first.
            if weight > best.1 {
                best = (form, weight);
            }
        }
        best.0
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn an_export_is_what_is_asked_for_by_name() {
        let accepted = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(text));
            Form::accepted(&headers)
        };
        assert_eq!(Form::accepted(&HeaderMap::new()), Form::Json);
        for (text, form) in [
            ("*/*", Form::Json),
            ("text/html", Form::Json),
            ("text/*", Form::Json),
            ("text/csv", Form::Csv),
            ("Text/CSV; header=present", Form::Csv),
            ("application/x-ndjson, application/json;q=0.5", Form::Ndjson),
            ("application/json;q=0.5, text/csv;q=0.8", Form::Csv),
            ("text/csv;q=0, */*;q=0.1", Form::Json),
            ("text/csv;q=x", Form::Json),
        ] {
            assert_eq!(accepted(text), form, "{text}");
        }
    }
}
