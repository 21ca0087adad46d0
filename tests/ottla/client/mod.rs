//! The async client that tools and tests use: calls, the consumer, the producer.

mod calls;
mod consumer;
mod producer;
