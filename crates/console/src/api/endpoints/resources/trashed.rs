//! Pages of deleted resources.

use axum::response::Response;
use weir_config::ResourceKind;
use weir_revisions::{Discarded, Trashed};
use weir_store::records::Value;

use super::{Owner, Resources, ShownResource};
use crate::api::list::List;
use crate::api::services::Services;
use crate::problem::{FieldError, Problem};

/// The latest first, whatever is asked for: they are no list of names, which may come more than once.
pub(super) async fn page(
    services: &Services,
    kind: ResourceKind,
    list: &List<Resources>,
) -> Result<Response, Problem> {
    let configuration = services.configuration();
    // What is the file's is nowhere once it is removed there.
    if list.filter.owner == Some(Owner::File) {
        return Ok(list.answer(Vec::<ShownResource>::new(), None));
    }
    let after = match list.after.as_slice() {
        [] => None,
        [time @ Value::Int(Some(_)), id @ Value::Text(Some(_))] => Some([time.clone(), id.clone()]),
        _ => {
            return Err(Problem::invalid(vec![FieldError {
                pointer: "cursor".to_owned(),
                detail: "is of another list".to_owned(),
            }]));
        }
    };
    let discarded = Discarded {
        kinds: vec![kind],
        prefix: list.filter.name.clone().unwrap_or_default(),
        after,
        descending: true,
        limit: i64::from(list.limit) + 1,
    };
    let mut trashed = configuration.revisions.trashed(&discarded).await?;
    let has_more = trashed.len() > list.limit as usize;
    trashed.truncate(list.limit as usize);
    let next = trashed.last().filter(|_| has_more);
    let next = next.map(|Trashed { place, .. }| place.to_vec());
    let running = configuration.running.borrow().clone();
    let shown = trashed.into_iter();
    let shown = shown.map(|trashed| ShownResource::of(trashed.resource, &running));
    Ok(list.answer(shown.collect(), next))
}
