//! Packages that src/packages/dist makes, with the program under test or a stand-in for it. docs/RELEASING.md describes them.
//!
//! What depends on the real program, such as the size of the wheel, is tested with the program of the container image, or with
//! the one that `OTTLA_DIST_PROGRAM` names.

mod action;
mod debian;
mod dist;
mod others;
mod released;
mod wheel;

use libtest_mimic::Trial;

/// The tests of all modules.
pub fn tests() -> Vec<Trial> {
    let suites = [action::tests(), debian::tests(), others::tests(), released::tests(), wheel::tests()];
    suites.into_iter().flatten().collect()
}
