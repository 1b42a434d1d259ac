//! Compresses rows: events of one application are much alike, so that LZ4 leaves a fourth to a
//! twentieth of them, at about 2 GB/s. The disk, the checkpoint and the readers have as much less
//! to do.

use lz4_flex::block::{
    CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size,
};

/// Shorter rows gain little: less than a page.
const LEAST_BYTES: usize = 1 << 10;
/// Longer rows, which are single large events, stand as they are: it bounds the buffers.
const MOST_BYTES: usize = 1 << 20;

/// Compresses one row at a time, without allocating for each.
pub(super) struct Packer {
    table: CompressTable,
    packed: Vec<u8>,
}

/// What is stored is not what it says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damaged;

impl Packer {
    pub(super) fn new() -> Self {
        Self {
            table: CompressTable::large(),
            packed: Vec::new(),
        }
    }

    /// The row as an LZ4 block, or as it is if that is not shorter.
    pub(super) fn pack<'a>(&'a mut self, row: &'a [u8]) -> &'a [u8] {
        if !(LEAST_BYTES..=MOST_BYTES).contains(&row.len()) {
            return row;
        }
        let most = get_maximum_output_size(row.len());
        if self.packed.len() < most {
            self.packed.resize(most, 0);
        }
        let packed = compress_into_with_table(row, &mut self.packed, &mut self.table)
            .ok()
            .and_then(|length| self.packed.get(..length));
        packed
            .filter(|packed| packed.len() < row.len())
            .unwrap_or(row)
    }
}

/// The row of `size` bytes that was stored; what is shorter than its size is an LZ4 block.
pub(super) fn unpack<'a>(
    stored: &'a [u8],
    size: usize,
    buffer: &'a mut Vec<u8>,
) -> Result<&'a [u8], Damaged> {
    if stored.len() == size {
        return Ok(stored);
    }
    if stored.len() > size || size > MOST_BYTES {
        return Err(Damaged);
    }
    buffer.resize(size, 0);
    match decompress_into(stored, buffer) {
        Ok(length) if length == size => Ok(buffer),
        _ => Err(Damaged),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_of_like_events_shrink() {
        let row = br#"{"device":"sensor01","data":{"temperature":21.5}}"#.repeat(1_000);
        assert!(Packer::new().pack(&row).len() < row.len() / 20);
    }

    #[test]
    fn short_and_huge_rows_stand_as_they_are() {
        let mut packer = Packer::new();
        for size in [0, 1, LEAST_BYTES - 1, MOST_BYTES + 1] {
            assert_eq!(packer.pack(&vec![7; size]).len(), size);
        }
        assert!(packer.packed.len() <= get_maximum_output_size(MOST_BYTES));
    }

    #[test]
    fn damage_is_found_and_takes_no_memory() {
        let mut packer = Packer::new();
        let row = vec![7; 10_000];
        let packed = packer.pack(&row);
        let mut buffer = Vec::new();
        for size in [0, packed.len() - 1, 9_999, 10_001, usize::MAX] {
            assert_eq!(unpack(packed, size, &mut buffer), Err(Damaged), "{size}");
        }
        assert_eq!(unpack(&packed[1..], 10_000, &mut buffer), Err(Damaged));
        assert!(buffer.capacity() <= MOST_BYTES);
    }

    proptest! {
        #[test]
        fn any_rows_come_back(
            rows in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), 1..60_usize), 1..4),
        ) {
            let mut packer = Packer::new();
            let mut buffer = Vec::new();
            for (piece, times) in rows {
                let row = piece.repeat(times);
                let packed = packer.pack(&row);
                prop_assert!(packed.len() <= row.len());
                prop_assert_eq!(unpack(packed, row.len(), &mut buffer), Ok(row.as_slice()));
            }
        }

        #[test]
        fn any_bytes_are_unpacked_or_refused(
            stored in prop::collection::vec(any::<u8>(), 0..500), size in 0..5_000_usize,
        ) {
            if let Ok(row) = unpack(&stored, size, &mut Vec::new()) {
                prop_assert_eq!(row.len(), size);
            }
        }
    }
}
