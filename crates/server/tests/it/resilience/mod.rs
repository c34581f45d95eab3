//! What happens when targets fail: the table of `docs/resilience.md`, row by row, and what does not
//! fit into a table.

mod abandon;
mod backoff;
mod bench;
mod breaker;
mod bulkhead;
mod connections;
mod deadline;
mod gate;
mod hedge;
mod negotiated;
mod others;
mod page;
mod rows;
