//! The container image, built from docker/Dockerfile and run on a real Docker engine.
//!
//! Where no engine answers (with BuildKit and Compose 2), all of this is left out and says so once; with
//! `OTTLA_REQUIRE_DOCKER=1` it fails. `OTTLA_DOCKER_BINARY=DIR` puts the static program `DIR/ottla` into the image
//! instead of building it there, for quick rounds at a desk. The image stays on the engine as `ottla-test`, so that the
//! next run builds what changed; containers, volumes and networks go with the test that made them.

mod compose;
mod contract;
mod courses;
mod engine;
mod families;
mod lifecycle;
mod memory;
mod testcontainers;

use libtest_mimic::Trial;

/// The tests of all modules.
pub fn tests() -> Vec<Trial> {
    let suites = [
        contract::tests(),
        courses::tests(),
        families::tests(),
        lifecycle::tests(),
        memory::tests(),
        testcontainers::tests(),
    ];
    suites.into_iter().flatten().collect()
}
