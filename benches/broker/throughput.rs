//! Bytes per second and CPU per byte, produced and fetched, compared with the floor's.
//!
//! Rounds are interleaved: in each round every broker gets the same burst, in an order that changes, so that a
//! temporary load on the machine affects all of them. Shares are computed per round; figures are medians over the
//! rounds.

use std::time::Duration;

use crate::admin::Admin;
use crate::contender::{Contender, OTHER, Running, scratch};
use crate::floor::Floor;
use crate::load::{Load, Target};
use crate::report::{Samples, Table, significant};
use crate::system;

const CONNECTIONS: [u64; 2] = [1, 8];
/// Rounds that are not counted, for caches and Java's compiler.
const WARM_UP: usize = 2;
const DIRECTIONS: [&str; 2] = ["produce", "fetch"];

/// The figures of one broker, over all rounds, for one number of connections and one direction.
#[derive(Clone, Debug, Default)]
struct Figures {
    mb_per_s: Samples,
    cpu: Duration,
    bytes: u64,
}

impl Figures {
    fn add(&mut self, bytes: u64, took: Duration, cpu: Duration) {
        self.mb_per_s.push(bytes as f64 / 1e6 / took.as_secs_f64());
        self.cpu += cpu;
        self.bytes += bytes;
    }

    /// Returns CPU seconds per GB over all rounds together, because one burst takes only a few clock ticks.
    fn cpu_s_per_gb(&self) -> f64 {
        self.cpu.as_secs_f64() / (self.bytes as f64 / 1e9)
    }
}

/// Figures by number of connections and direction.
type FiguresByLoad = [[Figures; 2]; 2];

pub fn measure(contenders: &[Contender], rounds: usize, burst: u64) -> Vec<Table> {
    let limit = system::dirty_limit();
    assert!(burst < limit / 2, "a burst of {burst} bytes is too large: the kernel starts to write back at {limit}");
    let brokers: Vec<_> = contenders.iter().map(Contender::start_fresh).collect();
    let mut figures_by_broker = vec![FiguresByLoad::default(); contenders.len() + 1];
    for round in 0..WARM_UP + rounds {
        for (connections, connections_index) in CONNECTIONS.into_iter().zip(0..) {
            let load = Load::new(connections, burst);
            for step in 0..figures_by_broker.len() {
                let index = turn(round, step, figures_by_broker.len());
                system::wait_until_clean(limit / 4);
                let samples = match index.checked_sub(1) {
                    None => measure_floor(&load),
                    Some(broker) => measure_broker(&load, &brokers[broker].1, round),
                };
                if round >= WARM_UP {
                    for (figures, (took, cpu)) in figures_by_broker[index][connections_index].iter_mut().zip(samples) {
                        figures.add(load.bytes(), took, cpu);
                    }
                }
            }
        }
    }
    tables(contenders, &figures_by_broker)
}

/// Which of `count` brokers has a turn. The first one rotates, and the direction changes after each rotation, so that
/// each broker comes after each other one equally often: what a burst leaves behind affects the next one.
fn turn(round: usize, step: usize, count: usize) -> usize {
    let step = if (round / count).is_multiple_of(2) { step } else { count - 1 - step };
    (step + round) % count
}

/// Measures elapsed time and CPU time of producing and fetching a burst.
fn measure_floor(load: &Load) -> [(Duration, Duration); 2] {
    let dir = scratch();
    let floor = Floor::start(dir.path(), load.fetch_bytes());
    let target = Target { produce: floor.store, fetch: floor.serve, topic: "floor".to_owned() };
    produce_and_fetch(load, &target, floor.pid())
}

fn measure_broker(load: &Load, broker: &Running, round: usize) -> [(Duration, Duration); 2] {
    let admin = Admin::connect(broker);
    let topic = format!("burst-{round}-{}", load.connections());
    admin.create_topic(&topic, load.connections() as i32);
    let target = Target { produce: broker.address(), fetch: broker.address(), topic };
    let times = produce_and_fetch(load, &target, broker.pid());
    admin.delete_topic(&target.topic);
    times
}

fn produce_and_fetch(load: &Load, target: &Target, pid: u32) -> [(Duration, Duration); 2] {
    system::warm(load.bytes() as usize);
    let before = system::cpu(pid);
    let produced = load.produce(target);
    let between = system::cpu(pid);
    let fetched = load.fetch(target);
    [(produced, between - before), (fetched, system::cpu(pid) - between)]
}

fn tables(contenders: &[Contender], figures_by_broker: &[FiguresByLoad]) -> Vec<Table> {
    let names = || std::iter::once("floor").chain(contenders.iter().map(Contender::name));
    let mut speed = Table::new("throughput", names());
    let mut share = Table::new("share of the floor's throughput", names());
    let mut cost = Table::new("broker CPU per GB", names());
    // The floor is before the brokers.
    let other = contenders.iter().position(|it| it.name() == OTHER).map(|index| index + 1);
    let mut pairs = Table::new("throughput, in percent of the other's of the same round", ["median (95 % interval)"]);
    for (direction, direction_index) in DIRECTIONS.into_iter().zip(0..) {
        for (connections, connections_index) in CONNECTIONS.into_iter().zip(0..) {
            let name = format!("{direction}, {connections} connection{}", if connections == 1 { "" } else { "s" });
            let figures: Vec<&Figures> = figures_by_broker
                .iter()
                .map(|figures_of_broker| &figures_of_broker[connections_index][direction_index])
                .collect();
            speed.medians(&name, "MB/s", figures.iter().map(|figures| &figures.mb_per_s));
            let shares = figures.iter().map(|f| f.mb_per_s.percent_of(&figures[0].mb_per_s)).collect::<Vec<_>>();
            share.medians(&name, "%", &shares);
            if let Some(index) = other {
                let ratios = figures[1].mb_per_s.percent_of(&figures[index].mb_per_s);
                let (low, high) = ratios.median_interval();
                pairs.row(&name, [format!("{:.1} % ({low:.1} to {high:.1})", ratios.median())]);
            }
            cost.row(&name, figures.iter().map(|figures| format!("{} s", significant(figures.cpu_s_per_gb()))));
        }
    }
    let mut tables = vec![speed, share, cost];
    tables.extend(other.map(|_| pairs));
    tables
}
