//! What the doctor has found, and how it says so.

use std::fmt::{Display, Write as _};

use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Good,
    /// It works now, or not well.
    Warning,
    /// It does not work.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) what: String,
    pub(super) text: String,
}

impl Finding {
    pub(super) fn good(what: impl Display, text: impl Display) -> Self {
        Self::new(Verdict::Good, &what, &text)
    }

    pub(super) fn warning(what: impl Display, text: impl Display) -> Self {
        Self::new(Verdict::Warning, &what, &text)
    }

    pub(super) fn bad(what: impl Display, text: impl Display) -> Self {
        Self::new(Verdict::Bad, &what, &text)
    }

    fn new(verdict: Verdict, what: &impl Display, text: &impl Display) -> Self {
        Self {
            verdict,
            what: what.to_string(),
            text: text.to_string(),
        }
    }

    pub(super) fn as_json(&self) -> Value {
        let verdict = match self.verdict {
            Verdict::Good => "good",
            Verdict::Warning => "warning",
            Verdict::Bad => "bad",
        };
        json!({ "verdict": verdict, "what": self.what, "text": self.text })
    }
}

/// One line each; in colour on a terminal.
pub(super) fn render(findings: &[Finding], colour: bool) -> String {
    let mut text = String::new();
    for finding in findings {
        let (word, code) = match finding.verdict {
            Verdict::Good => ("good", 32),
            Verdict::Warning => ("warning", 33),
            Verdict::Bad => ("bad", 31),
        };
        let (on, off) = match colour {
            true => (format!("\u{1b}[{code}m"), "\u{1b}[0m"),
            false => (String::new(), ""),
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{on}{word:<8}{off} {}: {}",
            finding.what, finding.text
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_colour_on_terminals_alone() {
        let findings = [Finding::bad("address 127.0.0.1:1883", "permission denied")];
        let plain = "bad      address 127.0.0.1:1883: permission denied\n";
        assert_eq!(render(&findings, false), plain);
        assert!(render(&findings, true).starts_with("\u{1b}[31mbad     \u{1b}[0m "));
    }
}
