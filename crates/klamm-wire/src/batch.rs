//! Record batches: views over fetched bytes and a builder for produced ones.
