//! Consistent hashing by Maglev (Eisenbud et al., NSDI 2016, §3.4): a table from hashes to members
//! that spreads keys evenly and changes little when members come and go.

/// Places in the table: a prime, so that every member's order visits all of them. As large as Envoy's,
/// which keeps shares within a few percent for up to several hundred members.
const PLACES: usize = 65_537;

const EMPTY: u16 = u16::MAX;

/// A filled table.
pub(crate) struct Maglev(Box<[u16]>);

impl std::fmt::Debug for Maglev {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Maglev")
    }
}

/// A member that fills places: in its own order, which visits all of them.
struct Filling {
    member: u16,
    next: usize,
    step: usize,
}

impl Maglev {
    /// Fills a table for members by name and weight; at least one must have a weight, and there are at
    /// most [`super::MOST_MEMBERS`]. The names decide the places: the order of the members does not
    /// matter.
    pub(crate) fn build<'a>(members: impl Iterator<Item = (&'a str, u32)>) -> Self {
        let mut named: Vec<(&str, u16, u32)> = (0..EMPTY)
            .zip(members)
            .filter(|(_, (_, weight))| *weight > 0)
            .map(|(member, (name, weight))| (name, member, weight))
            .collect();
        // Two members want the same place now and then; whoever comes first must not depend on the
        // order in which a discovery lists them.
        named.sort_by_key(|(name, ..)| *name);
        // Who is listed twice would go the same way twice, and look in vain at what it has already.
        named.dedup_by(|again, first| {
            let is_same = again.0 == first.0;
            if is_same {
                first.2 = first.2.saturating_add(again.2);
            }
            is_same
        });
        let mut fillings: Vec<Filling> = named
            .iter()
            .map(|(name, member, _)| filling(*member, name))
            .collect();
        let weights: Vec<u32> = named.iter().map(|(.., weight)| *weight).collect();
        let mut table = vec![EMPTY; PLACES].into_boxed_slice();
        for at in turns(&weights).into_iter().take(PLACES) {
            let filling = &mut fillings[at];
            while table[filling.next] != EMPTY {
                filling.advance();
            }
            table[filling.next] = filling.member;
            filling.advance();
        }
        Self(table)
    }

    /// The members of all places: each that has one, often.
    pub(crate) fn members(&self) -> impl Iterator<Item = u16> {
        self.0.iter().copied()
    }

    /// The member for a hash.
    pub(crate) fn get(&self, hash: u64) -> u16 {
        // The place is taken from the upper bits: a multiplication instead of a division.
        let place = (u128::from(hash) * PLACES as u128) >> 64;
        self.0[place as usize]
    }
}

/// At least [`PLACES`] turns at filling a place. With equal weights they go round, as in the paper; a
/// member with half the weight has every other turn.
fn turns(weights: &[u32]) -> Vec<usize> {
    let Some(most) = weights.iter().copied().max() else {
        return Vec::new();
    };
    let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    // Each has its last turn less than a round before the end, so one round more than there are places
    // is enough.
    let planned = (PLACES + weights.len()) as u64;
    let mut turns = Vec::with_capacity(PLACES + 2 * weights.len());
    for (at, weight) in weights.iter().enumerate() {
        let weight = u64::from(*weight);
        let own = planned * weight / total + 1;
        // Turn number k comes after k rounds of the heaviest member's, divided by what part of its
        // weight this one has; it fits: k is below 2^18, a weight below 2^32. The member's number
        // decides between those at the same time.
        let due = |turn: u64| ((turn * u64::from(most)) << FRACTION) / weight;
        turns.extend((1..=own).map(|turn| due(turn) << MEMBER | at as u64));
    }
    turns.sort_unstable();
    let member = |turn: &u64| (turn & ((1 << MEMBER) - 1)) as usize;
    turns.iter().map(member).collect()
}

/// Bits for parts of a round.
const FRACTION: u32 = 13;
/// Bits for a member's number.
const MEMBER: u32 = 16;

impl Filling {
    fn advance(&mut self) {
        self.next += self.step;
        if self.next >= PLACES {
            self.next -= PLACES;
        }
    }
}

fn filling(member: u16, name: &str) -> Filling {
    let places = PLACES as u64;
    Filling {
        member,
        next: (hash(name.as_bytes(), 0x5eed) % places) as usize,
        step: (hash(name.as_bytes(), 0x0ff5e7) % (places - 1) + 1) as usize,
    }
}

/// A hash that is the same on every node and in every version: FNV-1a, finished as in MurmurHash3 so
/// that similar keys end up far apart. Keys are short, and who chooses them gains nothing from
/// collisions but more load on one target than on others, which sending one key has, too.
pub(crate) fn hash(bytes: &[u8], seed: u64) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325 ^ seed;
    for byte in bytes {
        state = (state ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    state = (state ^ (state >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    state = (state ^ (state >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    state ^ (state >> 33)
}

#[cfg(test)]
mod tests;
