//! Whose word is missing in what all instances were asked.

/// Instances that did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// These, by name; none, if all have answered.
    Named(Vec<String>),
    /// Whoever else there is: they cannot be reached.
    AllOthers,
}

impl Missing {
    /// Nobody.
    pub const NOBODY: Self = Self::Named(Vec::new());

    pub(super) fn named(mut instances: Vec<String>) -> Self {
        instances.sort_unstable();
        instances.dedup();
        Self::Named(instances)
    }
}
