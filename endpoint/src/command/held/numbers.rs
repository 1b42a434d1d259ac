//! The numbers of held commands: of several instances, no two give the same, so that whoever revokes one
//! through any of them revokes the one that is meant.
//!
//! Such a number begins with a mark of its file, drawn once at random, and goes on counting.

use rusqlite::{Connection, params};

/// Bits of a number that count; those above are the mark.
const COUNT: u32 = 32;

/// The numbers that a file gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// There is no other file.
    All,
    /// Those that begin with this mark.
    Marked(i64),
}

impl Numbers {
    /// Whether this file has given a number, if any has.
    pub(super) fn has(self, number: i64) -> bool {
        match self {
            Self::All => true,
            Self::Marked(mark) => number >> COUNT == mark,
        }
    }
}

/// Whether one of several instances may have given the number.
pub(super) fn may_be_of_a_fleet(number: i64) -> bool {
    number >> COUNT > 0
}

/// The file's own numbers. Without a mark it gets one, also on what it holds.
pub(super) fn set_apart(connection: &mut Connection) -> rusqlite::Result<Numbers> {
    let transaction = connection.transaction()?;
    let last: i64 = transaction.query_row(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'held'",
        [],
        |row| row.get(0),
    )?;
    if may_be_of_a_fleet(last) {
        return Ok(Numbers::Marked(last >> COUNT));
    }
    let mark = draw();
    let first = mark << COUNT;
    transaction.execute("UPDATE held SET id = id + ?1", [first])?;
    transaction.execute("DELETE FROM sqlite_sequence WHERE name = 'held'", [])?;
    transaction.execute(
        "INSERT INTO sqlite_sequence (name, seq) VALUES ('held', ?1)",
        params![first + last],
    )?;
    transaction.commit()?;
    Ok(Numbers::Marked(mark))
}

/// 31 random bits, one of them set: numbers stay positive.
fn draw() -> i64 {
    let [a, b, c, d, ..] = uuid::Uuid::new_v4().into_bytes();
    i64::from(u32::from_le_bytes([a, b, c, d]) >> 1).max(1)
}
