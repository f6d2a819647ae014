//! The price of memory, counted over all programs of a transaction.

/// Pages that a transaction may open without paying.
pub(crate) const FREE_PAGES: u16 = 2;
/// Gas of every further page.
pub(crate) const PAGE_GAS: u16 = 1_000;
/// Growth of the exponential part with each page, as a fraction of 2^32.
pub(crate) const PAGE_RAMP: u64 = 620_674_314;
/// Pages that may be open at once.
pub(crate) const PAGE_LIMIT: u16 = 128;

/// Memory that the programs of one transaction have open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pages {
    open: u16,
    /// The most that has been open at once so far.
    peak: u16,
}

impl Pages {
    /// Opens further pages and returns their price in gas; more than anybody can pay beyond
    /// [`PAGE_LIMIT`].
    pub(crate) fn add(&mut self, pages: u16) -> u64 {
        let (open, peak) = (self.open, self.peak);
        self.open = open.saturating_add(pages);
        self.peak = peak.max(self.open);
        if self.peak > PAGE_LIMIT {
            return u64::MAX;
        }
        let linear = self.open.saturating_sub(open.max(FREE_PAGES));
        u64::from(linear) * u64::from(PAGE_GAS) + ramp(self.peak) - ramp(peak)
    }

    pub(crate) const fn open(self) -> u16 {
        self.open
    }

    /// Closes the pages of a program that has ended. What was paid stays paid.
    pub(crate) const fn close_to(&mut self, open: u16) {
        self.open = open;
    }
}

/// The exponential part of the price: `(1 + ramp)^pages`, without what the free pages would cost.
fn ramp(pages: u16) -> u64 {
    if pages <= FREE_PAGES {
        return 1;
    }
    const FRACTION: u32 = 32;
    let mut power: u128 = 1 << FRACTION;
    for _ in 0..pages {
        power += (power * u128::from(PAGE_RAMP)) >> FRACTION;
    }
    (power >> FRACTION) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pages_are_free_and_closing_keeps_the_peak_paid() {
        let mut pages = Pages::default();
        assert_eq!(pages.add(2), 0);
        assert_eq!(pages.add(1), 1_000);
        pages.close_to(0);
        assert_eq!(pages.add(2), 0);
        assert_eq!(pages.add(1), 1_000);
        assert_eq!(pages.add(10), 10_000 + 4);
    }

    #[test]
    fn the_ramp_makes_the_last_page_cost_millions_and_the_next_unpayable() {
        let mut pages = Pages::default();
        let all = pages.add(PAGE_LIMIT);
        assert!((31_900_000..32_300_000).contains(&all), "{all}");
        assert_eq!(pages.add(1), u64::MAX);
    }
}
