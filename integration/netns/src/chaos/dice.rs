//! Random numbers that follow from the seed alone, the same on every machine and in every version.

/// SplitMix64 (Steele, Lea, Flood 2014): a few lines, and good enough to choose faults.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The numbers of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number of `low..high`; `low` where the range is empty.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.any() % high.saturating_sub(low).max(1)
    }

    /// An index into `len` things; 0 where there are none.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.between(0, len as u64)).unwrap_or(0)
    }

    /// Whether something that happens so many times in a hundred happens now.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.between(0, 100) < percent
    }
}
