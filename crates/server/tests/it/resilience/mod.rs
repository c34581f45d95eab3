//! What happens when targets fail: the table of `docs/resilience.md`, row by row, and what does not
//! fit into a table.

mod bench;
mod others;
mod page;
mod rows;
