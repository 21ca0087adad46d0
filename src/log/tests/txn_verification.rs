//! Verification of transactions (KIP-890): which batches may begin one.

use super::*;

const V2: AppendParams = AppendParams { origin: Origin::CoordinatorV2, ..COORDINATOR };
const UNVERIFIED: AppendParams = AppendParams { verification: TxnVerification::NotVerified, ..CLIENT };
const ID: ProducerId = 7;

/// A log, and its disk.
struct Txn {
    fixture: Fixture,
    log: Log,
}

impl Txn {
    fn new() -> Txn {
        let fixture = Fixture::simulated(&Simulation::default());
        let log = fixture.open();
        Txn { fixture, log }
    }

    fn try_begin(&mut self, epoch: i16, sequence: i32, epoch_bump: bool) -> Result<Verification, AppendError> {
        self.log.begin_verification(ProducerIdEpoch { producer_id: ID, epoch }, sequence, epoch_bump, NOW)
    }

    /// Begins a verification as a producer of transaction.version 1, and returns how its batch is appended.
    #[track_caller]
    fn begin(&mut self, epoch: i16, sequence: i32) -> AppendParams {
        self.needed(epoch, sequence, false)
    }

    /// The same with transaction.version 2.
    #[track_caller]
    fn begin_v2(&mut self, epoch: i16, sequence: i32) -> AppendParams {
        self.needed(epoch, sequence, true)
    }

    #[track_caller]
    fn needed(&mut self, epoch: i16, sequence: i32, epoch_bump: bool) -> AppendParams {
        let verification = self.try_begin(epoch, sequence, epoch_bump).expect("begins");
        assert!(matches!(verification, Verification::Needed(_)), "{verification:?}");
        AppendParams { verification: verification.confirmed(), ..CLIENT }
    }

    fn append(&mut self, epoch: i16, sequence: i32, how: AppendParams) -> Result<Appended, AppendError> {
        self.log.append(&in_txn(ID, epoch, sequence, 1), how)
    }

    #[track_caller]
    fn appends(&mut self, epoch: i16, sequence: i32, how: AppendParams) {
        let end = self.log.end_offset();
        let appended = self.append(epoch, sequence, how).expect("appends");
        assert_eq!((appended.base_offset, appended.duplicate), (end, false));
    }

    #[track_caller]
    fn ends(&mut self, epoch: i16, control: ControlType, how: AppendParams) {
        self.log.append(&marker(ID, epoch, control, 0), how).expect("appends");
    }

    /// Appends a batch that must be refused as not verified.
    #[track_caller]
    fn is_not_verified(&mut self, epoch: i16, sequence: i32, how: AppendParams) {
        let end = self.log.end_offset();
        let refused = self.append(epoch, sequence, how);
        let why = TxnStateError::NotVerified;
        assert!(
            matches!(refused, Err(AppendError::InvalidTxnState { producer_id: ID, why: found }) if found == why),
            "{refused:?}"
        );
        assert_eq!(self.log.end_offset(), end);
    }

    #[track_caller]
    fn is_out_of_order(&mut self, epoch: i16, sequence: i32, how: AppendParams) {
        let refused = self.append(epoch, sequence, how);
        assert!(matches!(refused, Err(AppendError::OutOfOrderSequence { .. })), "{refused:?}");
    }
}

#[test]
fn unverified_batch_continues_a_transaction_but_begins_none() {
    let mut txn = Txn::new();
    txn.is_not_verified(0, 0, UNVERIFIED);
    txn.is_not_verified(0, 0, AppendParams { origin: Origin::Coordinator, ..UNVERIFIED });
    let verified = txn.begin(0, 0);
    txn.is_not_verified(0, 0, UNVERIFIED);
    txn.appends(0, 0, verified);
    txn.appends(0, 1, UNVERIFIED);
    txn.ends(0, ControlType::Commit, COORDINATOR);
    txn.is_not_verified(0, 2, UNVERIFIED);
    assert_eq!(txn.log.last_stable_offset(), txn.log.end_offset());
}

#[test]
fn batch_outside_of_transactions_needs_no_verification() {
    let mut txn = Txn::new();
    txn.log.append(&batch(&["x"]), UNVERIFIED).expect("appends");
    txn.log.append(&by_producer(ID, 0, 0, 1), UNVERIFIED).expect("appends");
}

#[test]
fn batch_with_verification_disabled_begins_a_transaction() {
    let mut txn = Txn::new();
    txn.appends(0, 0, CLIENT);
    txn.ends(0, ControlType::Abort, COORDINATOR);
    txn.appends(0, 1, CLIENT);
}

#[test]
fn guard_from_before_a_marker_begins_no_transaction() {
    for control in [ControlType::Commit, ControlType::Abort] {
        let mut txn = Txn::new();
        let late = txn.begin(0, 0);
        txn.ends(0, control, COORDINATOR);
        txn.is_not_verified(0, 0, late);
        let next = txn.begin(0, 0);
        txn.is_not_verified(0, 0, late);
        txn.appends(0, 0, next);
    }
}

#[test]
fn repeated_marker_ends_the_pending_verification_too() {
    let mut txn = Txn::new();
    txn.ends(0, ControlType::Abort, COORDINATOR);
    let late = txn.begin(0, 0);
    txn.ends(0, ControlType::Abort, COORDINATOR);
    txn.is_not_verified(0, 0, late);
}

#[test]
fn guard_is_valid_for_one_transaction() {
    let mut txn = Txn::new();
    let verified = txn.begin(0, 0);
    txn.appends(0, 0, verified);
    txn.ends(0, ControlType::Commit, COORDINATOR);
    txn.is_not_verified(0, 1, verified);
}

#[test]
fn verifications_of_one_producer_share_a_guard_until_it_is_used() {
    let mut txn = Txn::new();
    let first = txn.begin(0, 0);
    assert_eq!(txn.begin(0, 1), first);
    txn.appends(0, 0, first);
    assert_eq!(txn.try_begin(0, 1, false).expect("begins"), Verification::NotNeeded);
    // Its transaction is ongoing meanwhile.
    txn.appends(0, 1, first);
    txn.ends(0, ControlType::Commit, COORDINATOR);
    assert_ne!(txn.begin(0, 2), first);
}

#[test]
fn verification_compares_the_epoch_with_that_of_the_log() {
    let mut txn = Txn::new();
    txn.appends(5, 0, CLIENT);
    let refused = txn.try_begin(4, 0, false);
    assert!(matches!(refused, Err(AppendError::InvalidProducerEpoch { current: 5, found: 4, .. })), "{refused:?}");
    let refused = txn.append(4, 0, UNVERIFIED);
    assert!(matches!(refused, Err(AppendError::InvalidProducerEpoch { .. })), "{refused:?}");
    assert_eq!(txn.try_begin(5, 1, false).expect("begins"), Verification::NotNeeded);
    // A new instance of the producer, before the marker that ends the old one's transaction.
    txn.is_not_verified(6, 0, UNVERIFIED);
    let next = txn.begin(6, 0);
    txn.appends(6, 0, next);
    assert_eq!(txn.log.last_stable_offset(), 0);
}

#[test]
fn duplicate_of_an_ended_transaction_is_acknowledged() {
    let mut txn = Txn::new();
    txn.appends(0, 0, CLIENT);
    txn.ends(0, ControlType::Commit, COORDINATOR);
    let again = txn.append(0, 0, UNVERIFIED).expect("a duplicate");
    assert_eq!((again.base_offset, again.duplicate), (0, true));
    assert_eq!(txn.log.last_stable_offset(), txn.log.end_offset());
}

#[test]
fn first_batch_of_an_epoch_that_was_bumped_begins_with_sequence_0() {
    // Of an unknown producer: any sequence number fits, unless each transaction has its own epoch.
    let mut txn = Txn::new();
    let verified = txn.begin(0, 3);
    txn.appends(0, 3, verified);
    let mut txn = Txn::new();
    let verified = txn.begin_v2(0, 3);
    txn.is_out_of_order(0, 3, verified);
    let verified = txn.begin_v2(0, 0);
    txn.appends(0, 0, verified);
    txn.ends(1, ControlType::Commit, V2);
    // The marker has bumped the epoch.
    let verified = txn.begin_v2(1, 1);
    txn.is_out_of_order(1, 1, verified);
    let verified = txn.begin_v2(1, 0);
    txn.appends(1, 0, verified);
    txn.appends(1, 1, UNVERIFIED);
}

#[test]
fn batch_waits_for_those_before_it_that_are_verified() {
    let mut txn = Txn::new();
    let verified = txn.begin(0, 1);
    txn.begin(0, 0);
    txn.is_out_of_order(0, 1, verified);
    txn.appends(0, 0, verified);
    txn.appends(0, 1, UNVERIFIED);
    txn.ends(0, ControlType::Commit, COORDINATOR);
    // A higher epoch doesn't wait for the sequence numbers of the one before.
    txn.begin(0, 2);
    let next = txn.begin(1, 0);
    txn.appends(1, 0, next);
}

#[test]
fn marker_of_the_transaction_before_keeps_the_verification_of_the_next_one() {
    let mut txn = Txn::new();
    txn.appends(0, 0, CLIENT);
    txn.ends(1, ControlType::Commit, V2);
    let next = txn.begin_v2(1, 0);
    // The coordinator had crashed, and writes the marker again.
    txn.ends(1, ControlType::Commit, V2);
    txn.appends(1, 0, next);
    // But one of the verified transaction, which has the next epoch, ends the verification.
    txn.ends(2, ControlType::Abort, V2);
    let late = txn.begin_v2(2, 0);
    txn.ends(3, ControlType::Abort, V2);
    let refused = txn.append(2, 0, late);
    assert!(matches!(refused, Err(AppendError::InvalidProducerEpoch { current: 3, .. })), "{refused:?}");
    txn.is_not_verified(3, 0, late);
}

#[test]
fn verification_expires_with_producer_ids() {
    let mut txn = Txn::new();
    txn.fixture.config.producer_id_expiration_ms = 1000;
    txn.log = txn.fixture.open();
    let verified = txn.begin(0, 0);
    txn.log.expire_producers(NOW + 999);
    assert_eq!(txn.begin(0, 0), verified);
    txn.log.expire_producers(NOW + 1000);
    txn.is_not_verified(0, 0, verified);
}

#[test]
fn guard_from_before_a_restart_begins_no_transaction() {
    let mut txn = Txn::new();
    let before = txn.begin(0, 0);
    let Txn { fixture, log } = txn;
    fixture.close(log);
    let mut txn = Txn { log: fixture.open(), fixture };
    txn.is_not_verified(0, 0, before);
    txn.begin(0, 0);
    txn.is_not_verified(0, 0, before);
}

#[test]
fn guard_from_before_a_failed_write_begins_no_transaction() {
    let disk = Simulation::default();
    let fixture = Fixture::simulated(&disk);
    let mut txn = Txn { log: fixture.open(), fixture };
    txn.appends(0, 0, CLIENT);
    txn.ends(0, ControlType::Commit, COORDINATOR);
    let before = txn.begin(0, 1);
    disk.fail_after_changes(Some(0));
    txn.append(0, 1, before).expect_err("fails");
    let refused = txn.try_begin(0, 1, false);
    assert!(matches!(refused, Err(AppendError::Storage(_))), "{refused:?}");
    disk.fail_after_changes(None);
    txn.log = txn.log.reopen(NOW).expect("opens again");
    // The failed write may have been a marker that recovery has found.
    txn.is_not_verified(0, 1, before);
    let verified = txn.begin(0, 1);
    txn.appends(0, 1, verified);
}
