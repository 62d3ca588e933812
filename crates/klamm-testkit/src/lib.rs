//! Clusters, embedded or real, as a parameter of a test.
