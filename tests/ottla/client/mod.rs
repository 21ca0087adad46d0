//! The client library: calls, the consumer, the producer.

mod calls;
mod consumer;
mod producer;
mod transactions;
