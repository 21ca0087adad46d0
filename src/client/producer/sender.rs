//! The task that sends batches and handles the responses.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::accumulator::{FailedBatch, Outgoing};
use super::transactional::PRODUCE_PROTOCOL_2;
use super::{Delivered, SendError, Shared};
use crate::{Client, ClientError};
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::init_producer_id::InitProducerIdRequest;
use ottla_wire::protocol::messages::produce::{
    PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse, TopicProduceData,
};
use ottla_wire::types::{ErrorCode, InOrder as _, Offset, PartitionIndex, ProducerIdEpoch};

/// The last version of Produce that names topics by name.
const PRODUCE_BY_NAME: i16 = 12;

type PendingResponse = Pin<Box<dyn Future<Output = Result<ProduceResponse, ClientError>> + Send>>;

pub(super) struct Sender<T> {
    shared: Arc<Shared<T>>,
    /// In send order, which is also the order of the responses.
    in_flight: VecDeque<(PendingResponse, Vec<Outgoing<T>>)>,
}

impl<T: Send + 'static> Sender<T> {
    pub fn new(shared: Arc<Shared<T>>) -> Sender<T> {
        Sender { shared, in_flight: VecDeque::new() }
    }

    /// Runs until it is aborted.
    pub async fn run(mut self) {
        loop {
            self.send_due_batches().await;
            let due = self.next_due();
            let response = async {
                match self.in_flight.front_mut() {
                    Some((response, _)) => response.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                response = response => self.handle_response(response).await,
                () = self.shared.work.notified() => {}
                () = sleep_until(due) => {}
            }
        }
    }

    fn is_full(&self) -> bool {
        self.in_flight.len() >= self.shared.options.max_in_flight
    }

    /// The time until the next batch is due, if a request may be sent.
    fn next_due(&self) -> Option<Duration> {
        let accumulator = self.shared.accumulator.lock();
        if self.is_full() || accumulator.needs_producer_id() && !self.in_flight.is_empty() {
            return None;
        }
        accumulator.next_due().map(|due| due.saturating_sub(self.shared.now()))
    }

    async fn send_due_batches(&mut self) {
        loop {
            let now = self.shared.now();
            let (late, due) = {
                let mut accumulator = self.shared.accumulator.lock();
                let mut late = accumulator.expire(now);
                late.extend(accumulator.fail_with_transaction());
                (late, accumulator.next_due())
            };
            self.report_failed(late);
            if self.is_full() || due.is_none_or(|due| due > now) {
                return;
            }
            let Ok(client) = self.shared.client().await else { return };
            self.refresh_metadata(&client).await;
            if self.shared.accumulator.lock().needs_producer_id() {
                if !self.in_flight.is_empty() {
                    return;
                }
                self.init_producer_id(&client).await;
                continue;
            }
            let (batches, broken) = self.shared.accumulator.lock().drain(self.shared.now());
            self.report_failed(broken);
            if batches.is_empty() {
                return;
            }
            self.submit(&client, batches).await;
        }
    }

    /// Refreshes metadata older than `metadata.max.age.ms`: topics may have more partitions now.
    async fn refresh_metadata(&mut self, client: &Client) {
        let stale_topics = self.shared.accumulator.lock().stale_topics(self.shared.now());
        if stale_topics.is_empty() {
            return;
        }
        let names: Vec<&str> = stale_topics.iter().map(|name| &**name).collect();
        let found = client.metadata(Some(&names)).await.map(|cluster| cluster.topics).unwrap_or_default();
        let mut accumulator = self.shared.accumulator.lock();
        for name in names {
            let topic = found.iter().find(|topic| topic.name.as_deref() == Some(name));
            // A topic without a response keeps its partitions until the next refresh.
            accumulator.update_topic(name, topic.map_or(0, |topic| topic.partitions.len()), self.shared.now());
        }
    }

    /// Requests a producer id, with which the broker detects duplicate batches.
    async fn init_producer_id(&mut self, client: &Client) {
        let request =
            InitProducerIdRequest { transactional_id: None, transaction_timeout_ms: i32::MAX, ..Default::default() };
        let error = match client.call(request).await {
            Ok(response) if response.error_code == 0 => {
                let producer = ProducerIdEpoch { producer_id: response.producer_id, epoch: response.producer_epoch };
                return self.shared.accumulator.lock().set_producer_id(producer);
            }
            Ok(response) => SendError::refused(response.error_code, None),
            Err(error) => SendError::from_client(&error),
        };
        if error.is_retriable() {
            tokio::time::sleep(self.shared.options.retry_backoff).await;
        } else {
            let all = self.shared.accumulator.lock().fail_all(&error);
            self.report_failed(all);
        }
    }

    async fn submit(&mut self, client: &Client, batches: Vec<Outgoing<T>>) {
        let (newest, not_added) = self.start_in_transaction(&batches);
        if !not_added.is_empty()
            && let Err(error) = self.shared.add_partitions(not_added).await
        {
            return batches.into_iter().for_each(|sent| self.complete_batch(sent, Err(error.clone())));
        }
        let request = self.request(&batches);
        let acks = request.acks;
        let sent = match client.version_up_to(ApiKey::Produce, newest) {
            Ok(version) if acks == 0 => client.send_without_response(request, version).await.map(|()| None),
            Ok(version) => client.submit_at(request, version).await.map(Some),
            Err(error) => Err(error),
        };
        match sent {
            Ok(Some(pending)) => self.in_flight.push_back((Box::pin(pending.response()), batches)),
            Ok(None) => batches.into_iter().for_each(|sent| self.complete_batch(sent, Ok(-1))),
            Err(error) => {
                let error = SendError::from_client(&error);
                batches.into_iter().for_each(|sent| self.complete_batch(sent, Err(error.clone())));
            }
        }
    }

    /// Returns the newest version of Produce that may be used, and the partitions that have to be added to the transaction
    /// first.
    fn start_in_transaction(&self, batches: &[Outgoing<T>]) -> (i16, Vec<(Str, PartitionIndex)>) {
        let mut accumulator = self.shared.accumulator.lock();
        let Some(transactions) = accumulator.transactions_mut() else { return (PRODUCE_BY_NAME, Vec::new()) };
        transactions.start();
        let newest = PRODUCE_PROTOCOL_2 - i16::from(!transactions.uses_protocol_2());
        let partitions = batches.iter().map(|sent| (&sent.topic, sent.partition));
        (newest, transactions.not_added(partitions))
    }

    fn request(&self, batches: &[Outgoing<T>]) -> ProduceRequest {
        let mut topics: BTreeMap<&Str, Vec<PartitionProduceData>> = BTreeMap::new();
        for sent in batches {
            let data = PartitionProduceData { index: sent.partition, records: Some(sent.bytes.clone()) };
            topics.entry(&sent.topic).or_default().push(data);
        }
        let topic = |(name, partition_data): (&Str, _)| TopicProduceData {
            name: name.clone(),
            partition_data,
            ..Default::default()
        };
        ProduceRequest {
            transactional_id: self.shared.options.transactional_id.clone(),
            acks: self.shared.options.acks,
            timeout_ms: i32::try_from(self.shared.options.request_timeout.as_millis()).unwrap_or(i32::MAX),
            topic_data: topics.into_iter().map(topic).collect(),
        }
    }

    /// Handles the outcome of the first request in flight.
    async fn handle_response(&mut self, response: Result<ProduceResponse, ClientError>) {
        let Some((_, batches)) = self.in_flight.pop_front() else { return };
        match response {
            Ok(response) => {
                let mut outcomes = outcomes(response);
                for sent in batches {
                    let outcome = outcomes.remove(&(sent.topic.clone(), sent.partition));
                    let missing = || Err(SendError::Broken("the response lacks a requested partition".to_owned()));
                    self.complete_batch(sent, outcome.unwrap_or_else(missing));
                }
            }
            Err(error) => {
                if matches!(error, ClientError::Timeout { .. }) {
                    self.shared.connection.disconnect().await;
                }
                let error = SendError::from_client(&error);
                batches.into_iter().for_each(|sent| self.complete_batch(sent, Err(error.clone())));
            }
        }
    }

    /// Handles the outcome of one batch.
    fn complete_batch(&self, sent: Outgoing<T>, outcome: Result<Offset, SendError>) {
        let (topic, partition) = (sent.topic.clone(), sent.partition);
        let (outcome, base_offset) = match outcome {
            Ok(offset) => (Ok(()), offset),
            Err(error) => (Err(error), -1),
        };
        let done = self.shared.accumulator.lock().completed(sent, outcome, self.shared.now());
        match done {
            None => {}
            Some(Ok(tokens)) => {
                self.shared.observer.lock().delivered(&Delivered { topic, partition, base_offset }, tokens);
                self.shared.progress.notify_waiters();
            }
            Some(Err(failed)) => self.report_failed(vec![failed]),
        }
    }

    fn report_failed(&self, all: Vec<FailedBatch<T>>) {
        if all.is_empty() {
            return;
        }
        let mut observer = self.shared.observer.lock();
        for FailedBatch { topic, tokens, error } in all {
            observer.failed(&topic, &error, tokens);
        }
        self.shared.progress.notify_waiters();
    }
}

async fn sleep_until(due: Option<Duration>) {
    match due {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

/// The base offset or the error of each batch, by topic and partition.
fn outcomes(response: ProduceResponse) -> BTreeMap<(Str, PartitionIndex), Result<Offset, SendError>> {
    let of_topic = |topic: ottla_wire::protocol::messages::produce::TopicProduceResponse| {
        let name = topic.name;
        topic
            .partition_responses
            .into_iter()
            .map(move |partition| ((name.clone(), partition.index), outcome(partition)))
    };
    response.responses.into_iter().flat_map(of_topic).in_order()
}

fn outcome(partition: PartitionProduceResponse) -> Result<Offset, SendError> {
    match ErrorCode::from_code(partition.error_code) {
        Some(ErrorCode::None) => Ok(partition.base_offset),
        // The batch is stored, but the broker does not remember its offset any more.
        Some(ErrorCode::DuplicateSequenceNumber) => Ok(-1),
        _ => Err(SendError::refused(partition.error_code, partition.error_message.as_deref())),
    }
}
