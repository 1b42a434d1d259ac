//! What is wrong with a document: field path, reason, example.

use std::cell::RefCell;
use std::fmt;

/// Most problems that one refusal lists; a document with more is told so.
const MAX_PROBLEMS: usize = 50;

/// One field that is not as it must be.
///
/// A problem never holds the value of a secret: values are described by their type only, and keys
/// are quoted only where no secret can stand by mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, for example `spec.gatewaySelector.matchNames[2]`; empty for the document as a whole.
    pub path: String,
    /// What is wrong, and what is allowed.
    pub reason: String,
    /// A value that would be accepted, in YAML; empty where none helps.
    pub example: &'static str,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_empty() {
            "document"
        } else {
            &self.path
        };
        write!(f, "{path}: {}", self.reason)?;
        if !self.example.is_empty() {
            write!(f, " (for example `{}`)", self.example)?;
        }
        Ok(())
    }
}

/// A document that was refused, with every problem found in it.
///
/// The writer of the document is to blame. There is always at least one problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    problems: Vec<Problem>,
}

impl Invalid {
    /// A refusal for one reason.
    pub(crate) fn one(path: impl Into<String>, reason: impl Into<String>) -> Invalid {
        Invalid::of(Problem {
            path: path.into(),
            reason: reason.into(),
            example: "",
        })
    }

    pub(crate) fn of(problem: Problem) -> Invalid {
        Invalid {
            problems: vec![problem],
        }
    }

    /// Every problem found, in the order of the check, at most 50.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// Collects problems while a document is read.
#[derive(Default)]
pub(crate) struct Problems {
    found: RefCell<Vec<Problem>>,
}

impl Problems {
    pub(crate) fn add(&self, problem: Problem) {
        let mut found = self.found.borrow_mut();
        if found.len() < MAX_PROBLEMS {
            found.push(problem);
        } else if found.len() == MAX_PROBLEMS {
            let reason = format!("more than {MAX_PROBLEMS} problems; the others are not listed");
            found.push(Problem {
                path: String::new(),
                reason,
                example: "",
            });
        }
    }

    /// The value that was read, if nothing was wrong anywhere in the document.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Invalid> {
        let problems = self.found.into_inner();
        match value {
            Some(value) if problems.is_empty() => Ok(value),
            _ if problems.is_empty() => Err(Invalid::one("", "could not be read")),
            _ => Err(Invalid { problems }),
        }
    }
}
