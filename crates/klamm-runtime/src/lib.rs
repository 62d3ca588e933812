//! Holds a service to its contract: durable producer, consumer loop.
