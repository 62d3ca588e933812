//! Brings a cluster to a plan and says what it changed.
