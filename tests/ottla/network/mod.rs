//! Listeners and connections.

mod connections;
mod disconnects;
mod hostile;
mod listeners;
