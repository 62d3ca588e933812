//! The frontier of finished offsets and the checker that counts lost, duplicated and reordered records.
