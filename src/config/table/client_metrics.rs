//! Settings of a client-metrics subscription (KIP-714).

use super::settings;

settings! {
    pub(super) const CLIENT_METRICS:
    "interval.ms", Int,  "300000", Any,     ClusterWide, Ignored, "How often matching clients push their metrics, in milliseconds; from 100 to 3600000.";
    "match",       List, "",       Entries, ClusterWide, Ignored, "Which clients push: key=pattern, by client_id, client_software_name and the like.";
    "metrics",     List, "",       Entries, ClusterWide, Ignored, "Which metrics they push, by the beginning of their names; * is all.";
}
