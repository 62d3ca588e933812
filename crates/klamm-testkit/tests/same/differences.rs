//! Differences that are meant, each with its reason. A conversation ends where one shows: from there on the sides stand differently.

/// What the embedded broker answers, what Kafka answers, and why that may be.
const ALLOWED: &[(&str, &str, &str)] = &[
    (
        "INVALID_REQUEST",
        "UNKNOWN_SERVER_ERROR",
        "an operation that does not exist is told as such; Kafka's controller fails with an exception",
    ),
    (
        "min.insync.replicas=1 source 5",
        "min.insync.replicas=1 source 3",
        "a new cluster of Kafka has eligible leader replicas (KIP-966), and with them a dynamic default of the floor",
    ),
    ("CompletingRebalance", "Dead", NOT_WRITTEN),
    ("CompletingRebalance", "Empty", NOT_WRITTEN),
    ("CompletingRebalance", "Stable", NOT_WRITTEN),
    ("Empty \"\" \"\" []", "Dead \"\" \"\" []", NOTHING_WRITTEN),
    ("Some(\"Empty classic \")", "NONE (0) None", NOTHING_WRITTEN),
];

const NOTHING_WRITTEN: &str = "a group that a refused commit has made is shown by Kafka from its next write on; here it is there at once";

const NOT_WRITTEN: &str = "Kafka describes a group as it last wrote it, and writes a new generation with the leader's assignment; here it is described as it is";

/// The reason why two answers may differ.
pub fn allowed(ours: &str, theirs: &str) -> Option<&'static str> {
    let fits = |(a, b, _): &&(&str, &str, &str)| ours.contains(a) && theirs.contains(b) && ours != theirs;
    ALLOWED.iter().find(fits).map(|(.., reason)| *reason)
}
