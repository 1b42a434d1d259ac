//! What fails again and again for the same reason is said once.

/// The trouble that something is in, as the log was told of it.
#[derive(Debug, Default)]
pub struct Trouble(Option<String>);

impl Trouble {
    /// It failed, for this reason. True: that is worth a line, as it worked before, or failed for
    /// another reason.
    pub fn is_news(&mut self, reason: &impl ToString) -> bool {
        let reason = Some(reason.to_string());
        let is_news = self.0 != reason;
        self.0 = reason;
        is_news
    }

    /// It works. True: it did not before.
    pub fn is_over(&mut self) -> bool {
        self.0.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_news_once_for_each_reason_until_it_is_over() {
        let mut trouble = Trouble::default();
        assert!(!trouble.is_over());
        assert!(trouble.is_news(&"full") && !trouble.is_news(&"full"));
        assert!(trouble.is_news(&"away") && trouble.is_news(&"full"));
        assert!(trouble.is_over() && !trouble.is_over());
        assert!(trouble.is_news(&"full"));
    }
}
