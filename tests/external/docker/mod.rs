//! The container image, built from docker/Dockerfile and run on a real Docker engine.
//!
//! Where no engine answers (with BuildKit and Compose 2), these tests count as ignored; with `OTTLA_REQUIRE_DOCKER=1` they
//! fail. `OTTLA_DOCKER_BINARY=DIR` puts the static program `DIR/ottla` into the image
//! instead of building it there, for quick rounds at a desk. Containers, volumes and networks go with the test that made
//! them, images when all tests are done; what the next build can use again is in BuildKit's cache.

mod compose;
mod contract;
mod courses;
mod engine;
mod families;
mod lifecycle;
mod memory;
mod testcontainers;

use libtest_mimic::Trial;

/// Removes the images that were built, if any was.
pub fn remove_images() {
    if engine::is_built() {
        engine::docker(&["image", "rm", "--force", engine::IMAGE, courses::JAVA_IMAGE]);
    }
}

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
