//! One client of the model test.

use std::cell::RefCell;

use super::super::reader::is_unknown;
use super::super::{Client, Dice, Failed, Producer, Protocol};
use super::{Attempt, Fate, GROUP, Model, PARTITIONS, TOPIC};
use ottla_wire::types::{ErrorCode, Offset};

/// One producer with its transaction.
pub struct Actor {
    id: usize,
    /// Whether the client has protocol 2. It uses it if the level of `transaction.version` that it last asked for allows
    /// that.
    has_protocol_2: bool,
    producer: Producer,
    has_producer_id: bool,
    /// The number of the open transaction.
    open: Option<u64>,
    /// A value that was sent without an answer.
    unanswered: Option<(i32, u64)>,
    /// A commit or abort that was sent without an answer.
    unanswered_end: Option<bool>,
    /// The transaction can only be aborted.
    is_broken: bool,
}

impl Actor {
    pub fn new(id: usize, has_protocol_2: bool, producer: Producer) -> Actor {
        Actor {
            id,
            has_protocol_2,
            producer,
            has_producer_id: false,
            open: None,
            unanswered: None,
            unanswered_end: None,
            is_broken: false,
        }
    }

    /// Ends the transaction without a request; its producer must be initialized before the next one.
    pub fn give_up(&mut self) {
        *self = Actor::new(self.id, self.has_protocol_2, self.producer.clone());
    }

    pub async fn step(&mut self, dice: &mut Dice, model: &RefCell<Model>, client: &mut Client) -> String {
        if !self.has_producer_id || dice.one_in(40) {
            return self.init(dice, client).await;
        }
        if let Some(commits) = self.unanswered_end {
            return match dice.one_in(3) {
                true => self.init(dice, client).await,
                false => self.end(model, client, commits).await,
            };
        }
        if dice.one_in(60) {
            // The client restarts.
            self.give_up();
            return "gave up".to_owned();
        }
        let Some(number) = self.open else { return self.begin(dice, model, client).await };
        let is_broken = self.is_broken || self.unanswered.is_some();
        match dice.below(10) {
            0 => self.end(model, client, false).await,
            _ if is_broken && self.unanswered.is_some() && dice.one_in(2) => {
                self.send_again(number, model, client).await
            }
            _ if is_broken => self.end(model, client, false).await,
            1..=2 => self.end(model, client, true).await,
            3 => self.commit_offset(number, model, client).await,
            _ => self.send(number, dice, model, client).await,
        }
    }

    async fn begin(&mut self, dice: &mut Dice, model: &RefCell<Model>, client: &mut Client) -> String {
        if dice.one_in(4) {
            let before = self.producer.protocol;
            self.choose_protocol(client).await;
            if before == Protocol::One && self.producer.protocol == Protocol::Two {
                // As Kafka's client does. With the epoch of its last transaction of protocol 1, whose markers may not be
                // written yet, a batch of protocol 2 would become part of that transaction (on Apache Kafka, too).
                return self.initialize(true, client).await;
            }
        }
        let number = model.borrow_mut().next();
        let attempt = Attempt { id: self.id, fate: Fate::Absent, values: Vec::new(), offset: None, ended: u64::MAX };
        model.borrow_mut().attempts.insert(number, attempt);
        self.open = Some(number);
        let sent = self.send(number, dice, model, client).await;
        format!("{:?} {sent}", self.producer.protocol)
    }

    /// Uses protocol 2 from now on if the client has it and the broker allows it, and protocol 1 otherwise.
    async fn choose_protocol(&mut self, client: &mut Client) {
        let Ok(level) = client.transaction_version().await else { return };
        self.producer.protocol = if self.has_protocol_2 && level >= 2 { Protocol::Two } else { Protocol::One };
    }

    async fn init(&mut self, dice: &mut Dice, client: &mut Client) -> String {
        let continues = self.has_producer_id && dice.one_in(2);
        self.give_up();
        if dice.below(4) > 0 {
            self.choose_protocol(client).await;
        }
        self.initialize(continues, client).await
    }

    async fn initialize(&mut self, continues: bool, client: &mut Client) -> String {
        let before = self.producer.producer;
        let outcome = self.producer.init(client, continues).await;
        self.has_producer_id = outcome.is_ok();
        format!("init {} from {before:?}, continues {continues}: {outcome:?}, {:?}", self.id, self.producer.producer)
    }

    async fn send(&mut self, number: u64, dice: &mut Dice, model: &RefCell<Model>, client: &mut Client) -> String {
        let partition = dice.below(PARTITIONS.unsigned_abs().into()) as i32;
        let value = number << 16 | model.borrow_mut().next() & 0xffff;
        self.unanswered = Some((partition, value));
        self.send_again(number, model, client).await
    }

    async fn send_again(&mut self, number: u64, model: &RefCell<Model>, client: &mut Client) -> String {
        let Some((partition, value)) = self.unanswered else { return String::new() };
        let outcome = self.producer.produce(client, TOPIC, partition, value).await;
        match outcome {
            Ok(_) => {
                self.unanswered = None;
                model.borrow_mut().attempt(number).values.push((partition, value));
            }
            Err(failed) => self.failed(failed),
        }
        format!("sent {value:x} of {number} to {partition}: {outcome:?}")
    }

    async fn commit_offset(&mut self, number: u64, model: &RefCell<Model>, client: &mut Client) -> String {
        let offset = model.borrow_mut().next() as Offset;
        let outcome = self.producer.commit_offset(client, GROUP, (TOPIC, self.id as i32), offset).await;
        match outcome {
            Ok(()) => model.borrow_mut().attempt(number).offset = Some(offset),
            Err(failed) => {
                self.is_broken = true;
                self.failed(failed);
            }
        }
        format!("committed offset {offset} in {number}: {outcome:?}")
    }

    async fn end(&mut self, model: &RefCell<Model>, client: &mut Client, commits: bool) -> String {
        let Some(number) = self.open else { return String::new() };
        let ended = model.borrow_mut().next();
        let is_first = self.unanswered_end.is_none();
        if commits && is_first {
            let mut model = model.borrow_mut();
            let attempt = model.attempt(number);
            (attempt.fate, attempt.ended) = (Fate::Unknown, ended);
        }
        let outcome = self.producer.end(client, commits).await;
        match outcome {
            Ok(()) => {
                if commits {
                    model.borrow_mut().attempt(number).fate = Fate::Committed;
                }
                if self.unanswered.is_some() {
                    // The sequence number may be used: as Kafka's clients do, it asks for a new epoch.
                    self.give_up();
                }
                (self.open, self.unanswered_end, self.is_broken) = (None, None, false);
            }
            Err(failed) if is_unknown(failed) => self.unanswered_end = Some(commits),
            Err(_) => {
                if is_first {
                    model.borrow_mut().attempt(number).fate = Fate::Absent;
                }
                self.give_up();
            }
        }
        format!("ended {number}, commit {commits}: {outcome:?}, {:?}", self.producer.producer)
    }

    fn failed(&mut self, failed: Failed) {
        match failed {
            failed if is_unknown(failed) => {}
            Failed::Error(ErrorCode::TransactionAbortable) => self.is_broken = true,
            _ => self.give_up(),
        }
    }
}
