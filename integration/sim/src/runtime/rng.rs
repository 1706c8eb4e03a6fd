//! Random numbers that follow from the seed alone.

use std::convert::Infallible;

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng, TryRng};

/// A random source for one purpose; sources of different purposes do not disturb one another.
#[derive(Clone, Debug)]
pub struct Dice(SmallRng);

impl Dice {
    /// The source of a seed for one purpose.
    #[must_use]
    pub fn new(seed: u64, purpose: u64) -> Self {
        Self(SmallRng::seed_from_u64(mix(seed ^ mix(purpose))))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0.random()
    }

    /// A number of `low..high`; `low` where the range is empty.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        if high <= low {
            low
        } else {
            self.0.random_range(low..high)
        }
    }

    /// An index into `len` things.
    ///
    /// # Panics
    /// Where there is nothing to choose from.
    pub fn index(&mut self, len: usize) -> usize {
        self.0.random_range(0..len)
    }

    /// One of these.
    ///
    /// # Panics
    /// Where there is nothing to choose from.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> &'a T {
        &among[self.index(among.len())]
    }

    /// Whether something that happens `per_mille` times in a thousand happens now.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.between(0, 1000) < per_mille
    }

    /// Brings things into any order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            let other = self.index(last + 1);
            things.swap(last, other);
        }
    }
}

/// SplitMix64's finaliser: neighbouring seeds give unrelated streams.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The running node's random source, as the engine wants it ([`rand::Rng`]).
#[derive(Clone, Copy, Debug)]
pub struct NodeRng;

impl TryRng for NodeRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        super::context::draw(|source| Ok(source.random()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        super::context::draw(|source| Ok(source.random()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        super::context::draw(|source| {
            source.fill(bytes);
            Ok(())
        })
    }
}

impl Dice {
    pub(super) fn inner(&mut self) -> &mut SmallRng {
        &mut self.0
    }
}
