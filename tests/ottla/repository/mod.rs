//! Rules for the sources and the pages of this project.

mod layers;
mod metrics_reference;
mod orders;
mod private_limits;
mod settings_reference;
mod test_programs;
