//! StreamsGroupTopologyDescriptionUpdate (key 93), version 0: takes the description of a streams
//! group's topology (KIP-1331).

use crate::codec::{Str, structs};

structs! {
    struct StreamsGroupTopologyDescriptionUpdateRequest {
        group_id: Str = 0..;
        member_id: Str = 0..;
        topology_epoch: i32 = 0..;
        topology_description: TopologyDescription = 0..;
    }

    struct TopologyDescription {
        subtopologies: Vec<TopologyDescriptionSubtopology> = 0..;
        global_stores: Vec<TopologyDescriptionGlobalStore> = 0..;
    }

    struct TopologyDescriptionSubtopology {
        subtopology_id: Str = 0..;
        nodes: Vec<TopologyDescriptionNode> = 0..;
    }

    struct TopologyDescriptionNode {
        name: Str = 0..;
        node_type: i8 = 0..;
        source_topics: Vec<Str> = 0..;
        sink_topic: Option<Str> = 0..;
        stores: Vec<Str> = 0..;
        successors: Vec<Str> = 0..;
    }

    struct TopologyDescriptionGlobalStore {
        source: TopologyDescriptionNode = 0..;
        processor: TopologyDescriptionNode = 0..;
    }

    struct StreamsGroupTopologyDescriptionUpdateResponse {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<Str> = 0..;
    }
}
