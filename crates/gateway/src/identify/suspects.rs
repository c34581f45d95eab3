//! Connections that showed a bad credential go on after everybody else.
//!
//! A credential that is not good costs more than one that is known, and a flood of them comes without waiting for answers.
//! Were each looked at as it comes, everybody else would wait behind all of them.

use tokio::sync::Semaphore;

/// Suspects that go on between two looks at what has come from elsewhere. With 20 µs for each, nobody else waits longer for
/// them than for a few requests of others.
const AT_ONCE: usize = 4;

/// The suspects of one worker.
pub(crate) struct Suspects(Semaphore);

impl Suspects {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }

    /// Waits until everything else that is ready has had its turn, and the suspects that came before.
    pub(crate) async fn turn(&self) {
        let _turn = self.0.acquire().await;
        // The runtime looks for what has come in before it goes on with this.
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;

    #[test]
    fn between_two_turns_of_others_only_a_few_suspects_go_on() {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.build().unwrap();
        let tasks = tokio::task::LocalSet::new();
        let (suspects, looked_at) = (Rc::new(Suspects::new()), Rc::new(Cell::new(0)));
        for _ in 0..64 {
            let (suspects, looked_at) = (Rc::clone(&suspects), Rc::clone(&looked_at));
            tasks.spawn_local(async move {
                loop {
                    suspects.turn().await;
                    looked_at.set(looked_at.get() + 1);
                }
            });
        }
        tasks.block_on(&runtime, async {
            for _ in 0..100 {
                let before = looked_at.get();
                tokio::task::yield_now().await;
                let between = looked_at.get() - before;
                assert!(between <= 2 * AT_ONCE, "{between} at once");
            }
            assert!(
                looked_at.get() > 100,
                "all of them go on: {}",
                looked_at.get()
            );
        });
    }
}
