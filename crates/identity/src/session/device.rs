//! What a client says of itself (`User-Agent`), as people call it: enough to know one's own sessions by.

use std::fmt;

use serde::{Serialize, Serializer};

/// A program and what it runs on, such as `Firefox on Linux`. Anybody can claim to be any of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    program: Option<&'static str>,
    system: Option<&'static str>,
}

/// What stands for programs, the most particular first: most claim to be others as well.
const PROGRAMS: [(&str, &str); 17] = [
    ("weir/", "weir (command line)"),
    ("curl/", "curl"),
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("HeadlessChrome/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("python", "Python"),
    ("okhttp/", "Android app"),
];

const SYSTEMS: [(&str, &str); 9] = [
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("FreeBSD", "FreeBSD"),
    ("Linux", "Linux"),
    ("linux", "Linux"),
];

impl Device {
    /// What this field says.
    pub(super) fn of(agent: Option<&str>) -> Self {
        let agent = agent.unwrap_or_default();
        let named = |table: &[(&str, &'static str)]| {
            let mut table = table.iter();
            let found = table.find(|(part, _)| agent.contains(part));
            found.map(|(_, name)| *name)
        };
        Self {
            program: named(&PROGRAMS),
            system: named(&SYSTEMS),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.program, self.system) {
            (Some(program), Some(system)) => write!(formatter, "{program} on {system}"),
            (Some(program), None) => formatter.write_str(program),
            (None, Some(system)) => write!(formatter, "Unknown program on {system}"),
            (None, None) => formatter.write_str("Unknown device"),
        }
    }
}

impl Serialize for Device {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_called_what_people_call_them() {
        for (agent, device) in [
            (
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox on Linux",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
                "Chrome on Windows",
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
                "Safari on Mac",
            ),
            (
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            ("curl/8.5.0", "curl"),
            ("weir/0.1.0", "weir (command line)"),
            (
                "<script>alert(1)</script> (X11; Linux)",
                "Unknown program on Linux",
            ),
            ("", "Unknown device"),
        ] {
            assert_eq!(Device::of(Some(agent)).to_string(), device, "{agent}");
        }
        assert_eq!(Device::of(None).to_string(), "Unknown device");
    }
}
