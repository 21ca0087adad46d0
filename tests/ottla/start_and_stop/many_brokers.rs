//! Many brokers on one machine at the same time, each with a port and a directory of its own.

use std::collections::HashSet;
use std::thread;

use common::Broker;
use ottla::client::Client;

const BROKERS: usize = 20;

async fn topics(client: &Client) -> Vec<String> {
    client.metadata(None).await.unwrap().topics.into_iter().filter_map(|topic| topic.name).collect()
}

#[tokio::test]
async fn twenty_brokers_use_distinct_ports_and_directories() {
    let start = |_| thread::spawn(|| Broker::with().arg("--admin-port").arg("0").start());
    let starting: Vec<_> = (0..BROKERS).map(start).collect();
    let brokers: Vec<Broker> = starting.into_iter().map(|started| started.join().unwrap()).collect();

    let own = |of: &dyn Fn(&Broker) -> String| brokers.iter().map(of).collect::<HashSet<_>>().len();
    assert_eq!(own(&|broker| broker.bootstrap_servers().to_owned()), BROKERS);
    assert_eq!(own(&|broker| broker.ready().data_dir.display().to_string()), BROKERS);
    assert_eq!(own(&|broker| broker.ready().admin_url.clone().unwrap()), BROKERS);

    for (number, broker) in brokers.iter().enumerate() {
        let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
        assert_eq!(topics(&client).await, Vec::<String>::new());
        client.create_topic(&format!("of-{number}"), 1, &[]).await.unwrap();
    }
    for (number, broker) in brokers.iter().enumerate() {
        let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
        assert_eq!(topics(&client).await, [format!("of-{number}")]);
    }
}
