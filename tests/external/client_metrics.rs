//! Metrics that real clients push (KIP-714): a broker with a subscription to all of them, and what its scrape has.

use std::process::Command;

use common::Broker;

/// Starts a broker to which every client pushes all of its metrics.
pub fn start_broker(settings: &[(&str, &str)]) -> Broker {
    let options = Broker::with().set("ottla.admin.listener", "0");
    let broker = settings.iter().fold(options, |options, (name, value)| options.set(name, value)).start();
    let mut tool = Command::new(common::ottla());
    tool.args(["kafka-client-metrics", "--bootstrap-server", broker.bootstrap_servers()]);
    tool.args(["--alter", "--name", "all", "--metrics", "*", "--interval", "500"]);
    let output = tool.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    broker
}

/// Checks that a client with this software has pushed a positive value of this metric.
pub fn check(broker: &Broker, software: &str, metric: &str) {
    let url = broker.ready().metrics_url.clone().unwrap();
    let scraped = ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap();
    let of =
        |name: &str| -> Vec<&str> { scraped.lines().filter(|line| line.starts_with(&format!("{name}{{"))).collect() };
    let has_pushed = |id: &str| {
        let mut values = of(metric).into_iter().filter(|line| line.contains(id));
        values.any(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() > 0.0)
    };
    let software = format!("client_software_name=\"{software}\"");
    let clients = of("ottla_client_instance_info").into_iter().filter(|line| line.contains(&software));
    let mut ids = clients.map(|line| line.split_once("client_instance_id=\"").unwrap().1.split('"').next().unwrap());
    assert!(ids.any(has_pushed), "{software} {metric}: {:?}", of("ottla_client_instance_info"));
    for refused in ["ottla_client_metrics_unreadable_total 0", "ottla_client_metrics_omitted_total 0"] {
        assert!(scraped.lines().any(|line| line == refused), "{refused}");
    }
}
