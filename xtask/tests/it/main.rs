//! Real clusters from outside: what is left when their owner is gone, and what can be done to their nodes.

mod on_real_kafka;
