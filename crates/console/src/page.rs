//! Lists come in pages.

use axum::http::header::{HeaderValue, LINK};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use weir_store::records::Value;

use crate::cursor::CursorKey;
use crate::problem::{FieldError, Problem};

const USUAL: i64 = 50;
const MOST: i64 = 200;

/// What a caller says about the page that is wanted.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct PageQuery {
    /// At most so many items, from 1 to 200. Default: 50.
    pub limit: Option<i64>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Page<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// What to send as `cursor` for the next page; null at the end.
    pub next: Option<String>,
}

impl PageQuery {
    /// How many items.
    ///
    /// # Errors
    /// A limit that is none.
    pub fn limit(&self) -> Result<i64, Problem> {
        match self.limit {
            None => Ok(USUAL),
            Some(limit) if (1..=MOST).contains(&limit) => Ok(limit),
            Some(_) => Err(Problem::invalid(vec![FieldError {
                pointer: "limit".to_owned(),
                detail: format!("must be from 1 to {MOST}"),
            }])),
        }
    }

    /// Behind which row; nothing for the first page.
    ///
    /// # Errors
    /// A cursor of another list.
    pub fn after(&self, key: &CursorKey, list: &str) -> Result<Vec<Value>, Problem> {
        match &self.cursor {
            None => Ok(Vec::new()),
            Some(cursor) => key.open(list, cursor).map_err(|bad| {
                Problem::invalid(vec![FieldError {
                    pointer: "cursor".to_owned(),
                    detail: bad.to_string(),
                }])
            }),
        }
    }
}

impl<T> Page<T> {
    /// Of rows of which one more than `limit` was asked for, so that the end is known. `place` tells
    /// where a row stands in the list's order.
    pub fn of(
        mut items: Vec<T>,
        limit: i64,
        key: &CursorKey,
        list: &str,
        place: impl FnOnce(&T) -> Vec<Value>,
    ) -> Self {
        let limit = usize::try_from(limit).unwrap_or_default();
        let is_more = items.len() > limit;
        items.truncate(limit);
        let next = items
            .last()
            .filter(|_| is_more)
            .map(|last| key.seal(list, &place(last)));
        Self { items, next }
    }
}

impl<T: Serialize> Page<T> {
    /// The answer, with a link to the next page (RFC 8288). `path` is the list's, with the rest of its
    /// query.
    pub fn into_answer(self, path: &str) -> Response {
        let mut headers = HeaderMap::new();
        if let Some(next) = &self.next {
            let joint = if path.contains('?') { '&' } else { '?' };
            let link = format!("<{path}{joint}cursor={next}>; rel=\"next\"");
            if let Ok(link) = HeaderValue::try_from(link) {
                headers.insert(LINK, link);
            }
        }
        (StatusCode::OK, headers, axum::Json(self)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_has_no_next() {
        let key = CursorKey::new(&[1; 32]);
        let place = |item: &i64| vec![Value::from(*item)];
        let page = Page::of(vec![1, 2, 3], 2, &key, "list", place);
        assert_eq!(page.items, [1, 2]);
        let cursor = page.next.unwrap_or_default();
        assert_eq!(key.open("list", &cursor), Ok(vec![Value::from(2_i64)]));
        let page = Page::of(vec![3], 2, &key, "list", place);
        assert_eq!((page.items, page.next), (vec![3], None));
    }

    #[test]
    fn a_limit_has_bounds() {
        let limit = |limit| {
            PageQuery {
                limit,
                cursor: None,
            }
            .limit()
            .ok()
        };
        assert_eq!(limit(None), Some(50));
        assert_eq!(limit(Some(200)), Some(200));
        for bad in [0, -1, 201, i64::MIN] {
            assert_eq!(limit(Some(bad)), None, "{bad}");
        }
    }
}
