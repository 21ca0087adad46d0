//! Groups of our consumer and Java's: both lead, both follow, in eager and in cooperative rebalances.

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

/// A verifiable consumer, ours or Java's, and what it says.
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
        let (said, out) = (events.clone(), BufReader::new(process.stdout.take().unwrap()));
        // It ends with the process.
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or_else(|why| panic!("{line}: {why}"));
                said.lock().unwrap_or_else(PoisonError::into_inner).push(event);
            }
        });
        Member { process, events }
    }

    fn ours(broker: &Broker, assignor: &str) -> Member {
        let mut command = common::command(&[]);
        command.arg("kafka-verifiable-consumer");
        Member::start(command, broker, assignor)
    }

    fn javas(libs: &str, broker: &Broker, assignor: &str) -> Member {
        let mut command = jvm(libs);
        command.arg("org.apache.kafka.tools.VerifiableConsumer").stderr(Stdio::null());
        Member::start(command, broker, assignor)
    }

    /// The partitions it has, after all it has said.
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

    /// Asks it to leave, and waits until it has.
    fn stop(mut self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
        wait_until("a member to end", || self.process.try_wait().unwrap().is_some());
        // The thread that reads what it said may still be behind.
        wait_until("its partitions to be given up", || self.owned().is_empty());
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until the members have all partitions between them, each as many as it should.
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
    // Ours leads, as it was there first.
    let javas = Member::javas(&libs, &broker, assignor);
    wait_for_shares(&[&ours, &javas]);
    ours.stop();
    wait_for_shares(&[&javas]);
    // Java's leads now.
    let again = Member::ours(&broker, assignor);
    wait_for_shares(&[&javas, &again]);
    let third = Member::ours(&broker, assignor);
    wait_for_shares(&[&javas, &again, &third]);
    javas.stop();
    wait_for_shares(&[&again, &third]);
}

async fn range() {
    rebalance("RangeAssignor").await;
}

async fn cooperative_sticky() {
    rebalance("CooperativeStickyAssignor").await;
}

pub fn tests() -> Vec<Trial> {
    trials![
        on_tokio: range, cooperative_sticky
    ]
}
