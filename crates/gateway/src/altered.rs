//! What the gateway changed of a request or of its answer, beyond what every proxy has to.

/// A way of changing; its word is the key that asks for it in a route or a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Alteration {
    /// Another path was asked of the target.
    Rewrite,
    /// Header rules acted.
    Headers,
    /// Fields about origins were written.
    Cors,
    /// Fields that tell browsers to be careful were written.
    SecurityHeaders,
    /// The answer was compressed.
    Compress,
    /// gRPC-Web was translated.
    GrpcWeb,
}

impl Alteration {
    /// All of them, in the order of counters.
    pub const ALL: [Self; 6] = [
        Self::Rewrite,
        Self::Headers,
        Self::Cors,
        Self::SecurityHeaders,
        Self::Compress,
        Self::GrpcWeb,
    ];

    /// The stable word in logs, traces and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rewrite => "rewrite",
            Self::Headers => "headers",
            Self::Cors => "cors",
            Self::SecurityHeaders => "security_headers",
            Self::Compress => "compress",
            Self::GrpcWeb => "grpc.web",
        }
    }
}

/// A set of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Altered(u8);

impl Altered {
    /// With one more.
    pub const fn with(self, alteration: Alteration) -> Self {
        Self(self.0 | 1 << alteration as u8)
    }

    /// Whether nothing was changed.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are in it.
    pub fn iter(self) -> impl Iterator<Item = Alteration> {
        let all = Alteration::ALL.into_iter();
        all.filter(move |alteration| self.0 & (1 << *alteration as u8) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_has_what_was_put_in() {
        let set = Altered::default()
            .with(Alteration::Compress)
            .with(Alteration::Rewrite)
            .with(Alteration::Compress);
        let words: Vec<_> = set.iter().map(Alteration::word).collect();
        assert_eq!(words, ["rewrite", "compress"]);
        assert!(Altered::default().is_empty());
        let all = Alteration::ALL
            .into_iter()
            .fold(Altered::default(), Altered::with);
        assert_eq!(all.iter().count(), Alteration::ALL.len());
    }
}
