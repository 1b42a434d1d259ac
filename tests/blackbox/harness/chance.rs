//! Chance that can be had again: `LANDFALL_SEED` repeats the choices of a run that failed. What the
//! machine makes of them, such as where a process is when it is killed, is its own.

use fastrand::Rng;

/// Chance of a seed of its own, which is printed.
pub(crate) fn chance() -> Rng {
    let seed = std::env::var("LANDFALL_SEED").map_or_else(
        |_| fastrand::u64(..),
        |text| text.parse().expect("LANDFALL_SEED is a number"),
    );
    println!("LANDFALL_SEED={seed}");
    Rng::with_seed(seed)
}
