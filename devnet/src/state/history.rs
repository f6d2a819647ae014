//! The values that one key has had.

use std::collections::VecDeque;

use super::Version;

/// Values in the order of the versions that set them.
#[derive(Debug)]
pub(super) struct History<T>(VecDeque<(Version, T)>);

impl<T> Default for History<T> {
    fn default() -> Self {
        Self(VecDeque::with_capacity(1))
    }
}

impl<T: PartialEq> History<T> {
    /// Sets the value as of `version`, which is not older than any before.
    pub(super) fn push(&mut self, version: Version, value: T) {
        self.0.push_back((version, value));
    }

    /// The value as of `version`, `None` before the first.
    pub(super) fn at(&self, version: Version) -> Option<&T> {
        // The latest is what nearly all reads want.
        if let Some((set, value)) = self.0.back()
            && *set <= version
        {
            return Some(value);
        }
        let count = self.0.partition_point(|(set, _)| *set <= version);
        count.checked_sub(1).and_then(|index| Some(&self.0.get(index)?.1))
    }

    /// Removes values set after `version`.
    pub(super) fn truncate(&mut self, version: Version) {
        while self.0.back().is_some_and(|(set, _)| *set > version) {
            self.0.pop_back();
        }
    }

    /// Removes values that no version from `oldest` on reads; true when what is left says only
    /// `absent`, so that the key itself can go.
    pub(super) fn forget_before(&mut self, oldest: Version, absent: &T) -> bool {
        while self.0.get(1).is_some_and(|(set, _)| *set <= oldest) {
            self.0.pop_front();
        }
        matches!(self.0.make_contiguous(), [(set, value)] if *set <= oldest && value == absent)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
