//! Consistent hashing by Maglev (Eisenbud et al., NSDI 2016, §3.4): a table from hashes to members
//! that spreads keys evenly and changes little when members come and go.

use std::hash::Hasher;

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

struct Filling {
    member: u16,
    next: usize,
    step: usize,
    share: f64,
    /// Places that it is owed.
    credit: f64,
}

impl Maglev {
    /// Fills a table for members by name and weight; at least one must have a weight. The names decide
    /// the places: the order of the members does not matter.
    pub(crate) fn build<'a>(members: impl Iterator<Item = (&'a str, u32)>) -> Self {
        let mut fillings: Vec<(&str, Filling)> = (0..)
            .zip(members)
            .filter(|(_, (_, weight))| *weight > 0)
            .map(|(member, (name, weight))| (name, filling(member, name, weight)))
            .collect();
        // Two members want the same place now and then; whoever comes first must not depend on the
        // order in which a discovery lists them.
        fillings.sort_by_key(|(name, _)| *name);
        let most = fillings
            .iter()
            .map(|(_, filling)| filling.share)
            .fold(0.0, f64::max);
        let mut table = vec![EMPTY; PLACES].into_boxed_slice();
        let mut left = if fillings.is_empty() { 0 } else { PLACES };
        while left > 0 {
            for (_, filling) in &mut fillings {
                filling.credit += filling.share / most;
                if filling.credit < 1.0 {
                    continue;
                }
                filling.credit -= 1.0;
                while table[filling.next] != EMPTY {
                    filling.next = (filling.next + filling.step) % PLACES;
                }
                table[filling.next] = filling.member;
                left -= 1;
                if left == 0 {
                    break;
                }
            }
        }
        Self(table)
    }

    /// The member for a hash.
    pub(crate) fn get(&self, hash: u64) -> u16 {
        // The place is taken from the upper bits: a multiplication instead of a division.
        let place = (u128::from(hash) * PLACES as u128) >> 64;
        self.0[place as usize]
    }
}

fn filling(member: u16, name: &str, weight: u32) -> Filling {
    let places = PLACES as u64;
    Filling {
        member,
        next: (hash(name.as_bytes(), 0x5eed) % places) as usize,
        step: (hash(name.as_bytes(), 0x0ff5e7) % (places - 1) + 1) as usize,
        share: f64::from(weight),
        credit: 0.0,
    }
}

/// A hash that is the same on every node and in every version: FNV-1a, finished as in MurmurHash3 so
/// that similar keys end up far apart. Keys are short, and who chooses them gains nothing from
/// collisions but more load on one target than on others, which sending one key has, too.
pub(crate) fn hash(bytes: &[u8], seed: u64) -> u64 {
    let mut state = Fnv(0xcbf2_9ce4_8422_2325 ^ seed);
    state.write(bytes);
    state.finish()
}

struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        mixed ^ (mixed >> 33)
    }
}

#[cfg(test)]
mod tests;
