//! A scrape of `/metrics` with 1,000 partitions and 100 groups that have committed offsets of ten partitions each.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::admin::Admin;
use crate::contender::{Contender, Running, free_port, scratch};
use crate::report::{Samples, Table, milliseconds};
use crate::start::batch;
use crate::system;

const PARTITIONS: i32 = 1_000;
const GROUPS: usize = 100;
const OFFSETS: i32 = 10;
const TOPIC: &str = "thousand";
/// Scrapes before the measured ones: they read the batches at committed offsets.
const WARM_UP: usize = 3;

#[derive(Debug, Default)]
struct Figures {
    series: Samples,
    megabytes: Samples,
    took: Samples,
    cpu: Samples,
}

/// Measures scrapes of each broker by turns.
pub fn measure(contenders: &[Contender], scrapes: usize) -> Table {
    let own: Vec<&Contender> = contenders.iter().filter(|it| matches!(it, Contender::Ottla { .. })).collect();
    let mut table = Table::new("a scrape of /metrics", own.iter().map(|contender| contender.name()));
    let dirs: Vec<_> = own.iter().map(|_| scratch()).collect();
    let running: Vec<Running> = own
        .iter()
        .zip(&dirs)
        .map(|(contender, dir)| contender.start_with(dir.path(), free_port(), &["--admin-port", "0"]))
        .collect();
    running.iter().for_each(fill);
    let mut figures: Vec<Figures> = running.iter().map(|_| Figures::default()).collect();
    for round in 0..WARM_UP + scrapes {
        for (broker, figures) in running.iter().zip(&mut figures) {
            let (before, started) = (system::cpu(broker.pid()), Instant::now());
            let text = scrape(broker.admin_url.as_ref().expect("an admin port"));
            let took = started.elapsed();
            if round >= WARM_UP {
                let series = text.lines().filter(|line| !line.starts_with('#')).count();
                figures.series.push(series as f64);
                figures.megabytes.push(text.len() as f64 / 1e6);
                figures.took.push(milliseconds(took));
                figures.cpu.push(milliseconds(system::cpu(broker.pid()).saturating_sub(before)));
            }
        }
    }
    table.medians("series", "", figures.iter().map(|it| &it.series));
    table.medians("text", "MB", figures.iter().map(|it| &it.megabytes));
    table.medians("time until the text is read", "ms", figures.iter().map(|it| &it.took));
    let mean = |samples: &Samples| [samples.mean()].into_iter().collect::<Samples>();
    let cpu: Vec<Samples> = figures.iter().map(|it| mean(&it.cpu)).collect();
    table.medians("CPU, mean", "ms", &cpu);
    table
}

fn fill(running: &Running) {
    let admin = Admin::connect(running);
    admin.create_topic(TOPIC, PARTITIONS);
    admin.produce_to_each(TOPIC, PARTITIONS, &batch());
    for group in 0..GROUPS {
        admin.commit(&format!("group-{group}"), TOPIC, OFFSETS);
    }
}

/// The text of one scrape.
fn scrape(url: &str) -> String {
    let host = url.strip_prefix("http://").expect("a URL");
    let mut stream = TcpStream::connect(host).expect("the admin port accepts");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {host}\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text.split_once("\r\n\r\n").expect("a body").1.to_owned()
}
