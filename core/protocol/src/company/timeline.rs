//! A fact that changes over the life of the company log, readable at any size of it.

/// The values of one fact, each with the number of the entry that set it, ascending.
#[derive(Debug, Clone)]
pub(crate) struct Timeline<T>(Vec<(u64, T)>);

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Timeline<T> {
    /// The fact changes by entry `seq`, which is newer than all before it.
    pub(crate) fn set(&mut self, seq: u64, value: T) {
        debug_assert!(self.0.last().is_none_or(|(last, _)| *last < seq), "entries come in order");
        self.0.push((seq, value));
    }

    /// The values that the first `size` entries set, oldest first.
    pub(crate) fn until(&self, size: u64) -> &[(u64, T)] {
        &self.0[..self.0.partition_point(|(seq, _)| *seq < size)]
    }

    /// The value after the first `size` entries.
    pub(crate) fn at(&self, size: u64) -> Option<&T> {
        self.until(size).last().map(|(_, value)| value)
    }

    /// The entry that set the newest value.
    pub(crate) fn last_seq(&self) -> Option<u64> {
        self.0.last().map(|(seq, _)| *seq)
    }
}
