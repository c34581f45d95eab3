//! The state of a breaker in one number, so that it changes in one step.

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Everything passes.
    #[default]
    Closed,
    /// Nothing passes.
    Open,
    /// A few requests pass and decide.
    HalfOpen,
}

impl Phase {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// The stable word for reports and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// Width of the counts in the number, and the most that they can be: more than a configuration allows.
const COUNT_BITS: u32 = 20;
const MOST: u32 = (1 << COUNT_BITS) - 1;

/// ```text
///  63   62 61        40 39        20 19         0
/// ┌───────┬────────────┬────────────┬────────────┐
/// │ phase │ generation │ succeeded  │  probing   │
/// └───────┴────────────┴────────────┴────────────┘
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) phase: Phase,
    /// Grows with every change of phase; wraps around.
    pub(super) generation: u32,
    /// Probes that succeeded since it is half open.
    pub(super) succeeded: u32,
    /// Probes under way.
    pub(super) probing: u32,
}

const GENERATION_BITS: u32 = 22;
const GENERATIONS: u32 = 1 << GENERATION_BITS;

impl From<u64> for State {
    fn from(number: u64) -> Self {
        Self {
            phase: match number >> 62 {
                0 => Phase::Closed,
                1 => Phase::Open,
                _ => Phase::HalfOpen,
            },
            generation: (number >> (2 * COUNT_BITS)) as u32 & (GENERATIONS - 1),
            succeeded: (number >> COUNT_BITS) as u32 & MOST,
            probing: number as u32 & MOST,
        }
    }
}

impl From<State> for u64 {
    fn from(state: State) -> Self {
        let phase = match state.phase {
            Phase::Closed => 0,
            Phase::Open => 1,
            Phase::HalfOpen => 2,
        };
        phase << 62
            | Self::from(state.generation) << (2 * COUNT_BITS)
            | Self::from(state.succeeded) << COUNT_BITS
            | Self::from(state.probing)
    }
}

/// What a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    Free,
    /// It passes as a probe, if this is the state then.
    Probe(State),
    Refused,
}

impl State {
    pub(super) fn admit(self, probes: u32) -> Admission {
        match self.phase {
            Phase::Closed => Admission::Free,
            Phase::Open => Admission::Refused,
            // Those that succeeded count: no more are let through than it takes to decide.
            Phase::HalfOpen if self.probing + self.succeeded < probes.clamp(1, MOST) => {
                Admission::Probe(Self {
                    probing: self.probing + 1,
                    ..self
                })
            }
            Phase::HalfOpen => Admission::Refused,
        }
    }

    /// A probe succeeded; it is still under way.
    pub(super) fn succeeded(self, probes: u32) -> Self {
        let succeeded = self.succeeded + 1;
        if succeeded >= probes.clamp(1, MOST) {
            return self.into_phase(Phase::Closed);
        }
        Self { succeeded, ..self }
    }

    /// A probe ended.
    pub(super) fn returned(self) -> Self {
        Self {
            probing: self.probing.saturating_sub(1),
            ..self
        }
    }

    pub(super) fn into_phase(self, phase: Phase) -> Self {
        Self {
            phase,
            generation: (self.generation + 1) % GENERATIONS,
            succeeded: 0,
            probing: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half_open() -> State {
        State::default()
            .into_phase(Phase::Open)
            .into_phase(Phase::HalfOpen)
    }

    #[test]
    fn a_state_survives_its_form_as_a_number() {
        let state = State {
            phase: Phase::HalfOpen,
            generation: GENERATIONS - 1,
            succeeded: MOST,
            probing: MOST - 1,
        };
        assert_eq!(State::from(u64::from(state)), state);
        assert_eq!(u64::from(State::default()), 0, "closed is nothing");
        let next = state.into_phase(Phase::Closed);
        assert_eq!((next.generation, next.probing), (0, 0));
    }

    #[test]
    fn no_more_probes_pass_than_it_takes_to_decide() {
        let mut state = half_open();
        for _ in 0..3 {
            let Admission::Probe(next) = state.admit(3) else {
                panic!("{state:?}");
            };
            state = next;
        }
        assert_eq!(state.admit(3), Admission::Refused);
        state = state.succeeded(3).returned();
        assert_eq!(state.admit(3), Admission::Refused, "two decide the rest");
        state = state.returned();
        assert!(
            matches!(state.admit(3), Admission::Probe(_)),
            "one went away without a word: another takes its place"
        );
    }

    #[test]
    fn as_many_successes_as_probes_close_it() {
        let state = half_open().succeeded(2);
        assert_eq!(state.phase, Phase::HalfOpen);
        assert_eq!(state.succeeded(2).phase, Phase::Closed);
        assert_eq!(half_open().succeeded(0).phase, Phase::Closed);
    }
}
