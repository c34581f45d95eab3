//! Header fields of one message, in the order they arrived.

use http::{HeaderMap, HeaderName, HeaderValue};

/// A flat list of header fields.
///
/// `http::HeaderMap` hashes every name and allocates twice for every message; a proxied message has
/// a dozen fields, is read a few times and written once, in order. A list that keeps its capacity
/// from message to message does that without an allocation, and the bound on the number of fields
/// (`limits.headers`) keeps linear look-ups linear.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(HeaderName, HeaderValue)>);

impl Fields {
    /// An empty list.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// An empty list with room.
    pub fn with_capacity(fields: usize) -> Self {
        Self(Vec::with_capacity(fields))
    }

    /// Number of fields; a name that occurs twice counts twice.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets every field and keeps the capacity.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The first value of a name.
    pub fn get(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.0
            .iter()
            .find(|(field, _)| field == name)
            .map(|(_, value)| value)
    }

    /// Every value of a name, in order.
    pub fn get_all<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a HeaderValue> {
        self.0
            .iter()
            .filter(move |(field, _)| field == name)
            .map(|(_, value)| value)
    }

    /// Whether a name occurs.
    pub fn contains(&self, name: &HeaderName) -> bool {
        self.0.iter().any(|(field, _)| field == name)
    }

    /// Adds a field behind the others.
    pub fn append(&mut self, name: HeaderName, value: HeaderValue) {
        self.0.push((name, value));
    }

    /// Replaces every field of this name by one, in the place of the first.
    pub fn set(&mut self, name: HeaderName, value: HeaderValue) {
        let Some(first) = self.0.iter().position(|(field, _)| *field == name) else {
            self.0.push((name, value));
            return;
        };
        let mut index = 0;
        self.0.retain(|(field, _)| {
            index += 1;
            index - 1 <= first || *field != name
        });
        self.0[first].1 = value;
    }

    /// Removes every field of this name; tells whether there was one.
    pub fn remove(&mut self, name: &HeaderName) -> bool {
        let before = self.0.len();
        self.0.retain(|(field, _)| field != name);
        self.0.len() != before
    }

    /// Keeps the fields for which the predicate holds.
    pub fn retain(&mut self, mut keep: impl FnMut(&HeaderName, &HeaderValue) -> bool) {
        self.0.retain(|(name, value)| keep(name, value));
    }

    /// The same for a predicate that may change the values of those that it keeps.
    pub fn retain_mut(&mut self, mut keep: impl FnMut(&HeaderName, &mut HeaderValue) -> bool) {
        self.0.retain_mut(|(name, value)| keep(name, value));
    }

    /// The fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> + Clone {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

impl From<HeaderMap> for Fields {
    fn from(map: HeaderMap) -> Self {
        let mut fields: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(map.len());
        // `HeaderMap` yields a name once and `None` for each further value of it.
        for (name, value) in map {
            match name.or_else(|| Some(fields.last()?.0.clone())) {
                Some(name) => fields.push((name, value)),
                None => break, // there is no value without a name
            }
        }
        Self(fields)
    }
}

/// A value that no other message has. HPACK keeps it out of its tables (RFC 7541 §6.2.3), where each one
/// would push out what comes again, and be compared with each that follows.
pub(crate) fn unique(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

/// Fields that are added to a message last: room for them spares the map a second table.
const ADDED: usize = 3;

impl From<Fields> for HeaderMap {
    fn from(fields: Fields) -> Self {
        let mut map = Self::with_capacity(fields.len() + ADDED);
        for (name, value) in fields.0 {
            map.append(name, value);
        }
        map
    }
}

impl From<&Fields> for HeaderMap {
    fn from(fields: &Fields) -> Self {
        let mut map = Self::with_capacity(fields.len() + ADDED);
        for (name, value) in &fields.0 {
            map.append(name, value.clone());
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{ACCEPT, HOST, SET_COOKIE};

    fn value(text: &'static str) -> HeaderValue {
        HeaderValue::from_static(text)
    }

    #[test]
    fn set_replaces_all_of_a_name_in_the_place_of_the_first() {
        let mut fields = Fields::new();
        fields.append(SET_COOKIE, value("a"));
        fields.append(HOST, value("h"));
        fields.append(SET_COOKIE, value("b"));
        fields.append(SET_COOKIE, value("c"));
        fields.set(SET_COOKIE, value("z"));
        let listed: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value))
            .collect();
        assert_eq!(listed, [("set-cookie", &value("z")), ("host", &value("h"))]);
    }

    #[test]
    fn a_header_map_and_back_keeps_repeated_fields() {
        let mut fields = Fields::new();
        fields.append(SET_COOKIE, value("a"));
        fields.append(SET_COOKIE, value("b"));
        fields.append(ACCEPT, value("*/*"));
        let map = HeaderMap::from(fields.clone());
        assert_eq!(Fields::from(map), fields);
    }
}
