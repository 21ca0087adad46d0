//! Groups of Ottla's consumer and Java's: each is leader and follower, in eager and in cooperative rebalances.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use ottla::client::Client;
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::trials;
use crate::java::{java, jvm};
use common::{self, Broker, wait_until};
use libtest_mimic::Trial;

const PARTITIONS: usize = 5;

/// A verifiable consumer, Ottla's or Java's, and its events.
struct Member {
    process: Child,
    events: Arc<Mutex<Vec<serde_json::Value>>>,
}

impl Member {
    fn start(mut command: Command, broker: &Broker, assignor: &str) -> Member {
        let assignor = format!("org.apache.kafka.clients.consumer.{assignor}");
        command.args(["--bootstrap-server", broker.bootstrap_servers(), "--topic", "t", "--group-id", "g"]);
        command.args(["--assignment-strategy", &assignor, "--session-timeout", "6000"]);
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let events: Arc<Mutex<Vec<_>>> = Arc::default();
        let (lines, out) = (events.clone(), BufReader::new(process.stdout.take().unwrap()));
        // The thread ends with the process.
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|why| panic!("{line}: {why}"));
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            }
        });
        Member { process, events }
    }

    fn ours(broker: &Broker, assignor: &str) -> Member {
        let mut command = common::command(&[]);
        command.arg("kafka-verifiable-consumer");
        Member::start(command, broker, assignor)
    }

    fn java(libs: &str, broker: &Broker, assignor: &str) -> Member {
        let mut command = jvm(libs);
        command.arg("org.apache.kafka.tools.VerifiableConsumer").stderr(Stdio::null());
        Member::start(command, broker, assignor)
    }

    /// Returns the partitions that it has according to its events.
    fn owned(&self) -> BTreeSet<i64> {
        let mut owned = BTreeSet::new();
        for event in self.events.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let partitions = event["partitions"].as_array().into_iter().flatten();
            let partitions = partitions.filter_map(|partition| partition["partition"].as_i64());
            match event["name"].as_str() {
                Some("partitions_assigned") => owned.extend(partitions),
                Some("partitions_revoked") => partitions.for_each(|partition| assert!(owned.remove(&partition))),
                _ => {}
            }
        }
        owned
    }

    /// Stops the consumer and waits until it has left the group.
    fn stop(mut self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        wait_until("a member to end", || self.process.try_wait().unwrap().is_some());
        // The thread that reads its events may lag behind.
        wait_until("its partitions to be given up", || self.owned().is_empty());
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until the members share all partitions evenly.
fn wait_for_shares(members: &[&Member]) {
    wait_until("all partitions to be shared evenly", || {
        let shares: Vec<_> = members.iter().map(|member| member.owned()).collect();
        let all: BTreeSet<_> = shares.iter().flatten().collect();
        let even = shares.iter().all(|share| {
            let least = PARTITIONS / members.len();
            (least..=least + 1).contains(&share.len())
        });
        even && all.len() == PARTITIONS && shares.iter().map(BTreeSet::len).sum::<usize>() == PARTITIONS
    });
}

async fn rebalance(assignor: &str) {
    let Some(java) = java() else { return };
    let libs = java.libs("today");
    let broker = Broker::with().set("ottla.ephemeral", "true").start();
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    client.create_topic("t", i32::try_from(PARTITIONS).unwrap(), &[]).await.unwrap();
    let ours = Member::ours(&broker, assignor);
    wait_for_shares(&[&ours]);
    // Ottla's consumer is the leader, as it joined first.
    let java = Member::java(&libs, &broker, assignor);
    wait_for_shares(&[&ours, &java]);
    ours.stop();
    wait_for_shares(&[&java]);
    // Java's consumer is the leader now.
    let again = Member::ours(&broker, assignor);
    wait_for_shares(&[&java, &again]);
    let third = Member::ours(&broker, assignor);
    wait_for_shares(&[&java, &again, &third]);
    java.stop();
    wait_for_shares(&[&again, &third]);
}

async fn range_groups_of_both_consumers_balance() {
    rebalance("RangeAssignor").await;
}

async fn cooperative_groups_of_both_consumers_balance() {
    rebalance("CooperativeStickyAssignor").await;
}

pub fn tests() -> Vec<Trial> {
    trials![
        on_tokio: range_groups_of_both_consumers_balance, cooperative_groups_of_both_consumers_balance
    ]
}
