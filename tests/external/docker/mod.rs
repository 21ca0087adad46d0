//! The container image, built from docker/Dockerfile and run on a real Docker engine.
//!
//! Without a Docker engine that has BuildKit and Compose 2, these tests count as ignored; with `OTTLA_REQUIRE=docker`
//! they fail. `OTTLA_DOCKER_BINARY=DIR` copies the static program `DIR/ottla` into the image instead of building it
//! there, which makes local runs faster. Each test removes its containers, volumes and networks; images are removed
//! after all tests. BuildKit's cache keeps what the next build can use again.

mod compose;
mod contract;
mod courses;
pub mod engine;
mod families;
mod lifecycle;
mod memory;
mod redpanda;
mod security;
mod testcontainers;

use libtest_mimic::Trial;

/// Removes the images that were built.
pub fn remove_images() {
    if engine::is_built() {
        engine::docker(&["image", "rm", "--force", engine::IMAGE, courses::JAVA_IMAGE, security::CLIENTS_IMAGE]);
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
        redpanda::tests(),
        security::tests(),
        testcontainers::tests(),
    ];
    suites.into_iter().flatten().collect()
}
