//! Settings of a client-metrics subscription (KIP-714).

use super::settings;

settings! {
    pub(super) const CLIENT_METRICS:
    "interval.ms", Int,  "300000", Any,     ClusterWide, Implemented, "How often matching clients push their metrics, in milliseconds; from 100 to 3600000.";
    "match",       List, "",       Entries, ClusterWide, Implemented, "The clients that push: key=pattern, by client_id, client_software_name and others.";
    "metrics",     List, "",       Entries, ClusterWide, Implemented, "The metrics that they push, by name prefix; * means all.";
}
