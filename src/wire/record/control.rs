//! Control records, which the broker writes between the records of clients.
//!
//! The key of a control record is a version and a type (Kafka's `ControlRecordType`); the value is a message of that type.
//! Only the value of transaction markers is defined here; KRaft's are part of the metadata log.

use bytes::Buf;

use super::error::RecordError;

/// The type of a control record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum ControlType {
    Abort = 0,
    Commit = 1,
    LeaderChange = 2,
    SnapshotHeader = 3,
    SnapshotFooter = 4,
    KRaftVersion = 5,
    KRaftVoters = 6,
}

impl ControlType {
    /// Encodes the record's key: `i16` version 0, `i16` type.
    pub fn to_key(self) -> [u8; 4] {
        let [high, low] = (self as i16).to_be_bytes();
        [0, 0, high, low]
    }

    /// Decodes a control record's key. `None` for an unknown type, which readers skip; `Invalid` if the key is too short.
    pub fn from_key(mut key: &[u8]) -> Result<Option<ControlType>, RecordError> {
        if key.len() < 4 {
            return Err(RecordError::invalid(format!("control record key of {} bytes", key.len())));
        }
        if key.get_i16() < 0 {
            return Err(RecordError::invalid("control record key with a negative version"));
        }
        Ok(match key.get_i16() {
            0 => Some(ControlType::Abort),
            1 => Some(ControlType::Commit),
            2 => Some(ControlType::LeaderChange),
            3 => Some(ControlType::SnapshotHeader),
            4 => Some(ControlType::SnapshotFooter),
            5 => Some(ControlType::KRaftVersion),
            6 => Some(ControlType::KRaftVoters),
            _ => None,
        })
    }
}

/// The value of an `Abort` or `Commit` record (Kafka's `EndTxnMarker`, version 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTxnMarker {
    /// The epoch of the transaction coordinator that ended the transaction.
    pub coordinator_epoch: i32,
}

impl EndTxnMarker {
    pub fn to_value(self) -> [u8; 6] {
        let [a, b, c, d] = self.coordinator_epoch.to_be_bytes();
        [0, 0, a, b, c, d]
    }

    /// Decodes the value; later versions may append fields. `Invalid` if it is too short.
    pub fn from_value(mut value: &[u8]) -> Result<EndTxnMarker, RecordError> {
        if value.len() < 6 {
            return Err(RecordError::invalid(format!("transaction marker of {} bytes", value.len())));
        }
        if value.get_i16() < 0 {
            return Err(RecordError::invalid("transaction marker with a negative version"));
        }
        Ok(EndTxnMarker { coordinator_epoch: value.get_i32() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_record_keys_round_trip() {
        for (number, control) in [
            ControlType::Abort,
            ControlType::Commit,
            ControlType::LeaderChange,
            ControlType::SnapshotHeader,
            ControlType::SnapshotFooter,
            ControlType::KRaftVersion,
            ControlType::KRaftVoters,
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(control.to_key(), [0, 0, 0, number as u8]);
            assert_eq!(ControlType::from_key(&control.to_key()), Ok(Some(control)));
        }
        assert_eq!(ControlType::from_key(&[0, 0, 0, 7]), Ok(None));
        assert_eq!(ControlType::from_key(&[0, 1, 0, 1, 9]), Ok(Some(ControlType::Commit)));
        assert!(ControlType::from_key(&[0, 0, 0]).is_err());
        assert!(ControlType::from_key(&[0xff, 0xff, 0, 0]).is_err());
    }

    #[test]
    fn transaction_markers_round_trip() {
        let marker = EndTxnMarker { coordinator_epoch: 0x0102_0304 };
        assert_eq!(marker.to_value(), [0, 0, 1, 2, 3, 4]);
        assert_eq!(EndTxnMarker::from_value(&marker.to_value()), Ok(marker));
        assert!(EndTxnMarker::from_value(&[0, 0, 0, 0, 1]).is_err());
    }
}
