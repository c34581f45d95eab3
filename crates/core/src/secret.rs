//! Values that must never be shown.

use std::fmt;

/// A value that is redacted wherever it could be printed.
///
/// Neither `Debug` nor `Display` reveals it, and it is not serialisable: the only way out is
/// [`Secret::expose`], which is easy to find in a review.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a value that must not be shown.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself; call this only where it is used, never to pass it on.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[redacted]")
    }
}

/// Whether what has this name, a header or a parameter, is usually a credential. It is better to hide too much.
pub fn tells_of_secret(name: &str) -> bool {
    const PARTS: [&str; 8] = [
        "auth",
        "cookie",
        "credential",
        "key",
        "password",
        "secret",
        "signature",
        "token",
    ];
    let name = name.to_ascii_lowercase();
    PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_form_of_printing_reveals_the_value() {
        let secret = Secret::new("canary-7f3a");
        assert_eq!(format!("{secret} {secret:?}"), "[redacted] [redacted]");
        assert_eq!(*secret.expose(), "canary-7f3a");
    }
}
