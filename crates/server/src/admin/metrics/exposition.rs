//! The two text formats that Prometheus reads: its own, version 0.0.4, and OpenMetrics 1.0.
//!
//! They differ in small things (the name that `# TYPE` states for a counter, the end mark), so that
//! one cannot be served as the other.

use std::fmt::{Display, Write as _};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus text exposition format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl Format {
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// OpenMetrics if the client asks for it and does not like plain text better
    /// (RFC 9110 §12.5.1).
    pub(super) fn negotiate(accept: &str) -> Self {
        let quality = |wanted: &str| {
            let ranges = accept.split(',').filter(|range| {
                let name = range.split(';').next().unwrap_or_default().trim();
                name.eq_ignore_ascii_case(wanted)
            });
            ranges.map(range_quality).fold(0.0, f32::max)
        };
        let open_metrics = quality("application/openmetrics-text");
        if open_metrics > 0.0 && open_metrics >= quality("text/plain") {
            Self::OpenMetrics
        } else {
            Self::Prometheus
        }
    }
}

fn range_quality(range: &str) -> f32 {
    let mut parameters = range
        .split(';')
        .skip(1)
        .filter_map(|part| part.split_once('='));
    let quality = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    match quality {
        Some((_, value)) => value.trim().parse().unwrap_or(0.0),
        None => 1.0,
    }
}

/// What a family of samples measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows; samples end in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
    /// Labels of a thing that does not change; the sample ends in `_info` and is 1.
    Info,
}

impl Kind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge | Self::Histogram => "",
        }
    }

    /// The Prometheus format does not know `info`.
    fn name(self, format: Format) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Info if format == Format::OpenMetrics => "info",
            Self::Gauge | Self::Info => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Names and values of labels; names are this crate's own.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

/// An exposition under construction.
pub(super) struct Exposition {
    format: Format,
    text: String,
}

// Writing to a String cannot fail, hence the results left aside below.
impl Exposition {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            text: String::with_capacity(16 * 1024),
        }
    }

    /// Begins a family; `name` is without `_total` and `_info`. A family's samples follow at once.
    pub(super) fn family(
        &mut self,
        name: &'static str,
        kind: Kind,
        help: &'static str,
    ) -> Family<'_> {
        let stated = match self.format {
            Format::Prometheus => kind.suffix(),
            Format::OpenMetrics => "",
        };
        let kind_name = kind.name(self.format);
        let _ = writeln!(self.text, "# HELP {name}{stated} {help}");
        let _ = writeln!(self.text, "# TYPE {name}{stated} {kind_name}");
        Family {
            text: &mut self.text,
            name,
            suffix: kind.suffix(),
        }
    }

    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }
}

/// A family whose samples are being written.
pub(super) struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
    suffix: &'static str,
}

impl Family<'_> {
    /// A single sample.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.write(self.suffix, labels, None, value);
    }

    /// A histogram's samples. `counts` are not cumulative and one more than `bounds`; the last one
    /// has no bound.
    pub(super) fn histogram(
        &mut self,
        labels: Labels<'_>,
        bounds: &[f64],
        counts: &[u64],
        sum: f64,
    ) {
        let mut cumulative = 0;
        for (at, count) in counts.iter().enumerate() {
            cumulative += count;
            // `{:?}` writes 1 as 1.0, the canonical form of OpenMetrics.
            let bound = bounds
                .get(at)
                .map_or("+Inf".to_owned(), |bound| format!("{bound:?}"));
            self.write("_bucket", labels, Some(&bound), cumulative);
        }
        self.write("_sum", labels, None, sum);
        // Counters move while they are read: the count is that of the buckets in any case.
        self.write("_count", labels, None, cumulative);
    }

    fn write(
        &mut self,
        suffix: &str,
        labels: Labels<'_>,
        bound: Option<&str>,
        value: impl Display,
    ) {
        self.text.push_str(self.name);
        self.text.push_str(suffix);
        let mut separator = '{';
        let bound = bound.map(|bound| ("le", bound));
        for (name, value) in labels.iter().copied().chain(bound) {
            self.text.push(separator);
            separator = ',';
            self.text.push_str(name);
            self.text.push_str("=\"");
            escape(self.text, value);
            self.text.push('"');
        }
        if separator == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

fn escape(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            _ => text.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(format: Format) -> String {
        let mut exposition = Exposition::new(format);
        let mut requests = exposition.family("requests", Kind::Counter, "Requests.");
        requests.sample(&[("route", "a\"\\\nb"), ("class", "2xx")], 3);
        exposition
            .family("build", Kind::Info, "The build.")
            .sample(&[("version", "1")], 1);
        let mut durations = exposition.family("duration_seconds", Kind::Histogram, "Durations.");
        durations.histogram(&[], &[0.005, 1.0], &[1, 0, 2], 7.25);
        exposition
            .family("open", Kind::Gauge, "Open.")
            .sample(&[], 0);
        exposition.finish()
    }

    const SAMPLES_OF_DURATIONS: &str = "duration_seconds_bucket{le=\"0.005\"} 1\n\
        duration_seconds_bucket{le=\"1.0\"} 1\n\
        duration_seconds_bucket{le=\"+Inf\"} 3\n\
        duration_seconds_sum 7.25\n\
        duration_seconds_count 3\n";

    #[test]
    fn prometheus_states_names_with_their_suffix() {
        let expected = format!(
            "# HELP requests_total Requests.\n# TYPE requests_total counter\n\
             requests_total{{route=\"a\\\"\\\\\\nb\",class=\"2xx\"}} 3\n\
             # HELP build_info The build.\n# TYPE build_info gauge\nbuild_info{{version=\"1\"}} 1\n\
             # HELP duration_seconds Durations.\n# TYPE duration_seconds histogram\n\
             {SAMPLES_OF_DURATIONS}\
             # HELP open Open.\n# TYPE open gauge\nopen 0\n"
        );
        assert_eq!(example(Format::Prometheus), expected);
    }

    #[test]
    fn open_metrics_states_names_without_and_marks_the_end() {
        let expected = format!(
            "# HELP requests Requests.\n# TYPE requests counter\n\
             requests_total{{route=\"a\\\"\\\\\\nb\",class=\"2xx\"}} 3\n\
             # HELP build The build.\n# TYPE build info\nbuild_info{{version=\"1\"}} 1\n\
             # HELP duration_seconds Durations.\n# TYPE duration_seconds histogram\n\
             {SAMPLES_OF_DURATIONS}\
             # HELP open Open.\n# TYPE open gauge\nopen 0\n# EOF\n"
        );
        assert_eq!(example(Format::OpenMetrics), expected);
    }

    #[test]
    fn the_format_is_what_the_client_likes_better() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,\
            application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";
        assert_eq!(Format::negotiate(prometheus), Format::OpenMetrics);
        assert_eq!(
            Format::negotiate("application/openmetrics-text"),
            Format::OpenMetrics
        );
        let others = [
            "",
            "*/*",
            "text/plain",
            "text/html, */*;q=0.8",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.2, text/plain",
            "application/openmetrics-text;q=x",
        ];
        for accept in others {
            assert_eq!(Format::negotiate(accept), Format::Prometheus, "{accept}");
        }
    }
}
